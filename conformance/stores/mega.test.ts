/**
 * Mega stores against the project's own emulator. It proves our reading of the protocol, not the live service.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StoreTrouble } from '../../src/discovery/store.ts';
import { judge } from '../../src/discovery/verdict.ts';
import { FILE_BYTES_MAX, STORE_CANDIDATES_MAX, STORE_PATIENCE_MS } from '../../src/gen/constants.ts';
import {
  type FolderLink,
  logInToMega,
  type MegaReach,
  MegaReader,
  MegaWriter,
  parseFolderLink,
} from '../../src/node/stores/mega.ts';
import { megaError, workOf } from '../../src/node/stores/mega-api.ts';
import { loadMegajs } from '../../src/node/stores/megajs.ts';
import { checkMega } from '../../src/node/stores/open.ts';
import { emulateMega, type MegaEmulator, type MegaFault } from '../emulators/mega.ts';
import { type StoreLab, storeBehaviour } from './behaviour.ts';
import { cutWrite, relayFaults, relayTo } from './relay.ts';
import { noise, open, sealed } from './sealed.ts';

const LIMIT_MS = 1500;
const live = new AbortController().signal;

/** An account with a folder, its session and its link. */
interface Home {
  readonly link: FolderLink;
  readonly session: Uint8Array;
}

function reachTo(emulator: MegaEmulator, port: number = emulator.port): MegaReach {
  const trust = { kind: 'pin', sha256: emulator.pin } as const;
  return { trust, proxy: undefined, gateway: `https://localhost:${port}/`, limitMs: LIMIT_MS };
}

async function moveIn(emulator: MegaEmulator, more?: { readonly secondFactorCode: string }): Promise<Home> {
  const { email, password } = emulator;
  const login = { email, password, folderName: 'ClawChat', ...more };
  const answer = await logInToMega(login, reachTo(emulator), live);
  if (answer.kind === 'failed') throw new Error(answer.detail);
  const link = parseFolderLink(answer.folderLink);
  if (link === undefined) throw new Error('not a folder link');
  return { link, session: answer.session };
}

/** Put bytes there as any Mega client could: with megajs alone, and none of the limits. */
async function plant(
  emulator: MegaEmulator,
  { link, session }: Home,
  bytes: Uint8Array,
  name = 'host.claw',
): Promise<void> {
  const mega = await loadMegajs();
  const { key, sid, user } = JSON.parse(Buffer.from(session).toString()) as {
    key: string;
    sid: string;
    user: string;
  };
  const https = await import('node:https');
  const fetchAny = async (
    url: string,
    options: { method?: string; body?: unknown } = {},
  ): Promise<Response> => {
    const body = options.body as string | Buffer | undefined;
    return await new Promise((resolve, reject) => {
      const asking = https.request(
        url,
        { method: options.method ?? 'GET', rejectUnauthorized: false },
        answer => {
          const parts: Buffer[] = [];
          answer.on('data', (part: Buffer) => parts.push(part));
          answer.on('end', () =>
            resolve(new Response(Buffer.concat(parts), { status: answer.statusCode ?? 500 })),
          );
        },
      );
      asking.on('error', reject);
      asking.end(body);
    });
  };
  const options = {
    gateway: `https://localhost:${emulator.port}/`,
    fetch: fetchAny as never,
    keepalive: false,
    userAgent: null,
  };
  const storage = mega.Storage.fromJSON({ key, sid, user, name: '', options });
  await storage.reload(true);
  storage.status = 'ready';
  const folder = Object.values(storage.files).find(({ shareId }) => shareId === link.handle);
  if (folder === undefined) throw new Error('no folder');
  const going = folder.upload(
    {
      name,
      size: bytes.length,
      forceHttps: true,
      maxConnections: 1,
      handleRetries: (_n, error, done) => done(error),
    },
    Buffer.from(bytes),
  );
  await going.complete;
}

