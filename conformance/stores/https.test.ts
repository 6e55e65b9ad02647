/** HTTPS stores against a server of our own, which can do what real ones only do on a bad day. */
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { StoreTrouble } from '../../src/discovery/store.ts';
import { FILE_BYTES_MAX } from '../../src/gen/constants.ts';
import { proxyFor } from '../../src/node/proxy.ts';
import {
  areHeaders,
  HttpsReader,
  HttpsWriter,
  parseStoreUrl,
  signedUntil,
} from '../../src/node/stores/https.ts';
import type { Way } from '../../src/node/stores/tls.ts';
import { emulateHttps, type HttpsEmulator } from '../emulators/https.ts';
import { type StoreLab, storeBehaviour } from './behaviour.ts';
import { closeServer, cutWrite, listen, relayFaults, relayTo } from './relay.ts';
import { noise, sealed } from './sealed.ts';

const LIMIT_MS = 700;
const SECRET = 'Bearer secret-of-the-writer';

function storeUrl(port: number, path = '/host.claw'): URL {
  const url = parseStoreUrl(`https://127.0.0.1:${port}${path}`);
  if (url === undefined) throw new Error('not a URL');
  return url;
}

function writerTo(url: URL, way: Way, headers: Record<string, string> = {}): HttpsWriter {
  const writing = { address: async () => url, method: 'PUT' as const, headers };
  return new HttpsWriter('https://127.0.0.1', writing, { ...way, limitMs: LIMIT_MS });
}

async function openLab(): Promise<StoreLab> {
  const server = await emulateHttps();
  const relay = await relayTo(server.port);
  const url = storeUrl(relay.port, '/host.claw?token=secret');
  const path = '/host.claw?token=secret';
  const way: Way = { trust: { kind: 'pin', sha256: server.pin }, proxy: undefined };
  let authorization = SECRET;
  server.writeAuthorization = SECRET;
  const answering = (status: number) => async (): Promise<void> => {
    server.fault = { kind: 'status', status };
  };
  return {
    limitMs: LIMIT_MS,
    reader: () => new HttpsReader(url, { ...way, limitMs: LIMIT_MS }),
    writer: () => writerTo(url, way, { authorization }),
    clear: async () => {
      server.files.clear();
      server.fault = { kind: 'none' };
      relay.mode = { kind: 'pass' };
      authorization = SECRET;
    },
    plant: async bytes => void server.files.set(path, Uint8Array.from(bytes)),
    peek: async () => [...server.files.values()],
    faults: {
      ...relayFaults(relay, 3000),
      refused: async () => {
        authorization = 'Bearer secret-of-somebody-else';
      },
      quota: answering(507),
      busy: answering(503),
    },
    dyingWrite: async (bytes, after) => {
      await cutWrite(relay, { bytes: bytes.length, after, more: 2000 }, () =>
        writerTo(url, way, { authorization }).publish(bytes, new AbortController().signal),
      );
    },
    close: async () => {
      await relay.close();
      await server.close();
    },
  };
}

storeBehaviour('HTTPS, own server', openLab);

