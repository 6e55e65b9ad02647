/** Real nginx and real Apache as stores, with the configuration of docs/stores.md. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpsConfig } from '../../../src/node/stores/config.ts';
import { openHostStore } from '../../../src/node/stores/open.ts';
import { isFault } from '../../../src/wire/fault.ts';
import type { StoreLab } from '../../stores/behaviour.ts';
import { cutWrite, type Relay, relayFaults, relayTo } from '../../stores/relay.ts';
import { recipe } from './recipes.ts';
import { AUTHORIZATION, freePort, type ServerRoot, serverRoot, startServer } from './server.ts';

const LIMIT_MS = 1500;
const FILE = 'host.claw';

/** A web server as a store, and its address. */
export interface WebLab extends StoreLab {
  readonly root: ServerRoot;
  /** The port of the server itself; the relay is in front of it. */
  readonly port: number;
  readonly relay: Relay;
  /** Where the file lies on this machine. */
  readonly file: string;
  /** Open the store with other words of configuration. */
  open(more: Partial<HttpsConfig>): ReturnType<typeof openChecked>;
}

/** Start nginx with the recipe. */
export async function openNginx(): Promise<WebLab> {
  const root = serverRoot();
  const port = await freePort();
  const { config, store } = nginxFiles(root, `127.0.0.1:${port}`, 'localhost', 'daemon off;');
  const server = await startServer('nginx', ['-c', config, '-e', join(root.path, 'error.log')], port);
  return await webLab(root, store, port, server.stop);
}

/** Write what nginx needs to be a store as the recipe says, listening on `address`. */
export function nginxFiles(
  root: ServerRoot,
  address: string,
  name: string,
  more = '',
): { readonly config: string; readonly store: string } {
  const store = join(root.path, 'store');
  const etc = join(root.path, 'etc');
  const files = recipe('nginx-files', { '/etc/clawchat-store': etc, '/var/lib/clawchat-store': store });
  execFileSync('bash', ['-euc', files], { cwd: root.path, stdio: 'pipe' });
  const site = recipe('nginx', {
    'listen 443 ssl': `listen ${address} ssl`,
    'server_name store.example.org': `server_name ${name}`,
    '/etc/clawchat-store': etc,
    '/var/lib/clawchat-store': store,
    'location / {': 'location = /quota { return 507; }\n location = /busy { return 503; }\n location / {',
  });
  const config = join(root.path, 'nginx.conf');
  const paths = ['proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${root.path}/${kind};`)
    .join('\n');
  writeFileSync(
    config,
    `user www-data; ${more} pid ${root.path}/nginx.pid; error_log ${root.path}/error.log;
     events {} http { access_log off; ${paths} ${site} }`,
  );
  return { config, store };
}

/** Start Apache with the recipe. */
export async function openApache(): Promise<WebLab> {
  const root = serverRoot();
  const port = await freePort();
  const [etc, store, lock] = ['etc', 'store', 'lock'].map(name => join(root.path, name)) as [
    string,
    string,
    string,
  ];
  const places = {
    '/etc/clawchat-store': etc,
    '/var/lib/clawchat-store': store,
    '/var/lib/clawchat-lock': lock,
  };
  execFileSync('bash', ['-euc', recipe('apache-files', places)], { cwd: root.path, stdio: 'pipe' });
  const site = recipe('apache', {
    '*:443': `127.0.0.1:${port}`,
    'ServerName store.example.org': `ServerName localhost\n Redirect 507 /quota\n Redirect 503 /busy`,
    ...places,
  });
  const modules =
    'mpm_event authn_core authn_file authz_core authz_user auth_basic alias headers dav dav_fs ssl'
      .split(' ')
      .map(name => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
      .join('\n');
  const config = join(root.path, 'apache.conf');
  writeFileSync(
    config,
    `ServerRoot ${root.path}\nServerName localhost\nPidFile ${root.path}/apache.pid\nErrorLog ${root.path}/error.log
     User www-data\nGroup www-data\nMutex file:${root.path} default\nDefaultRuntimeDir ${root.path}
     Listen 127.0.0.1:${port}\n${modules}\n${site}`,
  );
  const server = await startServer('apache2', ['-f', config, '-DFOREGROUND'], port);
  return await webLab(root, store, port, server.stop);
}

function openChecked(config: HttpsConfig): Exclude<ReturnType<typeof openHostStore>, { kind: 'fault' }> {
  const store = openHostStore(config, { environment: {}, limitMs: LIMIT_MS });
  if (isFault(store)) throw new Error(store.detail);
  return store;
}

async function webLab(
  root: ServerRoot,
  store: string,
  port: number,
  stop: () => Promise<void>,
): Promise<WebLab> {
  const relay = await relayTo(port);
  const config: HttpsConfig = {
    kind: 'https',
    read: `https://localhost:${relay.port}/${FILE}`,
    write: `https://localhost:${relay.port}/${FILE}`,
    pin: Buffer.from(root.pin).toString('hex'),
    headers: { authorization: AUTHORIZATION },
  };
  let changes: Partial<HttpsConfig> = {};
  const open = (more: Partial<HttpsConfig>): ReturnType<typeof openChecked> =>
    openChecked({ ...config, ...more });
  const writeTo = (path: string) => async (): Promise<void> => {
    changes = { write: `https://localhost:${relay.port}/${path}` };
  };
  const file = join(store, FILE);
  return {
    root,
    port,
    file,
    relay,
    open,
    limitMs: LIMIT_MS,
    reader: () => open(changes).reader,
    writer: () => open(changes).writer,
    clear: async () => {
      changes = {};
      relay.mode = { kind: 'pass' };
      for (const name of listFiles(store)) rmSync(join(store, name));
    },
    plant: async bytes => {
      writeFileSync(file, bytes);
      chmodSync(file, 0o644);
      execFileSync('chown', ['www-data:', file]);
    },
    peek: async () => listFiles(store).map(name => readFileSync(join(store, name))),
    faults: {
      ...relayFaults(relay, 4000),
      refused: async () => {
        changes = { headers: { authorization: `Basic ${Buffer.from('host:wrong').toString('base64')}` } };
      },
      quota: writeTo('quota'),
      busy: writeTo('busy'),
    },
    dyingWrite: async (bytes, after) => {
      await cutWrite(relay, { bytes: bytes.length, after, more: 3000 }, () =>
        open({}).writer.publish(bytes, new AbortController().signal),
      );
      // The server may find out only now that its client is gone.
      await new Promise(resolve => setTimeout(resolve, 100));
    },
    close: async () => {
      await relay.close();
      await stop();
      root.remove();
    },
  };
}

/** What a reader can get: not what a server keeps for itself. */
function listFiles(store: string): readonly string[] {
  return readdirSync(store).filter(name => !name.startsWith('.'));
}