async function openLab(): Promise<StoreLab> {
  const emulator = await emulateMega();
  const relay = await relayTo(emulator.port);
  const home = await moveIn(emulator);
  emulator.publicPort = relay.port;
  const reach = reachTo(emulator, relay.port);
  const reader = (): MegaReader => new MegaReader(home.link, reach);
  const fault = (command: string, what: MegaFault) => async (): Promise<void> => {
    emulator.faults.set(command, { fault: what, times: 1000 });
  };
  return {
    limitMs: LIMIT_MS,
    reader,
    writer: () => new MegaWriter(home.link, { load: async () => home.session }, reach),
    clear: async () => {
      emulator.clear();
      emulator.publicPort = relay.port;
      relay.mode = { kind: 'pass' };
    },
    plant: async bytes => {
      emulator.clear();
      emulator.publicPort = emulator.port;
      await plant(emulator, home, bytes);
      emulator.publicPort = relay.port;
    },
    peek: async () => {
      emulator.faults.clear();
      relay.mode = { kind: 'pass' };
      const answer = await reader().read(live);
      return answer.kind === 'file' ? [answer.bytes, ...answer.others] : [];
    },
    faults: {
      ...relayFaults(relay, 4000),
      refused: fault('p', { kind: 'error', number: -11 }),
      quota: fault('u', { kind: 'error', number: -17 }),
      busy: fault('f', { kind: 'error', number: -3 }),
    },
    dyingWrite: async (bytes, after) => {
      await cutWrite(relay, { bytes: bytes.length, after, more: 3000 }, () =>
        new MegaWriter(home.link, { load: async () => home.session }, reach).publish(bytes, live),
      );
    },
    close: async () => {
      await relay.close();
      await emulator.close();
    },
  };
}

storeBehaviour('Mega, emulator', openLab);

