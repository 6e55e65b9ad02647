/** An S3-compatible server as a store, written through addresses that the script of docs/stores.md signs. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import S3rver from 's3rver';
import { openHostStore } from '../../../src/node/stores/open.ts';
import { isFault } from '../../../src/wire/fault.ts';
import type { StoreLab } from '../../stores/behaviour.ts';
import { cutWrite, type Relay, relayFaults, relayTo } from '../../stores/relay.ts';
import { recipe } from './recipes.ts';
import { freePort, type ServerRoot, serverRoot } from './server.ts';

const LIMIT_MS = 1500;
const SCRIPT = fileURLToPath(new URL('../../../scripts/presign-s3.mjs', import.meta.url));
/** The keys that s3rver knows. It does not check the signature itself: conformance/stores/presign-s3.test.ts does. */
const KEYS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

/** The store, and the command of the page that renews its address. */
export interface S3Lab extends StoreLab {
  readonly root: ServerRoot;
  /** In front of the server. */
  readonly relay: Relay;
  /** Where the object lies on this machine once it was written. */
  readonly file: string;
  /** What devices read, and the file with the signed address. */
  readonly read: string;
  readonly addressFile: string;
  /** Sign for so many days, with the right keys unless told otherwise. */
  renew(days: number, keys?: Readonly<Record<string, string>>): void;
  open(): Exclude<ReturnType<typeof openHostStore>, { kind: 'fault' }>;
}

/** Start the server. */
export async function openS3(): Promise<S3Lab> {
  const root = serverRoot();
  const port = await freePort();
  const directory = join(root.path, 's3');
  const server = new S3rver({
    address: '127.0.0.1',
    port,
    silent: true,
    directory,
    key: readFileSync(join(root.path, 'store.key')),
    cert: readFileSync(join(root.path, 'store.pem')),
    configureBuckets: [{ name: 'bucket', configs: [] }],
  });
  await server.run();
  const relay = await relayTo(port);
  const read = `https://localhost:${relay.port}/bucket/host.claw`;
  const addressFile = join(root.path, 's3-address');
  const renew: S3Lab['renew'] = (days, keys = KEYS) => {
    const command = recipe('presign', {
      'node presign-s3.mjs': `node ${SCRIPT}`,
      'https://s3.example.org/bucket/host.claw': read,
      '--days 7': `--days ${days}`,
      '/var/lib/clawchat/s3-address': addressFile,
    });
    execFileSync('bash', ['-euc', command], { env: { ...process.env, ...keys }, stdio: 'pipe' });
  };
  const open: S3Lab['open'] = () => {
    const pin = Buffer.from(root.pin).toString('hex');
    const store = openHostStore(
      { kind: 'https', read, pin, writeFrom: addressFile },
      { environment: {}, limitMs: LIMIT_MS },
    );
    if (isFault(store)) throw new Error(store.detail);
    return store;
  };
  const bucket = join(directory, 'bucket');
  const objects = (): readonly string[] => readdirSync(bucket).filter(name => name.endsWith('_object'));
  const publish = async (bytes: Uint8Array): Promise<void> => {
    const answer = await open().writer.publish(bytes, new AbortController().signal);
    if (answer.kind === 'failed') throw new Error(answer.detail);
  };
  return {
    root,
    relay,
    file: join(bucket, 'host.claw._S3rver_object'),
    read,
    addressFile,
    renew,
    open,
    limitMs: LIMIT_MS,
    // A reader that meets half a file refuses it, and the next publication replaces it.
    tears: 'this server writes in place; S3 itself shows an object only when it is whole',
    reader: () => open().reader,
    writer: () => open().writer,
    clear: async () => {
      relay.mode = { kind: 'pass' };
      renew(7);
      for (const name of readdirSync(bucket))
        if (name.startsWith('host.claw')) rmSync(join(bucket, name), { recursive: true });
    },
    plant: async bytes => {
      if (bytes.length <= 262_144) await publish(bytes);
      else await plantLong(read, root, bytes);
    },
    peek: async () => objects().map(name => readFileSync(join(bucket, name))),
    faults: {
      ...relayFaults(relay, 4000),
      refused: async () => renew(7, { ...KEYS, AWS_ACCESS_KEY_ID: 'STRANGER' }),
      quota: 'this server has no quota; the status is tested against the own server',
      busy: 'this server asks for no patience; the status is tested against the own server',
    },
    dyingWrite: async (bytes, after) => {
      await cutWrite(relay, { bytes: bytes.length, after, more: 3000 }, () =>
        open().writer.publish(bytes, new AbortController().signal),
      );
      await new Promise(resolve => setTimeout(resolve, 100));
    },
    close: async () => {
      await relay.close();
      await server.close();
      root.remove();
    },
  };
}

/** Our own writer refuses what is too long; curl does not. */
async function plantLong(address: string, root: ServerRoot, bytes: Uint8Array): Promise<void> {
  const { request } = await import('node:https');
  await new Promise<void>((resolve, reject) => {
    const asking = request(
      address,
      { method: 'PUT', ca: root.ca, headers: { 'content-length': bytes.length } },
      answer => {
        answer.resume();
        answer.on('end', resolve);
      },
    );
    asking.on('error', reject);
    asking.end(bytes);
  });
}
