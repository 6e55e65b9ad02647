/**
 * Writes what documents and code say alike, from the tables in the code: the marked parts of `docs/`, and the examples of
 * configuration files.
 *
 * `npm run generate` writes; `scripts/docs.test.ts` finds what differs.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIENT_PLACE, CLIENT_SETTINGS } from '../src/node/config/client-settings.ts';
import { exampleFile, settingsTable } from '../src/node/config/documents.ts';
import { HOST_PLACE, HOST_SETTINGS } from '../src/node/config/host-settings.ts';
import { metricsTable } from '../src/node/host/metrics.ts';
import { logTable } from '../src/node/log-events.ts';

/** Marked parts: document, mark, text. A part lies between `<!-- MARK: generated -->` and `<!-- end -->`. */
const PARTS: readonly (readonly [path: string, mark: string, text: () => string])[] = [
  ['docs/operations.md', 'log', logTable],
  ['docs/operations.md', 'metrics', metricsTable],
  ['docs/configuration.md', 'clawchatd', () => settingsTable(Object.values(HOST_SETTINGS))],
  ['docs/configuration.md', 'clawchatd places', () => settingsTable(Object.values(HOST_PLACE), false)],
  ['docs/configuration.md', 'clawchat', () => settingsTable(Object.values(CLIENT_SETTINGS))],
  ['docs/configuration.md', 'clawchat places', () => settingsTable(Object.values(CLIENT_PLACE), false)],
];

const STORES_EXAMPLE = `# Where the connection file is published: docs/stores.md. They may stand in stores.json in the data directory
# instead. A file that names stores may hold secrets: nobody else may read it (chmod 600).
#  - kind: local
#    path: /srv/sync/host.clawchat
#  - kind: https
#    read: https://files.example.org/host.clawchat
#    write: https://files.example.org/host.clawchat
#    headers: { authorization: Bearer ... }
stores: []
`;

/** Whole files. */
const FILES: readonly (readonly [path: string, text: () => string])[] = [
  [
    'config.example.yaml',
    () =>
      exampleFile(
        'The configuration of clawchatd, with every setting at its default: config.yaml in the data directory, or what --config names. An option counts more than a variable of the environment, a variable more than this file. `clawchatd config show` says what counts.',
        Object.values(HOST_SETTINGS),
        STORES_EXAMPLE,
      ),
  ],
  [
    'config.client.example.yaml',
    () =>
      exampleFile(
        'The configuration of clawchat, with every setting at its default: config.yaml in the data directory, or what --config names. An option counts more than a variable of the environment, a variable more than this file. `clawchat config show` says what counts.',
        Object.values(CLIENT_SETTINGS),
        '',
      ),
  ],
];

/** Give each document as it should be, by path. */
export async function documents(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map(FILES.map(([path, text]) => [path, text()]));
  for (const [path, mark, text] of PARTS) {
    const before = found.get(path) ?? (await readFile(join(root, path), 'utf8'));
    found.set(path, fill(before, path, mark, text()));
  }
  return found;
}

function fill(document: string, path: string, mark: string, text: string): string {
  const head = `<!-- ${mark}: generated -->\n`;
  const from = document.indexOf(head);
  const to = document.indexOf('<!-- end -->', from);
  if (from < 0 || to < 0) throw new Error(`${path} has no part "${mark}"`);
  return `${document.slice(0, from + head.length)}\n${text}\n\n${document.slice(to)}`;
}

async function main(): Promise<void> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  for (const [path, text] of await documents(root)) {
    if ((await readFile(join(root, path), 'utf8').catch(() => '')) === text) continue;
    await writeFile(join(root, path), text);
    console.log(`wrote ${path}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
