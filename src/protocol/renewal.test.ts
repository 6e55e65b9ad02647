import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHANNEL_KEY_LIFE_MS, CHANNEL_KEY_MARGIN_MS, MINIMAL, STANDARD } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { type HostChannelKeys, responderKeys, rollChannelKeys } from './channel-keys.ts';
import { type ConnectionRecord, parseRecord } from './connection-record.ts';
import { isFault } from './fault.ts';
import { NOW_MS, named, testHost } from './fixtures.ts';
import { acceptEnvelopeBytes, trusting } from './freshness.ts';
import { serverId } from './keys.ts';
import type { HostIdentity, Place, Renewal, RenewalContext, TlsKey } from './record-maker.ts';
import {
  deadline,
  type FreshKeys,
  isDatabaseOld,
  type RenewalInput,
  type RenewalOutput,
  stepRenewal,
} from './renewal.ts';
import { decodeIdentity, decodeRenewal, encodeIdentity, encodeRenewal } from './storage.ts';

const host = testHost(native, 'renewer');
const identity: HostIdentity = {
  seed: host.seed(0),
  publicKey: host.identity(0),
  serverId: serverId(native, host.identity(0)),
  nextIdentityHash: host.nextHash(0),
  successions: [],
};
const HOUR = STANDARD.ROTATION_INTERVAL_MS;
const context: RenewalContext = { suite: native, constants: STANDARD, identity, intervalMs: HOUR };
const place: Place = {
  addresses: [{ host: '192.0.2.1', port: 50_000 }],
  stores: [{ kind: 'local', path: '/srv/file' }],
  isPinned: true,
};
const elsewhere: Place = { ...place, addresses: [{ host: '192.0.2.2', port: 50_001 }] };

let counter = 0;
function fresh(): FreshKeys {
  counter += 1;
  const of = (what: string): Uint8Array => named(native, `${what} ${counter}`);
  const tlsKey: TlsKey = { pkcs8: of('pkcs8'), certificate: of('certificate'), spkiPin: of('pin') };
  return { accessKey: of('access'), channelKeys: [of('channel a'), of('channel b')], tlsKey };
}

class Crash extends Error {}

/** A host on virtual time: what its gate accepts and presents, and every record that left it. */
class World {
  now: number;
  readonly context: RenewalContext;
  stored: Uint8Array | undefined;
  state: Renewal | undefined;
  epochs = new Map<number, Uint8Array>();
  presented: TlsKey | undefined;
  published: ConnectionRecord[] = [];
  last: ConnectionRecord | undefined;
  isStoreUp = true;
  diesIn = Number.POSITIVE_INFINITY;
  log: string[] = [];
  counts = { crashes: 0, holds: 0, epochs: 0, retired: 0 };

  constructor(of: RenewalContext = context, now: number = NOW_MS) {
    this.context = of;
    this.now = now;
  }

  give(input: RenewalInput): void {
    const [state, outputs] = stepRenewal(this.context, this.state, input, this.now);
    this.state = state;
    for (const output of outputs) this.perform(output);
  }

  start(at: Place = place): void {
    this.epochs.clear();
    this.presented = undefined;
    this.state = this.stored === undefined ? undefined : load(this.stored);
    this.give({ kind: 'start', place: at, fresh: fresh() });
  }

  perform(output: RenewalOutput): void {
    switch (output.kind) {
      case 'commit':
        this.die();
        this.stored = encodeRenewal(output.renewal);
        this.die();
        break;
      case 'acceptEpoch':
        this.epochs.set(output.accessKey.epoch, output.accessKey.key);
        break;
      case 'endEpoch':
        this.epochs.delete(output.epoch);
        this.counts.retired += 1;
        break;
      case 'presentTls':
        this.presented = output.tlsKey;
        break;
      case 'publish':
        this.publish(output.renewal);
        break;
      case 'held':
        this.counts.holds += 1;
        break;
      case 'notify':
        this.counts.epochs += 1;
        break;
    }
    this.log.push(output.kind);
  }

