import { describe, expect, it } from 'vitest';
import type { Suite } from '../crypto/suite.ts';
import {
  CLAIM_LIFE_MS,
  DEVICE_UNUSED_MS,
  DEVICES_MAX,
  INVITE_LIFE_MS,
  INVITE_LIFE_MS_MAX,
  INVITES_MAX,
} from '../gen/constants.ts';
import { native } from '../node/native.ts';
import {
  activate,
  type Decision,
  enrol,
  expire,
  type InviteTerms,
  makeInvite,
  type RegistryOutput,
  revoke,
  seen,
  withdraw,
} from './enrolment.ts';
import { codeName, isFault } from './fault.ts';
import { NOW_MS, named, testHost } from './fixtures.ts';
import { Gate } from './gate.ts';
import { parseInvite } from './invite.ts';
import { inviteKeys } from './keys.ts';
import {
  applyToGate,
  chooseName,
  cleanName,
  EMPTY_REGISTRY,
  fileRecipients,
  memberId,
  type Registry,
  registerDevice,
  registryDeadline,
} from './registry.ts';

const host = testHost(native, 'enroller');
const terms = (name = 'invite'): InviteTerms => ({
  secret: named(native, name),
  identity: host.identity(0),
  serverId: host.serverId,
  stores: [],
  name: '',
  lifeMs: 0,
});
const key = (name: string): Uint8Array => native.x25519Public(named(native, name));
const id = (name: string): string => memberId(native, key(name));
const NOBODY: ReadonlySet<string> = new Set();

function made(
  registry: Registry,
  of: InviteTerms = terms(),
): { readonly registry: Registry; readonly id: string } {
  const result = makeInvite(native, registry, of, NOW_MS);
  if (isFault(result)) throw new Error(result.detail);
  return { registry: result.registry, id: memberId(native, inviteKeys(native, of.secret).publicKey) };
}

const open = made(EMPTY_REGISTRY);
const INVITE = open.id;

function enrolled(registry: Registry, device: Uint8Array, name = '', atMs = NOW_MS): Decision {
  const request = {
    inviteId: INVITE,
    deviceKey: device,
    name,
    freshSecret: named(native, `secret for ${name}`),
  };
  return enrol(native, registry, request, atMs);
}

const [claimed] = enrolled(open.registry, key('ada'));
const [active] = activate(claimed, id('ada'), NOW_MS);

/** What a driver sees, in a line. */
function line(outputs: readonly RegistryOutput[]): string {
  return outputs.map(output => named_(output)).join(', ');
}

function named_(output: RegistryOutput): string {
  switch (output.kind) {
    case 'commit':
      return `commit(${output.changes.map(({ kind }) => kind).join(' ')})`;
    case 'close':
      return `close ${codeName(output.code)}`;
    case 'endPaths':
      return `end ${output.id === INVITE ? 'invite' : 'device'} ${codeName(output.code)}`;
    case 'enrolled':
    case 'alarm':
    case 'publish':
      return output.kind;
  }
}

function state(registry: Registry): string {
  const invite = registry.invites.get(INVITE);
  const device = registry.devices.get(id('ada'));
  const inviteState = invite === undefined ? '-' : invite.claim === undefined ? 'OPEN' : 'CLAIMED';
  const deviceState = device === undefined ? '-' : device.pending ? 'pending' : 'active';
  return `${inviteState} ${deviceState}`;
}

const STATES: readonly (readonly [string, Registry])[] = [
  ['OPEN -', open.registry],
  ['CLAIMED pending', claimed],
  ['- active', active],
];
const EXPIRED_MS = NOW_MS + INVITE_LIFE_MS + 1;
const LOST_MS = NOW_MS + CLAIM_LIFE_MS;

const EVENTS: Readonly<Record<string, (registry: Registry) => Decision>> = {
  'Enrol of the key': of => enrolled(of, key('ada')),
  'Enrol of the key past the expiry': of => enrolled(of, key('ada'), '', EXPIRED_MS - 1),
  'Enrol of the key at the end of the claim': of => enrolled(of, key('ada'), '', LOST_MS),
  'Enrol of another key': of => enrolled(of, key('eve')),
  'Enrol of zeros': of => enrolled(of, new Uint8Array(32)),
  'Enrol of 31 bytes': of => enrolled(of, new Uint8Array(31).fill(1)),
  'Enrol with a name of 65 bytes': of => enrolled(of, key('ada'), 'n'.repeat(65)),
  'Enrol of the key of the invite': of => enrolled(of, of.invites.get(INVITE)?.publicKey ?? key('eve')),
  'message 3 of the device': of => activate(of, id('ada'), NOW_MS),
  'nothing, just before the expiry': of => expire(of, EXPIRED_MS - 1, NOBODY),
  'nothing, after the expiry': of => expire(of, EXPIRED_MS, NOBODY),
  'nothing, at the end of a claim': of => expire(of, LOST_MS, NOBODY),
  'the device is revoked': of => revoke(of, id('ada')),
  'the invite is withdrawn': of => withdraw(of, INVITE),
};

