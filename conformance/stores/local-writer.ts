/** A process that replaces a local store's file again and again, until it is killed. Arguments: path, file to write. */
import { readFileSync } from 'node:fs';
import { LocalStore } from '../../src/node/stores/local.ts';

const [path = '', source = ''] = process.argv.slice(2);
const bytes = readFileSync(source);
const store = new LocalStore(path);
process.stdout.write('ready\n');
for (;;) await store.publish(bytes, new AbortController().signal);
