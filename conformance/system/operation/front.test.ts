/** A host behind a real nginx that ends TLS, as docs/operations.md has it, and one with a certificate of its own. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADDRESS_TOKENS_MAX } from '../../../src/gen/constants.ts';
import { logged } from '../host-log.ts';
import { type Ended, Place, type Running } from '../programs.ts';
import { recipe } from '../stores/recipes.ts';
import { freePort, type ServerProcess, type ServerRoot, serverRoot, startServer } from '../stores/server.ts';
import { until } from '../until.ts';

const PAGE = 'operations.md';
const place = new Place();
let root: ServerRoot;

beforeAll(() => {
  root = serverRoot();
});
afterAll(async () => {
  await place.clean();
  root.remove();
});

/** A client whose system knows the authority. */
function run(data: string, args: readonly string[], input?: string): Promise<Ended> {
  const env = { NODE_EXTRA_CA_CERTS: `${root.path}/ca.pem` };
  const file = { file: `${process.cwd()}/dist/clawchat.js`, env };
  return place.run(file, [...args, '--data', data], input);
}

async function join(host: string, data: string): Promise<Ended> {
  return run(data, ['join'], await place.ok('clawchatd', ['invite', '--data', host, '--name', 'Ann']));
}

/** One request from an address of this machine; resolves when the connection is over. */
function knock(port: number, localAddress: string, header = ''): Promise<string> {
  return new Promise(resolve => {
    let bytes = '';
    const raw = connectPlain({ port, host: '127.0.0.1', localAddress }).on('error', () => {});
    const socket = connect({ socket: raw, rejectUnauthorized: false }, () => {
      socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${header}\r\n`);
    });
    socket.on('data', (piece: Buffer) => {
      bytes += piece.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(bytes));
  });
}

/** The subject of the certificate that is presented. */
function presented(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('behind nginx', () => {
  const [A, B] = [place.path('A'), place.path('B')];
  let nginx: ServerProcess;
  let front = 0;
  let port = 0;
  let host: Running;

  beforeAll(async () => {
    [front, port] = [await freePort(), await freePort()];
    mkdirSync(A, { mode: 0o700 });
    const places = {
      'port: 8443': `port: ${port}`,
      'advertise-port: 443': `advertise-port: ${front}`,
      'chat.example.org': 'localhost',
    };
    writeFileSync(place.path('A', 'config.yaml'), recipe('front config', places, PAGE), { mode: 0o600 });
    const site = recipe(
      'front nginx',
      {
        'listen 443 ssl': `listen 127.0.0.1:${front} ssl`,
        'server_name chat.example.org': 'server_name localhost',
        '/etc/ssl/chat.example.org.pem': `${root.path}/store.pem`,
        '/etc/ssl/chat.example.org.key': `${root.path}/store.key`,
        '127.0.0.1:8443': `127.0.0.1:${port}`,
      },
      PAGE,
    );
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map(kind => `${kind}_temp_path ${root.path}/${kind};`)
      .join('\n');
    const config = `${root.path}/front.conf`;
    writeFileSync(
      config,
      `daemon off; pid ${root.path}/front.pid; error_log ${root.path}/front-error.log;
       events {} http { access_log ${root.path}/access.log; ${temporary} ${site} }`,
    );
    nginx = await startServer('nginx', ['-c', config, '-e', `${root.path}/front-error.log`], front);
    host = place.start('clawchatd', ['--data', A, '--log-level', 'debug']);
    await host.line(line => line.includes(' is ready'));
  });
  afterAll(() => nginx.stop());

  it('people join and talk, and the record pins no key', async () => {
    expect((await join(A, B)).stderr).not.toContain('[');
    expect((await run(B, ['send', 'through the front'])).code).toBe(0);
    expect((await run(B, ['history'])).stdout).toContain('through the front');
    const record = JSON.parse((await run(B, ['inspect', `${A}/connection.clawchat`, '--json'])).stdout);
    expect(JSON.stringify(record)).toContain('localhost');
    expect(JSON.stringify(record)).toContain(String(front));
    expect(JSON.stringify(record)).not.toContain(String(port));
    await until('nginx has logged them', () => / 101 /.test(readFileSync(`${root.path}/access.log`, 'utf8')));
  });

  it('a client that does not know the authority is not let on', async () => {
    const ended = await place.run('clawchat', ['ping', '--json', '--data', B]);
    expect(JSON.parse(ended.stderr.trim().split('\n').at(-1) ?? '').error.code).toBe('TLS_FAILED');
  });

  it('limits whoever stands behind the proxy, by the address that the proxy saw (LI-030~1)', async () => {
    const spoofed = 'X-Forwarded-For: 203.0.113.6\r\n';
    for (let i = 0; i < ADDRESS_TOKENS_MAX + 4; i += 1) await knock(front, '127.0.0.9', spoofed);
    const limited = (): readonly unknown[] =>
      logged(host, 'refused').filter(entry => 'reason' in entry && entry.reason === 'address_limit');
    await until('it is limited', () => limited().length > 0);
    expect(limited()[0]).toMatchObject({ address: '127.0.0.9' });
    // Past the proxy the header counts for nothing: it is the connection's own address that has no more tokens.
    let direct = '';
    for (let i = 0; i < ADDRESS_TOKENS_MAX + 4; i += 1)
      direct = await knock(port, '127.0.0.8', `X-Forwarded-For: 203.0.113.${i}\r\n`);
    expect(direct).toBe('');
    // The stranger sees what every stranger sees, and members go on.
    expect(await knock(front, '127.0.0.9')).toMatch(/^HTTP\/1\.1 404 /);
    expect((await run(B, ['ping'])).code).toBe(0);
  });
});

describe('with a certificate of an authority', () => {
  it('clients trust it, and a renewed one is presented after SIGHUP', async () => {
    const [C, D] = [place.path('C'), place.path('D')];
    const port = await freePort();
    const files = ['certificate', 'key'].map(name => `${root.path}/own-${name}.pem`);
    const [certificate = '', key = ''] = files;
    const install = (): void => {
      execFileSync('cp', [`${root.path}/store.pem`, certificate]);
      execFileSync('cp', [`${root.path}/store.key`, key]);
    };
    install();
    chmodSync(key, 0o644);
    const own = ['--port', String(port), '--tls-certificate', certificate, '--tls-key', key];
    for (const words of [[], ['doctor']]) {
      const ended = await place.run('clawchatd', [...words, '--data', C, ...own]);
      expect(ended.code).toBe(6);
      expect(ended.stdout + ended.stderr).toContain(`others can read ${key}`);
    }
    chmodSync(key, 0o600);
    const settings = ['--port', String(port), '--advertise', 'localhost'];
    const host = await place.host(C, [...settings, '--tls-certificate', certificate, '--tls-key', key]);
    expect((await join(C, D)).code).toBe(0);
    expect((await run(D, ['ping'])).code).toBe(0);
    const before = await presented(port);
    const renewed = serverRoot();
    execFileSync('cp', [`${renewed.path}/store.pem`, certificate]);
    // Half of it is no pair: the host says so and keeps what it has.
    host.child.kill('SIGHUP');
    await until('it is refused', () => logged(host, 'certificate-refused').length > 0);
    expect(await presented(port)).toBe(before);
    execFileSync('cp', [`${renewed.path}/store.key`, key]);
    renewed.remove();
    host.child.kill('SIGHUP');
    await until('it is read', () => logged(host, 'certificate-read').length > 0);
    expect(await presented(port)).not.toBe(before);
  });
});
