/** What a stranger sees of a host beside what it sees of nginx, byte for byte. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Place } from './programs.ts';
import { freePort, type ServerProcess, type ServerRoot, serverRoot, startServer } from './stores/server.ts';
import { PROMPT, SILENT, type StrangersRequest } from './stranger-requests.ts';
import { look, type Sight } from './strangers.ts';

const place = new Place();
let root: ServerRoot;
let nginx: ServerProcess;
let nginxPort = 0;
let hostPort = 0;

/** The server that a host looks like (spec/04-handshake.md, 4.6). */
async function startNginx(): Promise<void> {
  root = serverRoot();
  nginxPort = await freePort();
  const config = join(root.path, 'nginx.conf');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${root.path}/${kind};`)
    .join(' ');
  writeFileSync(
    config,
    `daemon off; pid ${root.path}/nginx.pid; events {}
     http {
       access_log off; ${paths}
       server_tokens off; keepalive_timeout 0; client_header_timeout 5s; large_client_header_buffers 1 16k;
       server {
         listen 127.0.0.1:${nginxPort} ssl;
         ssl_certificate ${root.path}/store.crt; ssl_certificate_key ${root.path}/store.key;
         ssl_protocols TLSv1.3;
         location / { return 404; }
       }
     }`,
  );
  nginx = await startServer('nginx', ['-c', config, '-e', join(root.path, 'error.log')], nginxPort);
}

beforeAll(async () => {
  const host = await place.host(place.path('A'));
  hostPort = Number(/port (\d+)/.exec(host.lines[0] ?? '')?.[1]);
  await startNginx();
});
afterAll(async () => {
  await place.clean();
  await nginx?.stop();
  root?.remove();
});

/** What both do, for each request where it is not the same. */
async function differences(
  requests: readonly StrangersRequest[],
  atOnce: number,
): Promise<Readonly<Record<string, { readonly host: Sight; readonly nginx: Sight }>>> {
  const found: Record<string, { host: Sight; nginx: Sight }> = {};
  const waiting = [...requests];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, bytes, manner } = next;
      // A difference that a busy machine makes is not there the next time.
      for (let tries = 0; tries < 3; tries += 1) {
        const [host, theirs] = await Promise.all(
          [hostPort, nginxPort].map(port => look(port, bytes, manner)),
        );
        if (host === undefined || theirs === undefined) throw new Error('there are two');
        delete found[name];
        if (JSON.stringify(host) === JSON.stringify(theirs)) break;
        found[name] = { host, nginx: theirs };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return found;
}

describe('a stranger', () => {
  it('cannot tell a host from nginx by any answer (HS-026~1, HS-027~1)', async () => {
    expect(await differences(PROMPT, 8)).toEqual({});
    console.log(`${PROMPT.length} requests, answered by a host and by nginx with the same bytes`);
  });

  it('nor by what it does when there is nothing to answer (HS-015~1, HS-027~1)', async () => {
    expect(await differences(SILENT, SILENT.length)).toEqual({});
  });
});