  /** Nothing leaves that is not committed (CF-022~1). */
  publish(renewal: Renewal): void {
    expect(this.stored).toEqual(encodeRenewal(renewal));
    const { last } = this;
    if (last !== undefined && last.sequence !== renewal.sequence) {
      expect(renewal.sequence).toBeGreaterThan(last.sequence);
      expect(renewal.record.epoch).toBeGreaterThanOrEqual(last.epoch);
    }
    this.last = renewal.record;
    this.published.push(renewal.record);
  }

  readBack(): void {
    const name = this.state?.name;
    if (this.isStoreUp && name !== undefined && this.state?.verified?.sequence !== name.sequence) {
      this.give({ kind: 'verified', name });
    }
  }

  /** Go to the next deadline, or by `ms`, whichever is first. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.state !== undefined) {
      this.readBack();
      const due = deadline(this.context, this.state);
      if (due.atMs > until) break;
      this.now = Math.max(this.now, due.atMs);
      this.check();
      this.give({ kind: 'due', fresh: fresh() });
      this.check();
    }
    this.now = until;
    this.check();
  }

  die(): void {
    this.diesIn -= 1;
    if (this.diesIn === 0) {
      this.counts.crashes += 1;
      throw new Crash();
    }
  }

  /** Whoever holds an unexpired record gets in: gate, TLS pin and channel key (RT-003~1, RT-004~1, RT-011~1). */
  check(): void {
    const keys = this.state === undefined ? [] : responderKeys(this.state.channelKeys, this.now);
    this.published = this.published.filter(({ validUntilMs }) => validUntilMs >= this.now);
    for (const record of this.published) {
      if (this.presented === undefined) continue;
      const [access] = record.accessKeys;
      expect(this.epochs.get(access.epoch)).toEqual(access.key);
      expect(record.tlsPins).toContainEqual(this.presented.spkiPin);
      for (const { publicKey } of record.channelKeys)
        expect(keys.map(key => key.publicKey)).toContainEqual(publicKey);
    }
  }
}

function load(stored: Uint8Array): Renewal {
  const state = decodeRenewal(native, identity, stored);
  if (isFault(state)) throw new Error(state.detail);
  return state;
}

function started(): World {
  const world = new World();
  world.start();
  return world;
}

function must(state: Renewal | undefined): Renewal {
  if (state === undefined) throw new Error('no state');
  return state;
}

