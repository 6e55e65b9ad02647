import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { ClawChatError, codeName } from '../protocol/fault.ts';
import { makeCertificate } from './certificate.ts';
import { adviceFor } from './cli/join.ts';
import { dial } from './dial.ts';
import { native } from './native.ts';

const certificate = makeCertificate(native, Date.now());
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listening(server: Server): Promise<number> {
  closing.push(() => server.close());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Dial servers on these ports, with the pin of `certificate`. */
function dialPorts(ports: readonly number[], timeoutMs = 10_000): ReturnType<typeof dial> {
  return dial({
    endpoints: ports.map(port => ({ host: '127.0.0.1', port })),
    tlsPins: [certificate.spkiSha256],
    token: 'token',
    timeoutMs,
    signal: new AbortController().signal,
    environment: {},
  });
}

/** What a client makes of servers on these ports. */
async function outcome(...ports: readonly number[]): Promise<string> {
  const result = await dialPorts(ports);
  if (result.kind === 'fault') return codeName(result.code);
  result.socket.terminate();
  return 'dialled';
}

/** Why it reaches none of them. */
async function why(ports: readonly number[], timeoutMs?: number): Promise<string> {
  const result = await dialPorts(ports, timeoutMs);
  return result.kind === 'fault' ? `${codeName(result.code)} ${result.detail}` : 'dialled';
}

function tcp(serve: (socket: Socket) => void): Promise<number> {
  return listening(
    createServer(socket => {
      socket.on('error', () => {});
      serve(socket);
    }),
  );
}

/** A TLS server that waits for a request; `raw` is the connection beneath. */
function tls(
  serve: (socket: TLSSocket, raw: Socket | undefined) => void,
  shown: ReturnType<typeof makeCertificate> = certificate,
): Promise<number> {
  let raw: Socket | undefined;
  const server = createTlsServer({ key: shown.key, cert: shown.cert, minVersion: 'TLSv1.3' }, socket => {
    socket.on('error', () => {});
    socket.once('data', () => serve(socket, raw));
  });
  server.on('connection', socket => {
    raw = socket;
  });
  return listening(server);
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise(resolve => server.close(resolve));
  return port;
}

test('a network that fails before TLS is through is a host that cannot be reached', async () => {
  expect(await outcome(await freePort())).toBe('HOST_UNREACHABLE');
  expect(await outcome(await tcp(socket => socket.once('data', () => socket.resetAndDestroy())))).toBe(
    'HOST_UNREACHABLE',
  );
  expect(await outcome(await tcp(socket => socket.once('data', () => socket.end())))).toBe(
    'HOST_UNREACHABLE',
  );
});

describe('of a host that is reached nowhere', () => {
  const refused = (port: number): string => `127.0.0.1 port ${port}: nothing listens there (ECONNREFUSED)`;

  test('every address that was tried is named, with what became of it', async () => {
    const [one, other] = [await freePort(), await freePort()];
    expect(await why([one, other])).toBe(`HOST_UNREACHABLE ${refused(one)}; ${refused(other)}`);
    expect(await why([])).toBe('HOST_UNREACHABLE the record names no endpoint');
  });

  test('so is the one that keeps silent, when the time is up', async () => {
    const [off, silent] = [await freePort(), await tcp(() => {})];
    expect(await why([off, silent], 1500)).toBe(
      `TIMEOUT 127.0.0.1 port ${silent}: no answer within 1.5 s; ${refused(off)}`,
    );
  });

  test('somebody else who answers comes first, wherever they stand', async () => {
    const foreign = await tls(() => {}, makeCertificate(native, Date.now()));
    const off = await freePort();
    expect(await why([foreign, off])).toBe(
      `TLS_FAILED 127.0.0.1 port ${foreign}: not the certificate of the record; ${refused(off)}`,
    );
  });

  test('so many are named as a person reads', async () => {
    // Nothing listens on the lowest ports.
    const text = await why([1, 2, 3, 4, 5, 6, 8]);
    expect(text.split('; ')).toHaveLength(5);
    expect(text).toMatch(/; and 3 more$/);
  });
});

test('a network that fails before the answer to the token refuses nobody', async () => {
  expect(await outcome(await tls(socket => socket.destroy()))).toBe('HOST_UNREACHABLE');
  expect(await outcome(await tls(socket => socket.end()))).toBe('HOST_UNREACHABLE');
  expect(await outcome(await tls((_, raw) => raw?.resetAndDestroy()))).toBe('HOST_UNREACHABLE');
});

test('any answer but 101 is a refusal (HS-004)', async () => {
  expect(await outcome(await tls(socket => socket.end('HTTP/1.1 404 Not Found\r\n\r\n')))).toBe(
    'GATE_REFUSED',
  );
  expect(await outcome(await tls(socket => socket.end('hello')))).toBe('GATE_REFUSED');
});

test('another certificate, or no TLS, is somebody else (HS-002)', async () => {
  const other = makeCertificate(native, Date.now());
  const foreign = await tls(() => {}, other);
  expect(await outcome(foreign)).toBe('TLS_FAILED');
  expect(await outcome(foreign, await freePort())).toBe('TLS_FAILED');
  expect(await outcome(await tcp(socket => socket.once('data', () => socket.end('220 mail\r\n'))))).toBe(
    'TLS_FAILED',
  );
});

test('TLS 1.2 is nothing to go on with, whoever offers it (HS-001~1)', async () => {
  const { key, cert } = certificate;
  const seen: unknown[] = [];
  const old = createTlsServer({ key, cert, maxVersion: 'TLSv1.2' }, socket => {
    socket.on('error', () => {});
    seen.push(socket.getProtocol());
  });
  expect(await outcome(await listening(old))).toBe('TLS_FAILED');
  expect(seen).toEqual([]);
});

test('a client with pins names nobody in its first message, one without names the host (HS-023~1)', async () => {
  const names: string[] = [];
  const server = createTlsServer({
    key: certificate.key,
    cert: certificate.cert,
    minVersion: 'TLSv1.3',
    SNICallback: (name, done) => {
      names.push(name);
      done(null);
    },
  });
  let greeted = 0;
  server.on('secureConnection', socket => {
    greeted += 1;
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'));
  });
  const port = await listening(server);
  const about = { token: 'token', timeoutMs: 10_000, signal: new AbortController().signal };
  const endpoints = [{ host: 'localhost', port }];
  const pinned = await dial({ ...about, environment: {}, endpoints, tlsPins: [certificate.spkiSha256] });
  expect(pinned.kind === 'fault' && codeName(pinned.code)).toBe('GATE_REFUSED');
  expect([greeted, names]).toEqual([1, []]);
  const vouched = await dial({ ...about, environment: {}, endpoints, tlsPins: [] });
  // No authority vouches for it; that the name was sent is what counts here.
  if (vouched.kind !== 'fault') throw new Error('somebody vouched for it');
  expect(codeName(vouched.code)).toBe('TLS_FAILED');
  expect(vouched.detail).toContain(
    'this machine does not trust its certificate (DEPTH_ZERO_SELF_SIGNED_CERT)',
  );
  expect(adviceFor(new ClawChatError(vouched), undefined)).toContain('NODE_EXTRA_CA_CERTS');
  const foreign = { ...vouched, detail: 'localhost port 1: not the certificate of the record' };
  expect(adviceFor(new ClawChatError(foreign), undefined)).toContain('another machine answers');
  expect(names).toEqual(['localhost']);
});

test('the request offers the protocol and the token, and no extension (HS-003~1, LI-006~1)', async () => {
  const request = new Promise<string>(resolve => {
    const { key, cert } = certificate;
    const server = createTlsServer({ key, cert, minVersion: 'TLSv1.3' }, socket => {
      socket.on('error', () => {});
      socket.once('data', data => {
        resolve(data.toString('latin1'));
        socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
      });
    });
    void listening(server).then(outcome);
  });
  const [line, ...headers] = (await request).trimEnd().split('\r\n');
  expect(line).toBe('GET / HTTP/1.1');
  const named = headers
    .map(header => header.split(/: */, 2))
    .filter(([name]) => /^sec-websocket-[pe]/i.test(name ?? ''));
  expect(named.map(([name, value]) => [name?.toLowerCase(), value?.replaceAll(' ', '')])).toEqual([
    ['sec-websocket-protocol', 'clawchat.v1,token'],
  ]);
});

test('of two endpoints that pass TLS one gets the token (HS-024~1)', async () => {
  const requests: string[] = [];
  const { key, cert } = certificate;
  let held: Socket | undefined;
  const server = (name: string): Server =>
    createTlsServer({ key, cert, minVersion: 'TLSv1.3' }, socket => {
      socket.on('error', () => {});
      socket.once('data', () => {
        requests.push(name);
        release();
        if (name === 'second') void ended.then(() => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'));
      });
    });
  // The first is only let in once the second has the token.
  let release: () => void = () => {};
  const first = server('first');
  const ended = new Promise<void>(resolve => {
    release = () => {
      if (held === undefined) return;
      held.once('close', () => resolve());
      first.emit('connection', held);
    };
  });
  const slow = await tcp(socket => {
    held = socket;
  });
  expect(await outcome(slow, await listening(server('second')))).toBe('GATE_REFUSED');
  expect(requests).toEqual(['second']);
});

/** What a client makes of a proxy that answers every request so; '' for silence. */
async function through(answer: string): Promise<string> {
  const proxy = await tcp(socket => {
    socket.once('data', () => void (answer === '' || socket.end(answer)));
  });
  return throughPort(proxy);
}

async function throughPort(proxy: number): Promise<string> {
  const result = await dial({
    endpoints: [{ host: '127.0.0.1', port: 1 }],
    tlsPins: [certificate.spkiSha256],
    token: 'token',
    timeoutMs: 1000,
    signal: new AbortController().signal,
    environment: { HTTPS_PROXY: `http://ann:hidden@127.0.0.1:${proxy}` },
  });
  if (result.kind !== 'fault') return 'dialled';
  expect(result.detail).not.toContain('hidden');
  return codeName(result.code);
}

test('through a proxy everything goes inside one connection that CONNECT has asked for (HS-040~1)', async () => {
  const host = await tls(socket => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'));
  const asked: string[] = [];
  const proxy = await tcp(socket => {
    socket.once('data', data => {
      asked.push(...data.toString('latin1').split('\r\n').slice(0, 2));
      // Nothing listens at the place that was asked for: only through here the host is reached.
      const inner = connectTcp(host, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(inner).pipe(socket);
      });
      inner.on('error', () => socket.destroy());
    });
  });
  for (const [place, target] of [
    ['192.0.2.1', '192.0.2.1:1'],
    ['host.example', 'host.example:1'],
    ['2001:db8::1', '[2001:db8::1]:1'],
  ] as const) {
    const result = await dial({
      endpoints: [{ host: place, port: 1 }],
      tlsPins: [certificate.spkiSha256],
      token: 'token',
      timeoutMs: 10_000,
      signal: new AbortController().signal,
      environment: { HTTPS_PROXY: `http://127.0.0.1:${proxy}` },
    });
    expect(result.kind === 'fault' && codeName(result.code)).toBe('GATE_REFUSED');
    expect(asked.splice(0)).toEqual([`CONNECT ${target} HTTP/1.1`, `host: ${target}`]);
  }
});

test('of a proxy that does not let it through it says why (HS-041~1)', async () => {
  expect(await through('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')).toBe('PROXY_REFUSED');
  expect(await through('HTTP/1.1 403 Forbidden\r\n\r\n')).toBe('PROXY_REFUSED');
  expect(await through('HTTP/1.1 502 Bad Gateway\r\n\r\n')).toBe('HOST_UNREACHABLE');
  expect(await through('HTTP/1.1 302 Found\r\n\r\n')).toBe('PROXY_UNREACHABLE');
  expect(await through('HTTP/1.1 600 What\r\n\r\n')).toBe('PROXY_UNREACHABLE');
  expect(await through('SSH-2.0-x\r\n')).toBe('PROXY_UNREACHABLE');
  expect(await through('')).toBe('PROXY_UNREACHABLE');
  expect(await throughPort(1)).toBe('PROXY_UNREACHABLE');
  // What comes behind a yes is no TLS.
  expect(await through('HTTP/1.1 200 OK\r\n\r\nnothing of use')).toBe('TLS_FAILED');
});
