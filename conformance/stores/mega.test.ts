/** Mega stores against the project's own emulator. It proves our reading of the protocol, not the live service. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StoreTrouble } from '../../src/discovery/store.ts';
import { STORE_PATIENCE_MS } from '../../src/gen/constants.ts';
import { logInToMega, MegaReader, MegaWriter, parseFolderLink } from '../../src/node/stores/mega.ts';
import { megaError, workOf } from '../../src/node/stores/mega-api.ts';
import { checkMega } from '../../src/node/stores/open.ts';
import { emulateMega, type MegaFault } from '../emulators/mega.ts';
import { type StoreLab, storeBehaviour } from './behaviour.ts';
import { LIMIT_MS, live, MegaHouse, moveIn, plant, reachTo } from './mega-house.ts';
import { cutWrite, relayFaults, relayTo } from './relay.ts';
import { sealed } from './sealed.ts';

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
  let mega: MegaHouse;
  beforeAll(async () => {
    mega = await MegaHouse.open();
  });
  afterAll(() => mega.close());
  beforeEach(() => mega.clear());

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
          mega.emulator.faults.clear();
          mega.emulator.seen.length = 0;
          mega.set(command, { kind: 'error', number, bare }, 100);
          const began = Date.now();
          const answer = await mega.writer().publish(sealed(1), live);
          expect(answer).toMatchObject({ kind: 'failed', trouble });
          expect(answer.kind === 'failed' && answer.detail).toContain(`(${number})`);
          expect(mega.emulator.seen.filter(seen => seen === command)).toHaveLength(1);
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
      mega.set('f', { kind: 'error', number: -6 });
      expect(await mega.reader().read(live)).toMatchObject({ trouble: 'busy' });
      mega.set('f', { kind: 'error', number: -9 });
      expect(await mega.reader().read(live)).toMatchObject({ trouble: 'refused' });
    });

    test('an error in place of the end of an upload', async () => {
      mega.set('ul', { kind: 'text', text: '-17' });
      expect(await mega.writer().publish(sealed(1), live)).toMatchObject({ trouble: 'quota' });
      mega.set('ul', { kind: 'status', status: 500 });
      expect(await mega.writer().publish(sealed(1), live)).toMatchObject({ trouble: 'busy' });
      expect(mega.emulator.files()).toEqual([]);
    });

    test('402: a sensible proof of work is done, another is not', async () => {
      await mega.writer().publish(sealed(1), live);
      const slow = new MegaReader(mega.home.link, { ...reachTo(mega.emulator), limitMs: 30_000 });
      // 255: about two hashes; the link is asked for again with its handle.
      mega.set('f', { kind: 'hashcash', easiness: 255 }, 100);
      expect(await slow.read(live)).toMatchObject({ kind: 'file' });
      mega.set('f', { kind: 'hashcash', easiness: 0 }, 100);
      expect(await slow.read(live)).toMatchObject({ kind: 'failed', trouble: 'busy' });
      mega.set('f', { kind: 'status', status: 402 });
      expect(await mega.reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'busy' });
      expect([
        workOf('1:192:0:x'),
        workOf('2:192:0:x'),
        workOf('1:300:0:x'),
        workOf('1'),
        workOf(''),
      ]).toEqual([256, ...Array(4).fill(Number.POSITIVE_INFINITY)]);
    });

    test('509: the quota of transfers, and when it ends', async () => {
      await mega.writer().publish(sealed(1), live);
      mega.set('dl', { kind: 'status', status: 509, headers: { 'x-mega-time-left': '60' } });
      expect(await mega.reader().read(live)).toMatchObject({ trouble: 'quota', retryAfterMs: 60_000 });
      mega.set('dl', { kind: 'status', status: 509 });
      expect(await mega.reader().read(live)).toMatchObject({
        trouble: 'quota',
        retryAfterMs: STORE_PATIENCE_MS,
      });
    });

    test.each(['f', 'u', 'p', 'ul'])('%s that is never answered ends with the attempt', async command => {
      mega.set(command, { kind: 'silent' });
      expect(await mega.writer().publish(sealed(1), live)).toMatchObject({
        kind: 'failed',
        trouble: 'timeout',
      });
    });
  });

  describe('sessions', () => {
    test('a host never logs in and never ends its session (DI-053~1, DI-054~1)', async () => {
      const own = mega.writer();
      for (let sequence = 1; sequence <= 3; sequence += 1) await own.publish(sealed(sequence), live);
      expect(await own.check(live)).toBeUndefined();
      for (const never of ['us0', 'us', 'sml']) expect(mega.emulator.seen).not.toContain(never);
      expect(mega.emulator.withSession.length).toBeGreaterThan(0);
    });

    test('a session that has ended is not tried again, until there is another (DI-053~1)', async () => {
      let session = mega.home.session;
      const own = new MegaWriter(mega.home.link, { load: async () => session }, reachTo(mega.emulator));
      mega.emulator.endSessions();
      expect(await own.publish(sealed(1), live)).toMatchObject({ trouble: 'expired' });
      const asked = mega.emulator.seen.length;
      expect(await own.publish(sealed(2), live)).toMatchObject({ trouble: 'expired' });
      expect(mega.emulator.seen.length).toBe(asked);
      mega.home = await moveIn(mega.emulator);
      session = mega.home.session;
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
        const own = new MegaWriter(mega.home.link, { load }, reachTo(mega.emulator));
        expect(await own.publish(sealed(1), live)).toMatchObject({ trouble: 'expired' });
        expect(await own.check(live)).toMatchObject({ trouble: 'expired' });
      }
      expect(mega.emulator.seen).toEqual([]);
    });

    test('a login: second factor, wrong password, and the same folder the second time', async () => {
      const { email, password } = mega.emulator;
      const login = async (more: object): Promise<unknown> =>
        await logInToMega({ email, password, folderName: 'ClawChat', ...more }, reachTo(mega.emulator), live);
      mega.emulator.secondFactor = '123456';
      expect(await login({})).toMatchObject({
        kind: 'failed',
        trouble: 'refused',
        detail: expect.stringContaining('second factor'),
      });
      expect(await login({ secondFactorCode: '123456' })).toMatchObject({
        kind: 'loggedIn',
        folderLink: mega.home.link.text,
      });
      mega.emulator.secondFactor = undefined;
      expect(await login({ password: 'wrong' })).toMatchObject({
        trouble: 'refused',
        detail: expect.stringContaining('password'),
      });
      expect(await login({ email: 'nobody@example.org' })).toMatchObject({ trouble: 'refused' });
      expect(await login({ folderName: 'Another' })).toMatchObject({ kind: 'loggedIn' });
      expect(Buffer.from(mega.home.session).toString()).not.toContain(password);
    });

    test('readers have no session, and no request of theirs names one (DI-050~1)', async () => {
      await mega.writer().publish(sealed(1), live);
      mega.emulator.withSession.length = 0;
      mega.emulator.endSessions();
      expect(await mega.reader().read(live)).toMatchObject({ kind: 'file' });
      expect(mega.emulator.withSession).toEqual([]);
      mega.home = await moveIn(mega.emulator);
    });

    test('the check of an operator looks at session and folder, and writes nothing', async () => {
      const { gateway = '', trust } = reachTo(mega.emulator);
      const within = { environment: {}, mega: { gateway, trust }, limitMs: LIMIT_MS };
      const megaSessions = { load: async (): Promise<Uint8Array> => mega.home.session };
      expect(await checkMega(mega.home.link.text, { ...within, megaSessions }, live)).toEqual({
        account: undefined,
        reading: { kind: 'absent' },
      });
      expect(mega.emulator.seen).toEqual(['f', 'f']);
      expect(await checkMega(mega.home.link.text, within, live)).toMatchObject({
        account: { trouble: 'expired' },
      });
      expect(await checkMega('https://mega.nz/x', within, live)).toMatchObject({ kind: 'fault' });
    });

    test('an account without the folder of the link is refused', async () => {
      const other = parseFolderLink('https://mega.nz/folder/AAAAAAAA#0123456789012345678901');
      if (other === undefined) throw new Error('not a link');
      const own = new MegaWriter(other, { load: async () => mega.home.session }, reachTo(mega.emulator));
      expect(await own.check(live)).toMatchObject({ trouble: 'refused' });
      expect(await own.publish(sealed(1), live)).toMatchObject({ trouble: 'refused' });
    });
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