describe('the schedule (RT-001~1 to RT-004~1, RT-008~1)', () => {
  it('makes a first record and commits it before it leaves', () => {
    const world = started();
    expect(world.log).toEqual(['commit', 'presentTls', 'acceptEpoch', 'publish']);
    expect(world.published).toMatchObject([
      {
        epoch: 1,
        sequence: 1,
        issuedAtMs: NOW_MS,
        nextRotationMs: NOW_MS + HOUR,
        validUntilMs: NOW_MS + HOUR + STANDARD.GRACE_MS,
        endpoints: [
          {
            host: '192.0.2.1',
            port: 50_000,
            notBeforeMs: NOW_MS,
            notAfterMs: NOW_MS + HOUR + STANDARD.GRACE_MS,
          },
        ],
      },
    ]);
  });

  it('does each row of the table at its instant', () => {
    const world = started();
    world.readBack();
    world.log = [];
    const rotation = NOW_MS + HOUR;
    const first = must(world.state);
    const rows: string[] = [];
    for (const at of [
      -STANDARD.PUBLISH_LEAD_MS,
      -STANDARD.VERIFY_LEAD_MS,
      0,
      STANDARD.GRACE_MS,
      STANDARD.RETIRE_MS,
    ]) {
      for (const ms of [-1, 0]) {
        world.pass(rotation + at + ms - world.now);
        if (world.log.length > 0)
          rows.push(`R${at < 0 ? '' : '+'}${at / 1000}${ms === 0 ? '' : ' - 1 ms'}: ${world.log.join(' ')}`);
        world.log = [];
      }
    }
    expect(rows).toEqual([
      'R-120: commit acceptEpoch publish notify commit',
      'R+310: commit presentTls endEpoch',
    ]);
    const second = must(world.state);
    expect(second.record).toMatchObject({ epoch: 2, sequence: 2, nextRotationMs: rotation + HOUR });
    expect(second.record.validUntilMs - second.record.issuedAtMs).toBe(STANDARD.RECORD_LIFE_MS);
    expect(second.record.tlsPins).toEqual([first.tlsKey.spkiPin, second.tlsKey.spkiPin]);
    expect(second.accessKey.key).not.toEqual(first.accessKey.key);
    expect([...world.epochs.keys()]).toEqual([2]);
  });

  it('holds while no store gives the new record back, and goes on when one does', () => {
    const world = started();
    world.readBack();
    world.isStoreUp = false;
    world.pass(HOUR * 3);
    expect(world.counts).toMatchObject({ epochs: 1, retired: 0 });
    expect(world.counts.holds).toBe(Math.ceil((2 * HOUR + STANDARD.VERIFY_LEAD_MS) / STANDARD.HOLD_MS));
    expect([...world.epochs.keys()].sort()).toEqual([1, 2]);
    const held = must(world.state);
    expect(world.presented).toEqual(held.tlsKey);
    world.isStoreUp = true;
    world.pass((held.turn?.rotationAtMs ?? 0) + STANDARD.RETIRE_MS - world.now);
    // The old keys end, and the epoch that is long due begins in the same step.
    expect(world.counts).toMatchObject({ epochs: 2, retired: 1 });
    expect([...world.epochs.keys()].sort()).toEqual([2, 3]);
    expect(must(world.state).turn?.rotationAtMs).toBe(world.now + STANDARD.PUBLISH_LEAD_MS);
    world.pass(HOUR * 2);
    expect(world.counts.retired).toBeGreaterThan(1);
  });

  it('keeps epoch and R when its addresses change, and takes a new sequence (CF-023~1)', () => {
    const world = started();
    world.pass(60_000);
    world.give({ kind: 'place', place });
    expect(must(world.state).sequence).toBe(1);
    world.give({ kind: 'place', place: elsewhere });
    const { record } = must(world.state);
    expect(record).toMatchObject({
      sequence: 2,
      epoch: 1,
      nextRotationMs: NOW_MS + HOUR,
      issuedAtMs: world.now,
    });
    expect(record.endpoints).toMatchObject([{ host: '192.0.2.2', port: 50_001 }]);
    world.give({ kind: 'place', place: { ...elsewhere, isPinned: false } });
    expect(must(world.state).record.tlsPins).toEqual([]);
    world.give({ kind: 'place', place: { ...elsewhere, isPinned: false, stores: [] } });
    expect(must(world.state).record).toMatchObject({ sequence: 4, stores: [] });
  });

  it('makes records that a client accepts, one after the other', () => {
    const world = started();
    let held = trusting(host.trust(0, false));
    const sequences: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const result = acceptEnvelopeBytes(native, held, must(world.state).envelope, world.now);
      if (result.kind !== 'accepted') throw new Error(result.kind);
      held = result.held;
      sequences.push(result.held.newest.sequence);
      world.pass(HOUR);
    }
    expect(sequences).toEqual([1, 2, 3, 4, 5]);
  });

  it('works the same with the minimal preset', () => {
    const world = new World({ ...context, constants: MINIMAL, intervalMs: MINIMAL.ROTATION_INTERVAL_MS });
    world.start();
    world.pass(60_000);
    expect(world.counts).toMatchObject({ epochs: 5, retired: 4, holds: 0 });
  });
});