describe('Mega', () => {
  let emulator: MegaEmulator;
  let home: Home;
  const writer = (session = home.session): MegaWriter =>
    new MegaWriter(home.link, { load: async () => session }, reachTo(emulator));
  const reader = (): MegaReader => new MegaReader(home.link, reachTo(emulator));
  const set = (command: string, fault: MegaFault, times = 1): unknown =>
    emulator.faults.set(command, { fault, times });

  beforeAll(async () => {
    emulator = await emulateMega();
    home = await moveIn(emulator);
  });
  afterAll(() => emulator.close());
  beforeEach(() => {
    emulator.clear();
    emulator.seen.length = 0;
    emulator.withSession.length = 0;
  });

  describe('states', () => {
    test.each<[number, StoreTrouble]>([
      [-1, 'busy'],
      [-2, 'malformed'],
      [-3, 'busy'],
      [-4, 'busy'],
      [-6, 'busy'],
      [-9, 'refused'],
      [-11, 'refused'],
      [-15, 'expired'],
      [-16, 'blocked'],
      [-17, 'quota'],
      [-18, 'busy'],
      [-24, 'quota'],
      [-28, 'blocked'],
      [-99, 'malformed'],
    ])('%s is %s, at once, without another try of its own', async (number, trouble) => {
      for (const bare of [true, false]) {
        for (const command of ['f', 'u', 'p']) {
          emulator.faults.clear();
          emulator.seen.length = 0;
          set(command, { kind: 'error', number, bare }, 100);
          const began = Date.now();
          const answer = await writer().publish(sealed(1), live);
          expect(answer).toMatchObject({ kind: 'failed', trouble });
          expect(answer.kind === 'failed' && answer.detail).toContain(`(${number})`);
          expect(emulator.seen.filter(seen => seen === command)).toHaveLength(1);
          expect(Date.now() - began).toBeLessThan(LIMIT_MS);
        }
      }
    });

    test('each says for a person what to do', () => {
      for (const [number, words] of [
        [-3, 'congested'],
        [-6, 'too many'],
        [-9, 'link is gone'],
        [-15, 'clawchatd mega login'],
        [-16, 'blocked the account'],
        [-17, 'quota'],
      ] as const)
        expect(megaError(number).failure.detail).toContain(words);
      expect(megaError(-16).failure.retryAfterMs).toBe(STORE_PATIENCE_MS);
      expect(megaError(-6).failure.retryAfterMs).toBeGreaterThan(0);
    });

    test('-6 and -9 while reading: patience, and a link that is gone', async () => {
      set('f', { kind: 'error', number: -6 });
      expect(await reader().read(live)).toMatchObject({ trouble: 'busy' });
      set('f', { kind: 'error', number: -9 });
      expect(await reader().read(live)).toMatchObject({ trouble: 'refused' });
    });

    test('an error in place of the end of an upload', async () => {
      set('ul', { kind: 'text', text: '-17' });
      expect(await writer().publish(sealed(1), live)).toMatchObject({ trouble: 'quota' });
      set('ul', { kind: 'status', status: 500 });
      expect(await writer().publish(sealed(1), live)).toMatchObject({ trouble: 'busy' });
      expect(emulator.files()).toEqual([]);
    });

    test('402: a sensible proof of work is done, another is not', async () => {
      await writer().publish(sealed(1), live);
      const slow = new MegaReader(home.link, { ...reachTo(emulator), limitMs: 30_000 });
      // 255: about two hashes; the link is asked for again with its handle.
      set('f', { kind: 'hashcash', easiness: 255 }, 100);
      expect(await slow.read(live)).toMatchObject({ kind: 'file' });
      set('f', { kind: 'hashcash', easiness: 0 }, 100);
      expect(await slow.read(live)).toMatchObject({ kind: 'failed', trouble: 'busy' });
      set('f', { kind: 'status', status: 402 });
      expect(await reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'busy' });
      expect([
        workOf('1:192:0:x'),
        workOf('2:192:0:x'),
        workOf('1:300:0:x'),
        workOf('1'),
        workOf(''),
      ]).toEqual([256, ...Array(4).fill(Number.POSITIVE_INFINITY)]);
    });

    test('509: the quota of transfers, and when it ends', async () => {
      await writer().publish(sealed(1), live);
      set('dl', { kind: 'status', status: 509, headers: { 'x-mega-time-left': '60' } });
      expect(await reader().read(live)).toMatchObject({ trouble: 'quota', retryAfterMs: 60_000 });
      set('dl', { kind: 'status', status: 509 });
      expect(await reader().read(live)).toMatchObject({ trouble: 'quota', retryAfterMs: STORE_PATIENCE_MS });
    });

    test.each(['f', 'u', 'p', 'ul'])('%s that is never answered ends with the attempt', async command => {
      set(command, { kind: 'silent' });
      expect(await writer().publish(sealed(1), live)).toMatchObject({ kind: 'failed', trouble: 'timeout' });
    });
  });

  describe('sessions', () => {
    test('a host never logs in and never ends its session (DI-053~1, DI-054~1)', async () => {
      const own = writer();
      for (let sequence = 1; sequence <= 3; sequence += 1) await own.publish(sealed(sequence), live);
      expect(await own.check(live)).toBeUndefined();
      for (const never of ['us0', 'us', 'sml']) expect(emulator.seen).not.toContain(never);
      expect(emulator.withSession.length).toBeGreaterThan(0);
    });

    test('a session that has ended is not tried again, until there is another (DI-053~1)', async () => {
      let session = home.session;
      const own = new MegaWriter(home.link, { load: async () => session }, reachTo(emulator));
      emulator.endSessions();
      expect(await own.publish(sealed(1), live)).toMatchObject({ trouble: 'expired' });
      const asked = emulator.seen.length;
      expect(await own.publish(sealed(2), live)).toMatchObject({ trouble: 'expired' });
      expect(emulator.seen.length).toBe(asked);
      home = await moveIn(emulator);
      session = home.session;
      expect(await own.publish(sealed(2), live)).toEqual({ kind: 'published' });
    });

    test('no session, or one that cannot be read, is expired; nothing is asked', async () => {
      for (const load of [
        async (): Promise<undefined> => undefined,
        async (): Promise<Uint8Array> => Buffer.from('{}'),
        async (): Promise<Uint8Array> => Buffer.from('{"version":1,"key":"AA","sid":"","user":""}'),
        async (): Promise<never> => {
          throw new Error('locked');
        },
      ]) {
        const own = new MegaWriter(home.link, { load }, reachTo(emulator));
        expect(await own.publish(sealed(1), live)).toMatchObject({ trouble: 'expired' });
        expect(await own.check(live)).toMatchObject({ trouble: 'expired' });
      }
      expect(emulator.seen).toEqual([]);
    });

    test('a login: second factor, wrong password, and the same folder the second time', async () => {
      const { email, password } = emulator;
      const login = async (more: object): Promise<unknown> =>
        await logInToMega({ email, password, folderName: 'ClawChat', ...more }, reachTo(emulator), live);
      emulator.secondFactor = '123456';
      expect(await login({})).toMatchObject({
        kind: 'failed',
        trouble: 'refused',
        detail: expect.stringContaining('second factor'),
      });
      expect(await login({ secondFactorCode: '123456' })).toMatchObject({
        kind: 'loggedIn',
        folderLink: home.link.text,
      });
      emulator.secondFactor = undefined;
      expect(await login({ password: 'wrong' })).toMatchObject({
        trouble: 'refused',
        detail: expect.stringContaining('password'),
      });
      expect(await login({ email: 'nobody@example.org' })).toMatchObject({ trouble: 'refused' });
      expect(await login({ folderName: 'Another' })).toMatchObject({ kind: 'loggedIn' });
      expect(Buffer.from(home.session).toString()).not.toContain(password);
    });

    test('readers have no session, and no request of theirs names one (DI-050~1)', async () => {
      await writer().publish(sealed(1), live);
      emulator.withSession.length = 0;
      emulator.endSessions();
      expect(await reader().read(live)).toMatchObject({ kind: 'file' });
      expect(emulator.withSession).toEqual([]);
      home = await moveIn(emulator);
    });

    test('the check of an operator looks at session and folder, and writes nothing', async () => {
      const { gateway = '', trust } = reachTo(emulator);
      const within = { environment: {}, mega: { gateway, trust }, limitMs: LIMIT_MS };
      const megaSessions = { load: async (): Promise<Uint8Array> => home.session };
      expect(await checkMega(home.link.text, { ...within, megaSessions }, live)).toEqual({
        account: undefined,
        reading: { kind: 'absent' },
      });
      expect(emulator.seen).toEqual(['f', 'f']);
      expect(await checkMega(home.link.text, within, live)).toMatchObject({
        account: { trouble: 'expired' },
      });
      expect(await checkMega('https://mega.nz/x', within, live)).toMatchObject({ kind: 'fault' });
    });

    test('an account without the folder of the link is refused', async () => {
      const other = parseFolderLink('https://mega.nz/folder/AAAAAAAA#0123456789012345678901');
      if (other === undefined) throw new Error('not a link');
      const own = new MegaWriter(other, { load: async () => home.session }, reachTo(emulator));
      expect(await own.check(live)).toMatchObject({ trouble: 'refused' });
      expect(await own.publish(sealed(1), live)).toMatchObject({ trouble: 'refused' });
    });
  });

  test('new before old is deleted; what is left over is deleted the next time (DI-052~1)', async () => {
    const own = writer();
    await own.publish(sealed(1), live);
    emulator.seen.length = 0;
    await own.publish(sealed(2), live);
    expect(emulator.seen).toEqual(['f', 'u', 'ul', 'p', 'd']);
    set('d', { kind: 'error', number: -3 });
    expect(await own.publish(sealed(3), live)).toEqual({ kind: 'published' });
    expect(emulator.files()).toHaveLength(2);
    expect(judge(await reader().read(live), open)).toMatchObject({ record: { sequence: 3 } });
    set('d', { kind: 'silent' });
    expect(await own.publish(sealed(4), live)).toEqual({ kind: 'published' });
    expect(await own.publish(sealed(5), live)).toEqual({ kind: 'published' });
    expect(emulator.files()).toHaveLength(1);
  });

  test('of several files the signed sequence decides, not the time of upload (DI-051~1)', async () => {
    for (const sequence of [7, 3, 5]) await plant(emulator, home, sealed(sequence));
    await plant(emulator, home, noise(4096));
    const answer = await reader().read(live);
    expect(answer.kind === 'file' && answer.others).toHaveLength(3);
    expect(judge(answer, open)).toMatchObject({ kind: 'record', record: { sequence: 7 } });
  });

  test('the last uploaded come first, and no more than can be judged, whatever they are called (DI-051~1)', async () => {
    const sequences = Array.from({ length: STORE_CANDIDATES_MAX + 1 }, (_, i) => 20 - i);
    for (const sequence of sequences) await plant(emulator, home, sealed(sequence), `file ${sequence}`);
    const answer = await reader().read(live);
    if (answer.kind !== 'file') throw new Error(answer.kind);
    const found = [answer.bytes, ...answer.others].map(bytes => open(bytes));
    expect(found).toMatchObject(
      sequences
        .slice(1)
        .toReversed()
        .map(sequence => ({ sequence })),
    );
  });

  test('a large file and a foreign one are not downloaded (DI-002~1)', async () => {
    await plant(emulator, home, noise(FILE_BYTES_MAX + 1));
    emulator.seen.length = 0;
    expect(await reader().read(live)).toMatchObject({ trouble: 'oversized' });
    expect(emulator.seen).toEqual(['f']);
    await plant(emulator, home, sealed(1));
    expect(await reader().read(live)).toMatchObject({ kind: 'file', others: [] });
  });

  test('a file that Mega says is short and is not, is not read to its end (DI-002~1)', async () => {
    await writer().publish(sealed(1), live);
    set('g', { kind: 'change', change: answer => ({ ...(answer as object), s: 2 ** 40 }) });
    expect(await reader().read(live)).toMatchObject({ trouble: 'oversized' });
    set('dl', { kind: 'change', change: () => Buffer.alloc(FILE_BYTES_MAX + 1) });
    expect(await reader().read(live)).toMatchObject({ trouble: 'oversized' });
  });

  test('a file that was replaced while it was read is read in its new form', async () => {
    await writer().publish(sealed(1), live);
    set('g', { kind: 'error', number: -9 });
    expect(judge(await reader().read(live), open)).toMatchObject({ record: { sequence: 1 } });
    set('g', { kind: 'error', number: -9 }, 100);
    expect(await reader().read(live)).toMatchObject({ trouble: 'busy' });
  });

  test('bytes that were altered on the way do not authenticate', async () => {
    await writer().publish(sealed(1), live);
    const flip = (bytes: unknown): Buffer => {
      const altered = Buffer.from(bytes as Buffer);
      altered[100] = (altered[100] ?? 0) ^ 1;
      return altered;
    };
    set('dl', { kind: 'change', change: flip });
    expect(await reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
    set('dl', { kind: 'change', change: bytes => (bytes as Buffer).subarray(0, 100) });
    expect(await reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
  });

  test('a link with another key opens nothing', async () => {
    await writer().publish(sealed(1), live);
    const wrong = parseFolderLink(`https://mega.nz/folder/${home.link.handle}#0123456789012345678901`);
    if (wrong === undefined) throw new Error('not a link');
    expect(await new MegaReader(wrong, reachTo(emulator)).read(live)).toMatchObject({ trouble: 'malformed' });
  });

  test.each([
    'null',
    '0',
    '1',
    '"x"',
    '[]',
    '{}',
    '[null]',
    '[[]]',
    '[{}]',
    '[{"f":null}]',
    '[{"f":[]}]',
    '[{"f":[null,1,"x",{}]}]',
    '<html>',
    '',
    '[{"f":[{"h":"AAAAAAAA","t":1,"k":"AAAAAAAA:AAAA","a":"AAAA"}]}]',
    '[{"f":[{"h":"AAAAAAAA","t":1,"k":"AAAAAAAA:AAAAAAAAAAAAAAAAAAAAAA","a":"AAAA"},{"h":"BBBBBBBB","p":"AAAAAAAA","t":0,"k":"AAAAAAAA:AAAA"}]}]',
    '[{"g":"http://127.0.0.1/x","s":1}]',
    '[{"g":"file:///etc/passwd","s":1}]',
    '[{"p":"http://127.0.0.1/"}]',
    '[{"p":5}]',
  ])('nothing that Mega can say ends the process: %s (DI-001~1)', async text => {
    await writer().publish(sealed(1), live);
    const reach = { ...reachTo(emulator), limitMs: 250 };
    for (const command of ['f', 'g', 'u', 'p', 'd', 'ul', 'dl']) {
      emulator.faults.clear();
      set(command, { kind: 'text', text }, 2);
      const own = new MegaWriter(home.link, { load: async () => home.session }, reach);
      const answers = [await new MegaReader(home.link, reach).read(live), await own.publish(sealed(2), live)];
      for (const answer of answers) expect(['failed', 'file', 'published', 'absent']).toContain(answer.kind);
    }
    emulator.faults.clear();
    await new Promise(resolve => setTimeout(resolve, 5));
    expect(await writer().publish(sealed(3), live)).toEqual({ kind: 'published' });
  });

  test('no field of an answer, whatever it becomes, ends the process (DI-001~1)', async () => {
    await writer().publish(sealed(1), live);
    const quick = { ...reachTo(emulator), limitMs: 300 };
    const counts = { read: 0, failedRead: 0, published: 0, failedWrite: 0 };
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom('', 'A', 'AAAAAAAA', `AAAAAAAA:${'A'.repeat(22)}`, 0, -1, 2 ** 53, 1, 2, 9),
    );
    const where = fc.tuple(
      fc.constantFrom('f', 'ok', 'ph'),
      fc.nat(8),
      fc.constantFrom('h', 'p', 't', 'a', 'k', 's', 'ts', 'u', 'ha', 'ph', undefined),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(where, value), { minLength: 1, maxLength: 4 }), async changes => {
        const change = (answer: unknown): unknown => {
          const lists = structuredClone(answer) as Record<string, Record<string, unknown>[]>;
          for (const [[list, index, field], to] of changes) {
            const items = lists[list] ?? [];
            const item = items[index % Math.max(1, items.length)];
            if (field === undefined) lists[list] = to as never;
            else if (typeof item === 'object' && item !== null) item[field] = to;
            if (!Array.isArray(lists[list])) break;
          }
          return lists;
        };
        set('f', { kind: 'change', change }, 100);
        const answer = await new MegaReader(home.link, quick).read(live);
        counts[answer.kind === 'file' ? 'read' : 'failedRead'] += 1;
        const own = new MegaWriter(home.link, { load: async () => home.session }, quick);
        const wrote = await own.publish(sealed(2), live);
        counts[wrote.kind === 'published' ? 'published' : 'failedWrite'] += 1;
      }),
      { numRuns: 150 },
    );
    console.log(`Mega, changed answers: ${JSON.stringify(counts)}`);
    for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(0);
  });

  test('a file under a file, or under itself, does not end the process (DI-001~1)', async () => {
    await writer().publish(sealed(1), live);
    await plant(emulator, home, sealed(2));
    for (const parent of [0, 1]) {
      const change = (answer: unknown): unknown => {
        const { f, ...rest } = answer as {
          readonly f: readonly { readonly h: string; readonly t: number }[];
        };
        const files = f.filter(({ t }) => t === 0);
        return { ...rest, f: f.map(node => (node.t === 0 ? { ...node, p: files[parent]?.h } : node)) };
      };
      set('f', { kind: 'change', change }, 2);
      expect(await reader().read(live)).toEqual({ kind: 'absent' });
      expect(await writer().publish(sealed(3), live)).toEqual({ kind: 'published' });
    }
  });

  test('what others share with the account does not disturb (DI-001~1)', async () => {
    const add = (answer: unknown): unknown => {
      const { f, ...rest } = answer as { readonly f: readonly object[] };
      const foreign = {
        h: 'FFFFFFFF',
        p: 'EEEEEEEE',
        t: 1,
        u: 'someoneElse',
        ts: 1,
        a: 'A'.repeat(22),
        k: `someoneElse:${'A'.repeat(342)}`,
      };
      return { ...rest, f: [foreign, ...f, { ...foreign, h: 'GGGGGGGG', p: 'FFFFFFFF', t: 0, s: 5 }] };
    };
    set('f', { kind: 'change', change: add }, 100);
    expect(await writer().publish(sealed(1), live)).toEqual({ kind: 'published' });
  });

  test('no detail tells the key of the link, the session or the password (DI-004~1)', async () => {
    const secrets = [
      home.link.text.split('#')[1] ?? '',
      emulator.password,
      'master',
      JSON.parse(Buffer.from(home.session).toString()).sid as string,
    ];
    for (const number of [-2, -3, -9, -11, -15, -16, -17]) {
      set('f', { kind: 'error', number }, 2);
      for (const answer of [await reader().read(live), await writer().publish(sealed(1), live)])
        for (const secret of secrets) expect(JSON.stringify(answer)).not.toContain(secret);
    }
    expect(reader().name).toBe(`https://mega.nz/folder/${home.link.handle}`);
  });
});

test('what is no link of a folder', () => {
  for (const text of [
    '',
    'x',
    'https://mega.nz/file/AbCdEf12#0123456789012345678901',
    'https://mega.nz/folder/AbCdEf12',
    'http://mega.nz/folder/AbCdEf12#0123456789012345678901',
    'https://mega.nz.example.org/folder/AbCdEf12#0123456789012345678901',
    'https://mega.nz/folder/AbCdEf12#0123456789012345678901/file/AbCdEf12',
    'https://mega.nz/folder/AbCdEf1#0123456789012345678901',
  ])
    expect(parseFolderLink(text), text).toBeUndefined();
  expect(parseFolderLink('https://mega.nz/folder/AbCdEf12#0123456789012345678901')?.handle).toBe('AbCdEf12');
});