describe('HTTPS', () => {
  let server: HttpsEmulator;
  let way: Way;
  const live = new AbortController().signal;
  const reader = (path?: string): HttpsReader =>
    new HttpsReader(storeUrl(server.port, path), { ...way, limitMs: LIMIT_MS });
  const file = sealed(1);

  beforeAll(async () => {
    server = await emulateHttps();
    way = { trust: { kind: 'pin', sha256: server.pin }, proxy: undefined };
  });
  afterAll(() => server.close());
  afterEach(() => {
    server.fault = { kind: 'none' };
    server.files.clear();
    server.redirects.clear();
    server.seen.length = 0;
    server.writeAuthorization = undefined;
  });

  test.each<[number, StoreTrouble | 'absent', StoreTrouble]>([
    [400, 'malformed', 'malformed'],
    [401, 'refused', 'refused'],
    [402, 'quota', 'quota'],
    [403, 'refused', 'refused'],
    [404, 'absent', 'refused'],
    [408, 'busy', 'busy'],
    [409, 'malformed', 'refused'],
    [410, 'absent', 'refused'],
    [412, 'malformed', 'busy'],
    [413, 'oversized', 'oversized'],
    [418, 'malformed', 'malformed'],
    [425, 'busy', 'busy'],
    [429, 'busy', 'busy'],
    [500, 'busy', 'busy'],
    [503, 'busy', 'busy'],
    [507, 'quota', 'quota'],
    [599, 'busy', 'busy'],
    [206, 'malformed', 'malformed'],
    [304, 'malformed', 'malformed'],
  ])('status %s: reading %s, writing %s', async (status, reading, writing) => {
    server.fault = { kind: 'status', status };
    const expected = reading === 'absent' ? { kind: 'absent' } : { kind: 'failed', trouble: reading };
    expect(await reader().read(live)).toMatchObject(expected);
    const answer = await writerTo(storeUrl(server.port), way).publish(file, live);
    expect(answer).toMatchObject({ kind: 'failed', trouble: writing });
  });

  test.each([
    ['120', 120_000],
    ['0', 0],
    ['99999999999', 86_400_000],
    ['soon', undefined],
    ['-5', undefined],
  ])('Retry-After: %s', async (header, retryAfterMs) => {
    server.fault = { kind: 'status', status: 429, headers: { 'retry-after': header } };
    const answer = await reader().read(live);
    expect(answer).toMatchObject({ kind: 'failed', trouble: 'busy' });
    expect(answer.kind === 'failed' ? answer.retryAfterMs : -1).toBe(retryAfterMs);
  });

  test('Retry-After with a date', async () => {
    const at = new Date(Math.ceil(Date.now() / 1000) * 1000 + 30_000).toUTCString();
    server.fault = { kind: 'status', status: 503, headers: { 'retry-after': at } };
    const answer = await reader().read(live);
    const ms = answer.kind === 'failed' ? (answer.retryAfterMs ?? 0) : 0;
    expect(ms).toBeGreaterThan(20_000);
    expect(ms).toBeLessThanOrEqual(31_000);
  });

  test('bytes without end are read up to the limit and no further (DI-002~1)', async () => {
    server.fault = { kind: 'endless' };
    expect(await reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'oversized' });
    // What TCP and TLS hold on the way comes on top.
    expect(server.sentBytes).toBeLessThan(FILE_BYTES_MAX + 16 * 1024 * 1024);
  });

  test.each<[string, HttpsEmulator['fault'], StoreTrouble]>([
    ['an announced length that is too long', { kind: 'announceTooMuch' }, 'oversized'],
    ['a byte now and then (DI-003~1)', { kind: 'drip' }, 'timeout'],
    ['no answer (DI-003~1)', { kind: 'silent' }, 'timeout'],
    ['a body that is cut off', { kind: 'cutBody', bytes: 1000 }, 'unreachable'],
    ['a compressed body (DI-044~1)', { kind: 'gzip' }, 'malformed'],
    ['something that is not HTTP', { kind: 'notHttp' }, 'malformed'],
  ])('%s', async (_what, fault, trouble) => {
    server.files.set('/host.claw', file);
    server.fault = fault;
    expect(await reader().read(live)).toMatchObject({ kind: 'failed', trouble });
  });

  test('one ETag for two files hides the second from a conditional read only (DI-043~1)', async () => {
    server.fault = { kind: 'oneEtag' };
    server.files.set('/host.claw', file);
    const same = reader();
    expect(await same.read(live)).toMatchObject({ kind: 'file' });
    server.files.set('/host.claw', sealed(2));
    expect(await same.read(live)).toEqual({ kind: 'unchanged' });
    expect(await same.read(live, { unconditional: true })).toMatchObject({ kind: 'file' });
    expect(server.seen.map(({ headers }) => headers['if-none-match'])).toEqual([
      undefined,
      '"one"',
      undefined,
    ]);
  });

  test('reads follow a few redirects, to https only, and take no credential along (DI-041~1)', async () => {
    const other = await emulateHttps();
    server.files.set('/moved', file);
    const follow = async (location: string): Promise<unknown> => {
      server.redirects.set('/host.claw', location);
      return await reader().read(live);
    };
    expect(await follow('/moved')).toMatchObject({ kind: 'file' });
    for (const bad of ['http://127.0.0.1/x', 'ftp://127.0.0.1/x', 'https://', '', 'file:///etc/passwd']) {
      expect(await follow(bad)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
    }
    // The pin holds behind a redirect as well.
    other.files.set('/host.claw', file);
    expect(await follow(`https://127.0.0.1:${other.port}/host.claw`)).toMatchObject({ trouble: 'untrusted' });
    expect(other.seen).toEqual([]);
    await other.close();
  });

  test('a loop of redirects ends (DI-041~1)', async () => {
    server.fault = { kind: 'status', status: 307, headers: { location: '/again' } };
    expect(await reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
    expect(server.seen.length).toBe(4);
  });

  test('user and password of the address are sent, and not behind a redirect to another server (DI-041~1)', async () => {
    const url = storeUrl(server.port);
    url.username = 'anna';
    url.password = 'secret%40';
    server.files.set('/host.claw', file);
    const own = new HttpsReader(url, { ...way, limitMs: LIMIT_MS });
    expect(own.name).toBe(`https://127.0.0.1:${server.port}/host.claw`);
    await own.read(live);
    expect(server.seen[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('anna:secret@').toString('base64')}`,
    );
    // By another name it is another server.
    server.seen.length = 0;
    server.redirects.set('/host.claw', `https://localhost:${server.port}/other`);
    server.files.set('/other', file);
    expect(await own.read(live)).toMatchObject({ kind: 'file' });
    expect(server.seen.map(({ path }) => path)).toEqual(['/host.claw', '/other']);
    expect(server.seen.at(-1)?.headers.authorization).toBeUndefined();
  });

  test.each([301, 302, 303, 307, 308])('a write is not redirected by %s (DI-042~1)', async status => {
    server.fault = { kind: 'status', status, headers: { location: '/elsewhere' } };
    const answer = await writerTo(storeUrl(server.port), way).publish(file, live);
    expect(answer).toMatchObject({ kind: 'failed', trouble: 'malformed' });
    expect(server.seen.length).toBe(1);
    expect(server.files.size).toBe(0);
  });

  test('the server proves the pinned key before it is asked anything (DI-040~1)', async () => {
    server.files.set('/host.claw', file);
    const wrong: Way = { trust: { kind: 'pin', sha256: new Uint8Array(32) }, proxy: undefined };
    const system: Way = { trust: { kind: 'system' }, proxy: undefined };
    for (const bad of [wrong, system]) {
      expect(await new HttpsReader(storeUrl(server.port), bad).read(live)).toMatchObject({
        trouble: 'untrusted',
      });
      const answer = await writerTo(storeUrl(server.port), bad, { authorization: SECRET }).publish(
        file,
        live,
      );
      expect(answer).toMatchObject({ trouble: 'untrusted' });
    }
    expect(server.seen).toEqual([]);
  });

  test('a signed address that is over is expired, and one that is wrong is refused', async () => {
    server.fault = { kind: 'status', status: 403 };
    const old = '/x?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=0';
    const current = '/x?X-Amz-Date=20990101T000000Z&X-Amz-Expires=60&X-Amz-Signature=0';
    const write = async (path: string): Promise<unknown> =>
      await writerTo(storeUrl(server.port, path), way).publish(file, live);
    expect(await write(old)).toMatchObject({ trouble: 'expired' });
    expect(await write(current)).toMatchObject({ trouble: 'refused' });
    server.fault = {
      kind: 'status',
      status: 403,
      body: '<Error><Message>Request has expired</Message></Error>',
    };
    expect(await write(current)).toMatchObject({ trouble: 'expired' });
  });

  test('no detail tells a credential (DI-004~1)', async () => {
    const url = storeUrl(server.port, '/x?secret=1');
    url.username = 'secret';
    const details: string[] = [];
    for (const status of [400, 401, 403, 404, 409, 412, 500]) {
      server.fault = { kind: 'status', status, headers: { location: '/secret' }, body: 'secret' };
      for (const answer of [
        await new HttpsReader(url, { ...way, limitMs: LIMIT_MS }).read(live),
        await writerTo(url, way, { authorization: 'secret' }).publish(file, live),
      ])
        details.push('detail' in answer ? answer.detail : '');
    }
    server.fault = {
      kind: 'status',
      status: 302,
      headers: { location: 'https://user:secret@127.0.0.1:1/secret' },
    };
    const answer = await new HttpsReader(url, { ...way, limitMs: LIMIT_MS }).read(live);
    details.push(answer.kind === 'failed' ? answer.detail : '');
    expect(details.join()).not.toContain('secret');
    expect(details.filter(detail => detail.length > 0).length).toBeGreaterThan(12);
  });

  describe('through a proxy', () => {
    let proxy: Server;
    let port = 0;
    const sockets = new Set<Socket>();
    const asked: { readonly target: string | undefined; readonly credentials: string | undefined }[] = [];
    let status = 200;
    beforeAll(async () => {
      proxy = createServer((_asked, answer) => answer.writeHead(405).end());
      proxy.on('connect', (request, client: Socket) => {
        asked.push({ target: request.url, credentials: request.headers['proxy-authorization'] });
        sockets.add(client);
        client.on('error', () => {});
        if (status !== 200) return client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
        const target = connect(server.port, '127.0.0.1', () => {
          client.write('HTTP/1.1 200 Connection established\r\n\r\n');
          client.pipe(target).pipe(client);
        });
        sockets.add(target);
        return target.on('error', () => client.destroy());
      });
      port = await listen(proxy);
    });
    afterAll(() => closeServer(proxy, sockets));
    afterEach(() => {
      asked.length = 0;
      status = 200;
    });
    const through = (): Way => ({ ...way, proxy: new URL(`http://bob:p%40ss@127.0.0.1:${port}`) });

    test('everything goes through CONNECT, TLS end to end', async () => {
      const url = storeUrl(server.port);
      expect(await writerTo(url, through()).publish(file, live)).toEqual({ kind: 'published' });
      expect(await new HttpsReader(url, through()).read(live)).toMatchObject({ kind: 'file' });
      const credentials = `Basic ${Buffer.from('bob:p@ss').toString('base64')}`;
      expect(asked).toEqual([1, 2].map(() => ({ target: `127.0.0.1:${server.port}`, credentials })));
      expect(server.seen.every(({ headers }) => headers['proxy-authorization'] === undefined)).toBe(true);
    });

    test.each<[number, StoreTrouble]>([
      [407, 'refused'],
      [502, 'unreachable'],
    ])('a proxy that answers %s', async (code, trouble) => {
      status = code;
      expect(await new HttpsReader(storeUrl(server.port), through()).read(live)).toMatchObject({ trouble });
      expect(server.seen).toEqual([]);
    });

    test('a proxy that is not there, and one that is none', async () => {
      const gone: Way = { ...way, proxy: new URL('http://127.0.0.1:1') };
      expect(await new HttpsReader(storeUrl(server.port), gone).read(live)).toMatchObject({
        trouble: 'unreachable',
      });
      const tls: Way = { ...way, proxy: new URL(`http://127.0.0.1:${server.port}`) };
      const answer = await new HttpsReader(storeUrl(server.port), tls).read(live);
      expect(answer).toMatchObject({ kind: 'failed' });
    });
  });

  test('the largest file goes both ways', async () => {
    const largest = noise(FILE_BYTES_MAX);
    expect(await writerTo(storeUrl(server.port), way).publish(largest, live)).toEqual({ kind: 'published' });
    const answer = await reader().read(live);
    expect(answer.kind === 'file' && Buffer.compare(answer.bytes, largest)).toBe(0);
  });
});

test('which proxy', () => {
  const choose = (environment: Record<string, string>): string | undefined =>
    proxyFor(new URL('https://files.example.org:8443/a'), environment)?.href;
  expect(choose({})).toBeUndefined();
  expect(choose({ HTTPS_PROXY: 'http://p:1' })).toBe('http://p:1/');
  expect(choose({ https_proxy: 'http://q:1', HTTPS_PROXY: 'http://p:1' })).toBe('http://q:1/');
  expect(choose({ ALL_PROXY: 'http://p:1' })).toBe('http://p:1/');
  expect(choose({ ALL_PROXY: 'socks5://p:1' })).toBeUndefined();
  for (const no of [
    '*',
    'example.org',
    '.example.org',
    'a,files.example.org',
    '*.example.org',
    'files.example.org:8443',
  ])
    expect(choose({ HTTPS_PROXY: 'http://p:1', NO_PROXY: no }), no).toBeUndefined();
  for (const no of ['', 'ample.org', 'other.org', 'x.files.example.org'])
    expect(choose({ HTTPS_PROXY: 'http://p:1', NO_PROXY: no }), no).toBe('http://p:1/');
});

test('when signed addresses end', () => {
  const until = (query: string): number | undefined => signedUntil(new URL(`https://s/x?${query}`));
  const at = Date.UTC(2026, 10, 23, 10, 0, 0);
  expect(until('X-Amz-Date=20261123T090000Z&X-Amz-Expires=3600')).toBe(at);
  expect(until('X-Goog-Date=20261123T090000Z&X-Goog-Expires=3600')).toBe(at);
  expect(until(`AWSAccessKeyId=a&Signature=b&Expires=${at / 1000}`)).toBe(at);
  expect(until('sig=b&se=2026-11-23T10:00:00Z')).toBe(at);
  for (const none of [
    '',
    'Expires=1',
    'se=2026-11-23T10:00:00Z',
    'X-Amz-Date=now&X-Amz-Expires=3600',
    'X-Amz-Date=20261123T090000Z',
  ])
    expect(until(none), none).toBeUndefined();
});

test('what is no address of a store, and what is no header', () => {
  for (const text of ['', 'x', 'http://a/b', 'ftp://a/b', 'https://', 'file:///a', '/a'])
    expect(parseStoreUrl(text), text).toBeUndefined();
  expect(parseStoreUrl('https://a/b#c')?.href).toBe('https://a/b');
  expect(areHeaders({ authorization: 'Basic eA==' })).toBe(true);
  for (const bad of [{ 'a b': 'c' }, { a: 'b\r\nc: d' }, { '': 'a' }])
    expect(areHeaders(bad as Record<string, string>)).toBe(false);
});