describe('starting again (RT-006~1, RT-007~1)', () => {
  it('publishes the same record when nothing is due', () => {
    const world = started();
    world.pass(60_000);
    world.log = [];
    const before = world.stored;
    world.start();
    expect(world.log).toEqual(['presentTls', 'acceptEpoch', 'publish']);
    expect(world.stored).toEqual(before);
  });

  it('accepts both epochs between publication and the end of the old one', () => {
    const world = started();
    world.pass(HOUR);
    world.start();
    expect([...world.epochs.keys()].sort()).toEqual([1, 2]);
    expect(must(world.state).turn?.isVerified).toBe(true);
  });

  it('begins an epoch at once after a time down, with the whole lead before its R', () => {
    const world = started();
    world.now += HOUR * 30;
    world.log = [];
    world.start(elsewhere);
    expect(world.log).toEqual(['presentTls', 'acceptEpoch', 'commit', 'acceptEpoch', 'publish', 'notify']);
    expect(must(world.state)).toMatchObject({
      record: { epoch: 2, sequence: 2, endpoints: [{ host: '192.0.2.2' }] },
      turn: { rotationAtMs: world.now + STANDARD.PUBLISH_LEAD_MS },
    });
  });

  it('publishes fresh times when its record is ahead of its clock (RT-005~1)', () => {
    const world = started();
    world.now -= 5_000;
    world.start();
    expect(must(world.state).sequence).toBe(1);
    world.now -= 1;
    world.start();
    expect(must(world.state).record).toMatchObject({
      sequence: 2,
      epoch: 1,
      issuedAtMs: world.now,
      nextRotationMs: world.now + HOUR,
    });
  });

  it('knows a database that is older than what it has published', () => {
    const state = must(started().state);
    const { name } = state;
    expect(isDatabaseOld(native, state, name)).toBe(false);
    expect(isDatabaseOld(native, state, { ...name, sequence: 2 })).toBe(true);
    expect(isDatabaseOld(native, state, { ...name, hash: new Uint8Array(32) })).toBe(true);
    expect(isDatabaseOld(native, state, { ...name, sequence: 0 })).toBe(false);
    expect(isDatabaseOld(native, undefined, name)).toBe(true);
  });
});

describe('a clock that changes (RT-005~1)', () => {
  it.each([
    ['forward', 600_000, (r: number) => r + 600_000],
    ['back', -600_000, (r: number) => r],
    ['far back', -HOUR * 9, (r: number) => r - HOUR * 8],
  ])('%s ends what was about to end at the later of the two clocks', (_, deltaMs, expected) => {
    const world = started();
    world.pass(HOUR - 60_000);
    const rotation = must(world.state).turn?.rotationAtMs ?? 0;
    expect(rotation).toBe(NOW_MS + HOUR);
    world.now += deltaMs;
    world.give({ kind: 'clock', deltaMs });
    expect(must(world.state)).toMatchObject({
      record: { issuedAtMs: world.now, nextRotationMs: world.now + HOUR },
      turn: { rotationAtMs: expected(rotation) },
    });
  });
});