describe('host state x event (EN-002~1 to EN-011~1, CF-024~1)', () => {
  it('does what the table says', () => {
    const table = Object.entries(EVENTS).flatMap(([event, run]) =>
      STATES.map(([name, registry]) => {
        expect(state(registry)).toBe(name);
        const [next, outputs] = run(registry);
        return `${name} | ${event} | ${line(outputs)} | ${state(next)}`;
      }),
    );
    expect(table.join('\n')).toBe(
      `
OPEN - | Enrol of the key | commit(putInvite putDevice), enrolled, publish | CLAIMED pending
CLAIMED pending | Enrol of the key | commit(), enrolled | CLAIMED pending
- active | Enrol of the key | close INVITE_EXPIRED | - active
OPEN - | Enrol of the key past the expiry | commit(putInvite putDevice), enrolled, publish | CLAIMED pending
CLAIMED pending | Enrol of the key past the expiry | close INVITE_EXPIRED | CLAIMED pending
- active | Enrol of the key past the expiry | close INVITE_EXPIRED | - active
OPEN - | Enrol of the key at the end of the claim | commit(putInvite putDevice), enrolled, publish | CLAIMED pending
CLAIMED pending | Enrol of the key at the end of the claim | close INVITE_EXPIRED | CLAIMED pending
- active | Enrol of the key at the end of the claim | close INVITE_EXPIRED | - active
OPEN - | Enrol of another key | commit(putInvite putDevice), enrolled, publish | CLAIMED -
CLAIMED pending | Enrol of another key | close INVITE_USED, alarm | CLAIMED pending
- active | Enrol of another key | close INVITE_EXPIRED | - active
OPEN - | Enrol of zeros | close ENROL_INVALID | OPEN -
CLAIMED pending | Enrol of zeros | close ENROL_INVALID | CLAIMED pending
- active | Enrol of zeros | close INVITE_EXPIRED | - active
OPEN - | Enrol of 31 bytes | close ENROL_INVALID | OPEN -
CLAIMED pending | Enrol of 31 bytes | close ENROL_INVALID | CLAIMED pending
- active | Enrol of 31 bytes | close INVITE_EXPIRED | - active
OPEN - | Enrol with a name of 65 bytes | close ENROL_INVALID | OPEN -
CLAIMED pending | Enrol with a name of 65 bytes | close ENROL_INVALID | CLAIMED pending
- active | Enrol with a name of 65 bytes | close INVITE_EXPIRED | - active
OPEN - | Enrol of the key of the invite | close ENROL_INVALID | OPEN -
CLAIMED pending | Enrol of the key of the invite | close INVITE_USED, alarm | CLAIMED pending
- active | Enrol of the key of the invite | close INVITE_EXPIRED | - active
OPEN - | message 3 of the device |  | OPEN -
CLAIMED pending | message 3 of the device | commit(putDevice deleteInvite), end invite UNSPECIFIED, publish | - active
- active | message 3 of the device |  | - active
OPEN - | nothing, just before the expiry |  | OPEN -
CLAIMED pending | nothing, just before the expiry | commit(deleteInvite deleteDevice), end invite INVITE_EXPIRED, end device INVITE_EXPIRED, publish | - -
- active | nothing, just before the expiry |  | - active
OPEN - | nothing, after the expiry | commit(deleteInvite), end invite INVITE_EXPIRED, publish | - -
CLAIMED pending | nothing, after the expiry | commit(deleteInvite deleteDevice), end invite INVITE_EXPIRED, end device INVITE_EXPIRED, publish | - -
- active | nothing, after the expiry |  | - active
OPEN - | nothing, at the end of a claim |  | OPEN -
CLAIMED pending | nothing, at the end of a claim | commit(deleteInvite deleteDevice), end invite INVITE_EXPIRED, end device INVITE_EXPIRED, publish | - -
- active | nothing, at the end of a claim |  | - active
OPEN - | the device is revoked |  | OPEN -
CLAIMED pending | the device is revoked | commit(deleteDevice deleteInvite), end device DEVICE_REVOKED, end invite INVITE_EXPIRED, publish | - -
- active | the device is revoked | commit(deleteDevice), end device DEVICE_REVOKED, publish | - -
OPEN - | the invite is withdrawn | commit(deleteInvite), end invite INVITE_EXPIRED, publish | - -
CLAIMED pending | the invite is withdrawn | commit(deleteInvite deleteDevice), end invite INVITE_EXPIRED, end device INVITE_EXPIRED, publish | - -
- active | the invite is withdrawn |  | - active
`.trim(),
    );
  });

  it('gives the same answer to the same key, also past the expiry of the invite (EN-003~1)', () => {
    // Claimed in the last millisecond of the invite's life.
    const late = EXPIRED_MS - 1;
    const [first, outputs] = enrolled(open.registry, key('ada'), 'one', late);
    const [second, again] = enrolled(first, key('ada'), 'another name', late + CLAIM_LIFE_MS - 1);
    const answer = (of: readonly RegistryOutput[]): unknown => of.find(({ kind }) => kind === 'enrolled');
    expect(answer(again)).toEqual(answer(outputs));
    expect(second).toBe(first);
    expect(line(enrolled(first, key('ada'), '', late + CLAIM_LIFE_MS)[1])).toBe('close INVITE_EXPIRED');
  });

  it('refuses the key of another device (EN-005~1)', () => {
    const two = made(active, terms('second'));
    const request = { inviteId: two.id, deviceKey: key('ada'), name: '', freshSecret: named(native, 's') };
    expect(line(enrol(native, two.registry, request, NOW_MS)[1])).toBe('close ENROL_INVALID');
    const three = made(two.registry, terms('third'));
    const other = three.registry.invites.get(three.id)?.publicKey ?? new Uint8Array(32);
    expect(line(enrol(native, three.registry, { ...request, deviceKey: other }, NOW_MS)[1])).toBe(
      'close ENROL_INVALID',
    );
  });

  it('refuses more devices than there is room for (EN-006~1)', () => {
    const device = registerDevice(native, {
      publicKey: key('one'),
      secret: named(native, 'one'),
      name: 'one',
      pending: false,
      enrolledAtMs: NOW_MS,
      lastSeenAtMs: 0,
    });
    const devices = (count: number): Registry['devices'] =>
      new Map(Array.from({ length: count }, (_, i) => [`device ${i}`, { ...device, id: `device ${i}` }]));
    const full = { ...open.registry, devices: devices(DEVICES_MAX) };
    expect(line(enrolled(full, key('ada'))[1])).toBe('close DEVICE_LIMIT');
    const nearly = { ...open.registry, devices: devices(DEVICES_MAX - 1) };
    expect(line(enrolled(nearly, key('ada'))[1])).toMatch(/enrolled/);
  });

  it('is told by deadline when to look again (EN-011~1)', () => {
    expect(registryDeadline(EMPTY_REGISTRY)).toBeUndefined();
    expect(registryDeadline(open.registry)).toBe(EXPIRED_MS);
    expect(registryDeadline(claimed)).toBe(LOST_MS);
    expect(registryDeadline(active)).toBe(NOW_MS + DEVICE_UNUSED_MS);
    for (const [, registry] of STATES) {
      const at = registryDeadline(registry) ?? 0;
      expect(line(expire(registry, at - 1, NOBODY)[1])).toBe('');
      expect(line(expire(registry, at, NOBODY)[1])).toMatch(/^commit\(delete/);
    }
  });

  it('removes a device that stays away, and none that is connected (EN-032~1)', () => {
    const late = NOW_MS + DEVICE_UNUSED_MS;
    expect(state(expire(active, late, NOBODY)[0])).toBe('- -');
    expect(state(expire(active, late, new Set([id('ada')]))[0])).toBe('- active');
    const [heard] = seen(active, id('ada'), NOW_MS + 5);
    expect(state(expire(heard, late + 4, NOBODY)[0])).toBe('- active');
    // A clock that went back makes nobody look older.
    expect(seen(heard, id('ada'), NOW_MS)[0]).toBe(heard);
  });
});

describe('making an invite (IN-001~1, IN-003~1)', () => {
  it('hands out a secret of which it keeps nothing', () => {
    const result = makeInvite(native, EMPTY_REGISTRY, terms(), NOW_MS);
    if (isFault(result)) throw new Error(result.detail);
    const invite = parseInvite(native, result.invite);
    if (isFault(invite)) throw new Error(invite.detail);
    expect(invite).toMatchObject({ expiresAtMs: NOW_MS + INVITE_LIFE_MS, trust: host.trust(0, false) });
    const kept = [...result.registry.invites.values()][0];
    const { privateKey, ...derived } = inviteKeys(native, invite.secret);
    expect(kept).toMatchObject(derived);
    const values = Object.values(kept ?? {}).filter(value => value instanceof Uint8Array);
    for (const secret of [invite.secret, privateKey]) {
      expect(values.some(value => Buffer.compare(value, secret) === 0)).toBe(false);
    }
    expect(line(result.outputs)).toBe('commit(putInvite), publish');
  });

  it('erases the private key that it derives on the way', () => {
    const erased: Uint8Array[] = [];
    const watching: Suite = {
      ...native,
      erase: bytes => {
        erased.push(bytes.slice());
        native.erase(bytes);
      },
    };
    const { secret } = terms();
    makeInvite(watching, EMPTY_REGISTRY, terms(), NOW_MS);
    expect(erased).toContainEqual(inviteKeys(native, secret).privateKey);
  });

  it('refuses a life that is too long, and one invite too many', () => {
    const life = (lifeMs: number): boolean =>
      isFault(makeInvite(native, EMPTY_REGISTRY, { ...terms(), lifeMs }, NOW_MS));
    expect([INVITE_LIFE_MS_MAX + 1, INVITE_LIFE_MS_MAX, 1000, 999, -1, Number.NaN].map(life)).toEqual([
      true,
      false,
      false,
      true,
      true,
      true,
    ]);
    const [one] = [...open.registry.invites.values()];
    if (one === undefined) throw new Error('no invite');
    const many = (count: number): Registry => ({
      ...EMPTY_REGISTRY,
      invites: new Map(Array.from({ length: count }, (_, i) => [`${i}`, one])),
    });
    expect(isFault(makeInvite(native, many(INVITES_MAX), terms('x'), NOW_MS))).toBe(true);
    expect(isFault(makeInvite(native, many(INVITES_MAX - 1), terms('x'), NOW_MS))).toBe(false);
  });
});

describe('who is in the file and at the gate (CF-005~1, GT-002~1)', () => {
  it('follows every change', () => {
    const gate = new Gate(native);
    const ids = [INVITE, id('ada')];
    const now = { wall: NOW_MS, mono: 0 };
    const rows: string[] = [];
    let registry: Registry = EMPTY_REGISTRY;
    const then = (name: string, [next, outputs]: Decision): void => {
      registry = next;
      for (const output of outputs) if (output.kind === 'commit') applyToGate(gate, output.changes);
      rows.push(
        `${name}: ${fileRecipients(registry).length} ${ids.map(one => gate.has(one, now)).join(' ')}`,
      );
    };
    const result = makeInvite(native, registry, terms(), NOW_MS);
    if (isFault(result)) throw new Error(result.detail);
    then('invite', [result.registry, result.outputs]);
    then('claim', enrolled(registry, key('ada')));
    then('message 3', activate(registry, id('ada'), NOW_MS));
    then('revoke', revoke(registry, id('ada')));
    expect(rows).toEqual([
      'invite: 1 true false',
      'claim: 2 true true',
      'message 3: 1 false true',
      'revoke: 0 false false',
    ]);
  });
});

describe('names (EN-020~1)', () => {
  it('takes the name of the invite, else the one asked for, else one of its own', () => {
    expect(chooseName('Ada', 'asked', 'c0ffee00aa')).toBe('Ada');
    expect(chooseName('', 'asked', 'c0ffee00aa')).toBe('asked');
    expect(chooseName('\u200b', '\u202e\n', 'c0ffee00aa')).toBe('device-c0ffee00');
  });

  it('drops controls, format characters, line and paragraph separators, and halves of pairs', () => {
    expect(cleanName('a\0b\x1b[31mc\u007f\u0085\u200b\u202e\u2028\u2029\ud800d\ufeff')).toBe('ab[31mcd');
    expect(cleanName('Zoë 日本 👍 מ')).toBe('Zoë 日本 👍 מ');
  });
});
