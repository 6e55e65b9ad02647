/** What an operator reads of a host: its stores, its history, who was there. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { storeFailed } from '../../discovery/store.ts';
import {
  type ControlDevice,
  ControlDeviceSchema,
  ControlHostStatusSchema,
  ControlNoteSchema,
  ControlStoreSchema,
} from '../../gen/clawchat/v1/control_pb.ts';
import { judgeHealth } from './health.ts';
import { describeHistory, describeHost } from './host-status.ts';
import { seenText } from './output.ts';
import { happenedText } from './rotation-words.ts';
import { troubleAdvice, troubleText } from './store-trouble.ts';

const NAME = 'https://store.example/host.claw';
const { code, trouble, detail } = storeFailed('expired', `${NAME}: the signature of its address has expired`);
const EXPIRED = { name: NAME, code, trouble, detail };

let printed = '';
beforeEach(() => {
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += text.toString();
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

function show(changes: MessageInitShape<typeof ControlHostStatusSchema>, json = false): string {
  const serving = {
    serving: true,
    sequence: 7n,
    validUntilMs: BigInt(Date.now() + 60_000),
    places: [{ port: 50_000, role: 'primary', open: true }],
  };
  describeHost(create(ControlHostStatusSchema, { ...serving, ...changes }), [], json);
  return printed;
}

describe('a store that is of no use', () => {
  it('is shown with its state, why, and what to do', () => {
    const store = create(ControlStoreSchema, EXPIRED);
    expect(troubleText(store)).toBe('expired (the signature of its address has expired)');
    expect(troubleAdvice(store)).toContain('renew the signed address');
    const text = show({ stores: [EXPIRED] });
    expect(text).toContain(`store      ${NAME}: expired (the signature of its address has expired)\n`);
    expect(text).toContain('state      well, but 1 of 1 stores fail: clawchatd doctor\n');
  });

  it('gets the advice of its kind: a folder has no headers', () => {
    const refused = { ...EXPIRED, trouble: 'refused' } as const;
    expect(troubleAdvice(create(ControlStoreSchema, refused))).toContain('"headers"');
    const folder = create(ControlStoreSchema, { ...refused, name: '/srv/sync/host.claw' });
    expect(troubleAdvice(folder)).toMatch(/^make its folder/);
  });

  it('is named by its code when the owner is of a version that names no state', () => {
    const store = create(ControlStoreSchema, { name: NAME, code });
    expect(troubleText(store)).toBe('STORE_UNAVAILABLE');
    expect(troubleAdvice(store)).toContain('the log');
  });

  it('is named in the line of health, and in JSON', () => {
    const status = create(ControlHostStatusSchema, {
      serving: true,
      validUntilMs: 2n,
      places: [{ open: true }],
      stores: [EXPIRED],
    });
    expect(judgeHealth(status, 1).text).toContain('1 of 1 stores fail (expired)');
    const { stores } = JSON.parse(show({ stores: [EXPIRED] }, true)) as { stores: unknown[] };
    expect(stores).toMatchObject([{ error: 'STORE_UNAVAILABLE', state: 'expired', detail }]);
  });

  it('is told from one that works, one not read yet, and one that nobody reads', () => {
    const fine = { name: NAME, verifiedSequence: 7n, verifiedAtMs: BigInt(Date.now() - 3000) };
    const text = show({ stores: [fine, { name: '/a' }] });
    expect(text).toContain('state      well\n');
    expect(text).toContain(`store      ${NAME}: verified 3 s ago\n`);
    expect(text).toContain('store      /a: not read back yet\n');
    printed = '';
    const stopped = show({ serving: false, stores: [{ name: '/a' }] });
    expect(stopped).toContain('store      /a: read while the host runs\n');
    expect(stopped).toContain('record     number 7, ends in 60 s\n');
    expect(show({ serving: false, sequence: 0n })).toContain('record     none yet\n');
  });
});

describe('what happened to the address', () => {
  const said = (what: string, detail = '', more: MessageInitShape<typeof ControlNoteSchema> = {}): string =>
    happenedText(create(ControlNoteSchema, { what, detail, atMs: 1000n, ...more })).replace(/^.*? {2}/, '');

  it('is said in words, with what repeats itself in one line', () => {
    expect(said('rotated', 'epoch 2, port 50001')).toBe('moved to port 50001');
    expect(said('held', 'why stores, rotationAtMs 5', { times: 288, lastAtMs: 9000n })).toMatch(
      /^did not move: no store shows the new address \(288 times, the last at .*:09\)$/,
    );
    expect(said('clock-off', 'offsetMs -61200')).toBe('the clock is wrong by 61.2 s');
    expect(said('a later word', 'x 1')).toBe('a later word: x 1');
  });

  it('is in JSON under its names, as often as it happened', () => {
    describeHistory([create(ControlNoteSchema, { what: 'port-back', detail: 'port 5', atMs: 7n })], true);
    expect(JSON.parse(printed)).toEqual({
      at_ms: 7,
      what: 'port-back',
      detail: 'port 5',
      times: 1,
      last_at_ms: 7,
    });
  });

  it('and what is under way is said without a word of the machine', () => {
    const text = show({ phase: 'resting', epoch: 3n, nextRotationAtMs: BigInt(Date.now() + 600_000) });
    expect(text).toContain('record     number 7, moves in about 10 min\n');
    expect(text).toContain('port       50000: in use, open, 0 connections\n');
    printed = '';
    const moving = show({ phase: 'publishing', nextRotationAtMs: BigInt(Date.now() + 90_000) });
    expect(moving).toContain('moves in about 90 s; the next address is on its way into the stores\n');
  });
});

describe('a port that people leave', () => {
  const places = [
    { port: 50_001, role: 'primary', open: true },
    { port: 50_000, role: 'old', open: true, endsAtMs: BigInt(Date.now() + 44 * 60_000) },
  ];

  it('stays as long as records promise it, which one line says', () => {
    const text = show({ phase: 'grace', places, nextRotationAtMs: BigInt(Date.now() + 90_000) });
    expect(text).toContain('; the port before is still open\n');
    expect(text).toContain('port       50000: old, open, 0 connections, ends in 44 min\n');
  });

  it('and is the one in use is told apart by its keys', () => {
    const fixed = ['primary', 'next'].map(role => ({ port: 8443, role, open: true }));
    const text = show({ phase: 'verified', port: 8443, places: fixed });
    expect(text).toContain('port       8443: in use, open, 0 connections\n');
    expect(text).toContain('port       8443: next keys on the same port, open, 0 connections\n');
  });

  it('ends with the emergency whatever was promised', () => {
    const ends = (endsAtMs: bigint, waitsForStore: boolean): string => {
      printed = '';
      const old = { port: 50_000, role: 'old', open: true, endsAtMs, waitsForStore };
      return show({ phase: 'emergency', places: [old] });
    };
    const soon = BigInt(Date.now() + 60_000);
    expect(ends(soon, false)).toContain('old, open, 0 connections, ends in 60 s\n');
    expect(ends(soon, true)).toContain(
      '0 connections, ends when a store has the new address, and not before 60 s have passed\n',
    );
    expect(ends(5n, true)).toContain('0 connections, ends when a store has the new address\n');
  });

  it('and cannot be opened is not said to be open', () => {
    const lost = { port: 50_000, role: 'old', open: false, endsAtMs: BigInt(Date.now() + 60_000) };
    const text = show({ phase: 'grace', places: [lost], nextRotationAtMs: BigInt(Date.now() + 600_000) });
    expect(text).toContain('; the port before is promised still, and cannot be opened\n');
    expect(text).toContain('port       50000: old, cannot be opened, 0 connections, ends in 60 s\n');
  });
});

it('tells two people of one name apart, and knows the devices of one', () => {
  const device = (id: number, name: string, of?: number, personName = ''): ControlDevice =>
    create(ControlDeviceSchema, {
      deviceId: new Uint8Array(16).fill(id),
      name,
      personId: of === undefined ? new Uint8Array(0) : new Uint8Array(16).fill(of),
      personName,
    });
  const devices = [
    device(1, 'Bob'),
    device(2, 'Bob'),
    device(3, 'phone', 2),
    device(4, 'laptop', undefined, 'Ann'),
  ];
  describeHost(create(ControlHostStatusSchema), devices, false);
  const people = printed.split('\n').filter(text => text.startsWith('person'));
  expect(people.toSorted()).toEqual([
    'person     Ann: never seen',
    'person     Bob (01010101): never seen',
    'person     Bob (02020202): never seen, 2 devices',
  ]);
});

it('says no more exactly than it is kept when somebody was seen', () => {
  const now = 1e12;
  expect(seenText(0, now)).toBe('never seen');
  expect(seenText(now - 3_000_000, now)).toBe('seen within the hour');
  expect(seenText(now - 7_200_000, now)).toBe('seen 2 h ago');
});