describe('channel keys (RT-010~1, RT-011~1)', () => {
  const roll = (keys: HostChannelKeys | undefined, atMs: number): HostChannelKeys =>
    rollChannelKeys(native, STANDARD, keys, fresh().channelKeys, atMs);

  it('makes the next one current at 30 days, and not a millisecond earlier', () => {
    const first = roll(undefined, NOW_MS);
    expect(roll(first, NOW_MS + CHANNEL_KEY_LIFE_MS - 1)).toEqual(first);
    const second = roll(first, NOW_MS + CHANNEL_KEY_LIFE_MS);
    expect(second[0]).toEqual(first[1]);
    expect(second[2]).toEqual(first[0]);
    expect(second[1].currentAtMs).toBe(NOW_MS + 2 * CHANNEL_KEY_LIFE_MS);
  });

  it('keeps a key until its time is over', () => {
    const first = roll(undefined, NOW_MS);
    const second = roll(first, NOW_MS + CHANNEL_KEY_LIFE_MS);
    const endMs = first[0].notAfterMs;
    expect(responderKeys(second, endMs)).toContainEqual(first[0]);
    expect(responderKeys(second, endMs + 1)).not.toContainEqual(first[0]);
    expect(roll(second, endMs + 1).length).toBe(2);
  });

  it('replaces both after 60 days of absence', () => {
    const first = roll(undefined, NOW_MS);
    const later = roll(first, NOW_MS + 2 * CHANNEL_KEY_LIFE_MS);
    expect(later.slice(0, 2)).not.toContainEqual(first[1]);
    expect(responderKeys(later, NOW_MS + 2 * CHANNEL_KEY_LIFE_MS)).toContainEqual(first[1]);
  });

  it('always fits the record, with 7 days beyond it, at every interval', () => {
    for (const intervalMs of [HOUR * 5, STANDARD.ROTATION_INTERVAL_MS_MAX]) {
      const world = new World({ ...context, intervalMs });
      world.start();
      let least = Number.POSITIVE_INFINITY;
      const firsts = new Set<string>();
      for (let day = 0; day < 100; day += 1) {
        world.pass(86_400_000);
        const { record } = must(world.state);
        for (const { notAfterMs } of record.channelKeys)
          least = Math.min(least, notAfterMs - record.validUntilMs);
        firsts.add(Buffer.from(record.channelKeys[0]?.publicKey ?? []).toString('hex'));
      }
      expect(firsts.size).toBe(4);
      expect(least).toBeGreaterThanOrEqual(CHANNEL_KEY_MARGIN_MS);
    }
  });
});

describe('whatever happens (RT-002~1, RT-003~1)', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: HOUR * 2 }) }),
    fc.record({ kind: fc.constant('down' as const), ms: fc.integer({ min: 0, max: HOUR * 4 }) }),
    fc.record({ kind: fc.constant('store' as const), isUp: fc.boolean() }),
    fc.record({ kind: fc.constant('place' as const), isElsewhere: fc.boolean() }),
    fc.record({ kind: fc.constant('die' as const), in: fc.integer({ min: 1, max: 6 }) }),
  );

  it('whoever holds an unexpired record gets in, through deaths, outages and moves', () => {
    const total = { crashes: 0, holds: 0, epochs: 0, retired: 0 };
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 14 }), events => {
        const world = started();
        const survive = (act: () => void): void => {
          try {
            act();
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
            survive(() => world.start());
          }
        };
        for (const one of events) {
          if (one.kind === 'store') world.isStoreUp = one.isUp;
          else if (one.kind === 'die') world.diesIn = one.in;
          else if (one.kind === 'pass') survive(() => world.pass(one.ms));
          else if (one.kind === 'place')
            survive(() => world.give({ kind: 'place', place: one.isElsewhere ? elsewhere : place }));
          else {
            world.now += one.ms;
            survive(() => world.start());
          }
          world.check();
        }
        for (const name of ['crashes', 'holds', 'epochs', 'retired'] as const)
          total[name] += world.counts[name];
      }),
      { numRuns: 100, seed: 7 },
    );
    console.log('renewal:', total);
    for (const count of Object.values(total)) expect(count).toBeGreaterThan(30);
  });
});

describe('what is stored', () => {
  it('is read back as it was', () => {
    const world = started();
    world.pass(HOUR);
    const state = must(world.state);
    expect(load(encodeRenewal(state))).toEqual({ ...state, verified: undefined });
    expect(decodeIdentity(native, encodeIdentity(identity))).toEqual(identity);
    const record = parseRecord(state.payload, identity.serverId);
    expect(record).toEqual(state.record);
  });

  it('is refused when it is damaged', () => {
    const stored = encodeRenewal(must(started().state));
    for (const bytes of [new Uint8Array(0), stored.subarray(0, 40), stored.subarray(0, -1)]) {
      expect(isFault(decodeRenewal(native, identity, bytes))).toBe(true);
    }
    expect(isFault(decodeIdentity(native, new Uint8Array(0)))).toBe(true);
  });
});
