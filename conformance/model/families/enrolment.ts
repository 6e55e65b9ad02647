/** Vectors: enrolment of a device, from both sides (spec/08-devices.md, 8.2 and 8.3). */
import { CLAIM_LIFE_MS, DEVICES_MAX } from '../../../src/gen/constants.ts';
import { concat, EMPTY, hex, stream, utf8, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import { closeFrame } from '../enrolment.ts';
import { ADA, holding, recordBy, shownReader } from '../file-cases.ts';
import type { Flag } from '../flags.ts';
import { type BodyInit, encodeFrame } from '../frame.ts';
import { judgeEnrolment } from '../judge/enrolment.ts';
import { deviceId, recordHash } from '../labels.ts';
import { lengthField } from '../protobuf.ts';
import type { Reader } from '../record.ts';
import { chain, envelope, KEY_ENDS_MS, payload } from '../record-samples.ts';
import { EXPIRES_S } from '../samples.ts';
import { type Family, family, type JsonObject, type Vector } from '../vector.ts';

const KEY = cast.device('ada').publicKey;
const OTHER = cast.device('bob').publicKey;
const INVITE_KEY = cast.invite('ada').publicKey;
const KNOWN = [cast.device('cleo').publicKey, cast.invite('dora').publicKey];
const ENVELOPE = envelope(payload());
const LATER = envelope(payload({ sequence: 78n }));
const EXPIRES_MS = EXPIRES_S * 1000;

const enrol = (deviceKey: Uint8Array, name = 'Ada'): Uint8Array =>
  encodeFrame({ case: 'enrol', value: { deviceKey, name } });

/** A frame on a path of the invite, at a time after the vectors' beginning. */
const at = (afterMs: number, frame: Uint8Array, record = ENVELOPE): JsonObject => ({
  at_ms: cast.NOW_MS + afterMs,
  path: 'invite',
  frame: hex(frame),
  envelope: hex(record),
});
const event = (afterMs: number, name: string): JsonObject => ({ at_ms: cast.NOW_MS + afterMs, event: name });

type Head = Pick<Vector, 'note' | 'flags' | 'req'>;
interface Setting {
  readonly inviteName?: string;
  readonly otherDevices?: number;
}

function host(id: string, head: Head, steps: readonly JsonObject[], setting: Setting = {}): Vector {
  const input = {
    what: 'host',
    invite_key: hex(INVITE_KEY),
    expires_at_ms: EXPIRES_MS,
    invite_name: setting.inviteName ?? '',
    other_keys: KNOWN.map(hex),
    other_devices: setting.otherDevices ?? 1,
    device_secret: hex(cast.deviceSecret('ada')),
    steps,
  };
  return {
    id: `enrolment/host/${id}`,
    ...head,
    phase: 'state',
    ...judgeEnrolment(input, {}, new Map()),
    input,
  };
}

function lives(): Vector[] {
  const all = ['token of the device', 'token of the invite'];
  const flags = ['state-machine'] as const;
  const again = ['idempotence'] as const;
  return [
    host(
      'whole',
      {
        note: 'An invite from its first Enrol to its end.',
        flags: ['known-answer'],
        req: ['EN-002~1', 'EN-009~1'],
      },
      [
        ...all.map(name => event(0, name)),
        at(1000, enrol(KEY)),
        ...all.map(name => event(2000, name)),
        event(3000, 'message 3 of the device'),
        ...all.map(name => event(4000, name)),
        event(5000, 'message 3 of the device'),
      ],
    ),
    host(
      'again',
      {
        note: 'The same Enrol three times, with another name and a newer record: one secret, one name, the current record.',
        flags: again,
        req: ['EN-003~1'],
      },
      [at(0, enrol(KEY)), at(1000, enrol(KEY)), at(2000, enrol(KEY, 'Somebody else'), LATER)],
    ),
    host(
      'again-past-expiry',
      {
        note: 'Again after the invite expired: it was claimed before.',
        flags: [...again, 'clock'],
        req: ['EN-003~1'],
      },
      [at(3_600_000, enrol(KEY)), at(EXPIRES_MS - cast.NOW_MS + 1, enrol(KEY))],
    ),
    host(
      'again-until',
      {
        note: 'Again shortly before the claim ends, and shortly after.',
        flags: [...again, 'clock', 'boundary'],
        req: ['EN-003~1', 'EN-011~1'],
      },
      [
        at(3_600_000, enrol(KEY)),
        at(3_600_000 + CLAIM_LIFE_MS - 1, enrol(KEY)),
        at(3_600_000 + CLAIM_LIFE_MS + 1, enrol(KEY)),
        event(3_600_000 + CLAIM_LIFE_MS + 2, 'token of the device'),
      ],
    ),
    host(
      'claim-ends',
      {
        note: 'A device that never came back is deleted with its invite.',
        flags: [...flags, 'clock'],
        req: ['EN-011~1'],
      },
      [
        at(0, enrol(KEY)),
        event(CLAIM_LIFE_MS - 1, 'clock'),
        event(CLAIM_LIFE_MS + 1, 'clock'),
        event(CLAIM_LIFE_MS + 2, 'token of the device'),
        event(CLAIM_LIFE_MS + 2, 'token of the invite'),
      ],
    ),
    host(
      'claim-of-active',
      { note: 'A device that came back stays.', flags: [...flags, 'clock'], req: ['EN-011~1'] },
      [
        at(0, enrol(KEY)),
        event(1000, 'message 3 of the device'),
        event(CLAIM_LIFE_MS + 1, 'clock'),
        event(CLAIM_LIFE_MS + 1, 'token of the device'),
      ],
    ),
    host(
      'other-key',
      {
        note: 'Another key for a claimed invite: an alarm, and nothing changes for the first one.',
        flags,
        req: ['EN-004~1'],
      },
      [at(0, enrol(KEY)), at(1000, enrol(OTHER)), at(2000, enrol(KEY))],
    ),
    host(
      'expiry',
      {
        note: 'An Enrol in the last millisecond of the invite.',
        flags: ['clock', 'boundary'],
        req: ['EN-002~1', 'IN-002~1'],
      },
      [at(EXPIRES_MS - cast.NOW_MS, enrol(KEY))],
    ),
    host(
      'expired',
      { note: 'One a millisecond later.', flags: ['clock', 'boundary'], req: ['EN-002~1', 'IN-002~1'] },
      [
        at(EXPIRES_MS - cast.NOW_MS + 1, enrol(KEY)),
        event(EXPIRES_MS - cast.NOW_MS + 2, 'token of the invite'),
      ],
    ),
    host('expires', { note: 'An invite that nobody uses.', flags: ['clock'], req: ['IN-002~1'] }, [
      event(0, 'token of the invite'),
      event(EXPIRES_MS - cast.NOW_MS + 1, 'clock'),
      event(EXPIRES_MS - cast.NOW_MS + 1, 'token of the invite'),
    ]),
    host(
      'revoked-pending',
      { note: 'A pending device is revoked, and its invite with it.', flags, req: ['EN-030~1'] },
      [at(0, enrol(KEY)), event(1000, 'revoke'), ...all.map(name => event(2000, name)), at(3000, enrol(KEY))],
    ),
    host('revoked-active', { note: 'An active one.', flags, req: ['EN-030~1'] }, [
      at(0, enrol(KEY)),
      event(1000, 'message 3 of the device'),
      event(2000, 'revoke'),
      event(3000, 'token of the device'),
    ]),
    host(
      'last-place',
      { note: 'The last device that there is room for.', flags: ['count', 'boundary'], req: ['EN-006~1'] },
      [at(0, enrol(KEY)), at(1, enrol(KEY))],
      { otherDevices: DEVICES_MAX - 1 },
    ),
    host(
      'no-place',
      { note: 'No room.', flags: ['count', 'boundary'], req: ['EN-006~1'] },
      [at(0, enrol(KEY)), event(1, 'token of the device')],
      { otherDevices: DEVICES_MAX },
    ),
  ];
}

function refusals(): Vector[] {
  const bad = (
    id: string,
    note: string,
    flags: readonly Flag[],
    frame: Uint8Array,
    req = 'EN-005~1',
  ): Vector =>
    host(`refused/${id}`, { note: `${note} A right Enrol afterwards is granted.`, flags, req: [req] }, [
      at(0, frame),
      at(1000, enrol(KEY)),
    ]);
  const order = (id: string, note: string, steps: readonly JsonObject[], setting?: Setting): Vector =>
    host(`order/${id}`, { note, flags: ['order-of-steps'], req: ['EN-005~1'] }, steps, setting);
  return [
    ...[0, 31, 33].map(length =>
      bad(`key-${length}`, `A key of ${length} bytes.`, ['length'], enrol(stream('a key', length))),
    ),
    bad('key-zero', 'A key of zeros.', ['all-zero-dh'], enrol(zeros(32))),
    bad('key-of-device', 'The key of another device.', ['wrong-key'], enrol(KNOWN[0] ?? EMPTY)),
    bad('key-of-invite', 'The key of another invite.', ['wrong-key'], enrol(KNOWN[1] ?? EMPTY)),
    bad('key-of-this-invite', 'The key of this invite.', ['wrong-key'], enrol(INVITE_KEY)),
    bad('name-65', 'A name of 65 bytes.', ['length', 'boundary'], enrol(KEY, 'n'.repeat(65))),
    bad(
      'name-bytes',
      'A name of 33 letters that are 66 bytes.',
      ['length', 'utf-8'],
      enrol(KEY, '\u00e4'.repeat(33)),
    ),
    bad(
      'name-not-utf-8',
      'A name that is no UTF-8.',
      ['utf-8'],
      lengthField(11, concat(lengthField(1, KEY), lengthField(2, Uint8Array.of(0xff)))),
      'SE-003~1',
    ),
    order('expired-zero', 'An expired invite, and a key of zeros: the invite.', [
      at(EXPIRES_MS - cast.NOW_MS + 1, enrol(zeros(32))),
    ]),
    order('claimed-zero', 'A claimed invite, and a key of zeros: the key.', [
      at(0, enrol(KEY)),
      at(1, enrol(zeros(32))),
    ]),
    order('claimed-known', 'A claimed invite, and the key of another device: the claim.', [
      at(0, enrol(KEY)),
      at(1, enrol(KNOWN[0] ?? EMPTY)),
    ]),
    order('claimed-long-name', 'A claimed invite, and a name too long: the name.', [
      at(0, enrol(KEY)),
      at(1, enrol(OTHER, 'n'.repeat(65))),
    ]),
    order(
      'known-no-place',
      'The key of another device, and no room: the key.',
      [at(0, enrol(KNOWN[0] ?? EMPTY))],
      { otherDevices: DEVICES_MAX },
    ),
    order('long-name-known', 'A name too long, and the key of another device: either way the same.', [
      at(0, enrol(KNOWN[0] ?? EMPTY, 'n'.repeat(65))),
    ]),
  ];
}

function otherFrames(): Vector[] {
  const of = (id: string, note: string, frame: Uint8Array, path: 'invite' | 'device' = 'invite'): Vector =>
    host(`frame/${id}`, { note, flags: ['state-machine'], req: ['EN-007~2'] }, [{ ...at(0, frame), path }]);
  const body = (id: string, note: string, value: BodyInit): Vector => of(id, note, encodeFrame(value));
  return [
    body('attach', 'An Attach on a path of the invite.', {
      case: 'attach',
      value: { sessionId: stream('session', 16), generation: 1n, open: true },
    }),
    body('data', 'Data.', {
      case: 'data',
      value: { sequence: 1n, stream: 1, payload: utf8('hi'), open: { service: 'chat.v1' } },
    }),
    body('ack', 'An Ack.', { case: 'ack', value: { receivedThrough: 0n } }),
    body('credit', 'Credit.', { case: 'credit', value: { stream: 1, limit: 9n } }),
    body('enrolled', 'An Enrolled.', {
      case: 'enrolled',
      value: { deviceSecret: zeros(32), envelope: ENVELOPE, name: 'x' },
    }),
    body('attached', 'An Attached.', { case: 'attached', value: { generation: 1n } }),
    body('ping', 'A Ping is answered.', { case: 'ping', value: { id: 7n } }),
    body('pong', 'A Pong is taken.', { case: 'pong', value: { id: 7n } }),
    body('close', 'A Close ends the path.', { case: 'close', value: {} }),
    body('second-hello', 'A second Hello.', { case: 'hello', value: { protocolVersion: 1 } }),
    of('unknown', 'A frame of a later version is ignored.', lengthField(99, zeros(2))),
    of('enrol-on-device-path', 'An Enrol on a path of a device.', enrol(OTHER), 'device'),
  ];
}

function names(): Vector[] {
  const of = (id: string, note: string, asked: string, flags: readonly Flag[], inviteName = ''): Vector =>
    host(`name/${id}`, { note, flags, req: ['EN-020~1'] }, [at(0, enrol(KEY, asked))], { inviteName });
  return [
    of('asked', 'The name that was asked for.', 'Ada\u2019s laptop', ['known-answer']),
    of('of-invite', 'The name that the invite was made with.', 'Mallory', ['known-answer'], 'Ada'),
    of('none', `No name: device- and the start of ${hex(deviceId(KEY))}.`, '', ['known-answer']),
    of('64', 'The longest name.', 'n'.repeat(64), ['boundary', 'length']),
    of(
      'controls',
      'A line feed, an escape, a right-to-left override, a zero-width joiner, line and paragraph separators are dropped.',
      'A\n\u001b[31md\u202ea\u200d\u2028\u2029!',
      ['character-set'],
    ),
    of('only-controls', 'A name of nothing else.', '\u0000\u202e', ['character-set']),
    of('astral', 'Letters beyond 16 bits.', '\u{1f980}\u{1d49c}', ['utf-8']),
    of('tag-characters', 'Format characters beyond 16 bits are dropped.', 'A\u{e0041}da', [
      'utf-8',
      'character-set',
    ]),
  ];
}

const granted = (
  of: { readonly secret?: Uint8Array; readonly record?: Uint8Array; readonly name?: string } = {},
): Uint8Array =>
  encodeFrame({
    case: 'enrolled',
    value: {
      deviceSecret: of.secret ?? cast.deviceSecret('ada'),
      envelope: of.record ?? ENVELOPE,
      name: of.name ?? 'Ada',
    },
  });

/** The client before it knows anything but its invite. */
const JOINER: Reader = { ...ADA, fileKey: cast.invite('ada').fileKey, nextIdentityHash: undefined };

function client(id: string, head: Head, steps: readonly JsonObject[], reader = JOINER): Vector {
  const input = {
    what: 'client',
    client: shownReader(reader),
    device_secret_key: hex(cast.deviceStatic('ada')),
    steps,
  };
  return {
    id: `enrolment/client/${id}`,
    ...head,
    phase: 'state',
    ...judgeEnrolment(input, {}, new Map()),
    input,
  };
}

const hears = (frame: Uint8Array, path = 'invite', afterMs = 0): JsonObject => ({
  at_ms: cast.NOW_MS + afterMs,
  path,
  frame: hex(frame),
});
const hello = encodeFrame({ case: 'hello', value: { protocolVersion: 1 } });

function clients(): Vector[] {
  const join = (name: string): JsonObject => ({
    at_ms: cast.NOW_MS,
    join: {
      client: shownReader({ ...JOINER, fileKey: cast.invite(name).fileKey }),
      device_secret_key: hex(cast.deviceStatic(`${name} anew`)),
    },
  });
  const crash = { at_ms: cast.NOW_MS, event: 'crash' };
  const flags = ['state-machine'] as const;
  return [
    client(
      'whole',
      {
        note: 'From the reply to the first frame on a path of the device.',
        flags: ['known-answer'],
        req: ['EN-008~1', 'EN-010~2', 'EN-013~2'],
      },
      [hears(granted()), hears(hello, 'device'), hears(hello, 'device')],
    ),
    client(
      'unknown-frame',
      {
        note: 'The first frame on a path of the device is one that the client does not know: the host has let it in.',
        flags: ['unknown-field'],
        req: ['EN-010~2', 'SE-001~1'],
      },
      [hears(granted()), hears(lengthField(99, new Uint8Array(3)), 'device'), hears(hello, 'device')],
    ),
    client(
      'crashes',
      { note: 'A crash in every state: it dials as what it is.', flags, req: ['EN-001~1', 'EN-008~1'] },
      [crash, hears(granted()), crash, hears(hello, 'device'), crash],
    ),
    client(
      'used',
      {
        note: 'Somebody else has used the invite: nothing is lost, nothing gained.',
        flags,
        req: ['EN-004~1'],
      },
      [hears(closeFrame('INVITE_USED')), crash],
    ),
    client(
      'other-invite-keyed',
      { note: 'Another invite before the reply: a new device key.', flags, req: ['EN-012~1'] },
      [join('dora'), hears(granted({ secret: cast.deviceSecret('dora') }))],
    ),
    client(
      'other-invite-granted',
      {
        note: 'Another invite after the reply, when the device path never worked.',
        flags,
        req: ['EN-012~1'],
      },
      [hears(granted()), join('dora')],
    ),
    client('other-invite-device', { note: 'A device joins no more.', flags, req: ['EN-012~1'] }, [
      hears(granted()),
      hears(hello, 'device'),
      join('dora'),
    ]),
    client(
      'succession',
      {
        note: 'The host\u2019s identity was replaced since the invite was made: the words come from the new key.',
        flags: ['succession'],
        req: ['EN-013~2', 'EN-040~1'],
      },
      [hears(granted({ record: envelope(recordBy(2), cast.identity(2), chain(2)) }))],
    ),
    client(
      'with-bundle',
      {
        note: 'A record was known from a bundle: an older one in the reply is a rollback.',
        flags: ['rollback'],
        req: ['EN-013~2'],
      },
      [hears(granted()), hears(granted({ record: LATER }))],
      holding(0, {
        fileKey: JOINER.fileKey,
        highest: { sequence: 78n, hash: recordHash(payload({ sequence: 78n })) },
      }),
    ),
    client(
      'clock',
      {
        note: 'By the clock of the client every channel key is over: the reply is stored all the same, and dialled by once the person accepts.',
        flags: ['clock'],
        req: ['EN-013~2', 'CF-041~1'],
      },
      [hears(granted(), 'invite', KEY_ENDS_MS - cast.NOW_MS + 1)],
    ),
  ];
}

function badReplies(): Vector[] {
  const of = (id: string, note: string, flags: readonly Flag[], frame: Uint8Array): Vector =>
    client(
      `refused/${id}`,
      { note: `${note} Nothing is stored; a right reply afterwards is.`, flags, req: ['EN-013~2'] },
      [hears(frame), hears(granted())],
    );
  const record = (id: string, note: string, flags: readonly Flag[], bytes: Uint8Array): Vector =>
    of(id, note, flags, granted({ record: bytes }));
  const server = { serverId: stream('another server id', 32) };
  return [
    ...[0, 31, 33].map(length =>
      of(
        `secret-${length}`,
        `A device secret of ${length} bytes.`,
        ['length'],
        granted({ secret: stream('secret', length) }),
      ),
    ),
    of('no-name', 'No name.', ['length', 'boundary'], granted({ name: '' })),
    of('name-65', 'A name of 65 bytes.', ['length', 'boundary'], granted({ name: 'n'.repeat(65) })),
    record('no-envelope', 'No envelope.', ['length'], EMPTY),
    record('envelope-cut', 'An envelope whose last byte is missing.', ['truncation'], ENVELOPE.slice(0, -1)),
    record(
      'signature',
      'Signed by a key that is not the invite\u2019s.',
      ['wrong-key'],
      envelope(payload(), cast.identity(3)),
    ),
    record('server', 'A record of another host.', ['wrong-server'], envelope(payload(server))),
    record(
      'version',
      'A record of a later version.',
      ['version-first'],
      envelope(payload({ protocolVersion: 2 })),
    ),
    record('invalid', 'A record without endpoints.', ['count'], envelope(payload({ endpoints: [] }))),
    of(
      'secret-and-signature',
      'A device secret of 31 bytes, and a false signature: the secret.',
      ['order-of-steps'],
      granted({ secret: zeros(31), record: envelope(payload(), cast.identity(3)) }),
    ),
  ];
}

/** Make the family. */
export function enrolment(): Family {
  return family(
    'enrolment',
    ['spec/08-devices.md#82-enrolment', 'spec/08-devices.md#83-names'],
    '"host" is what one invite goes through at a host, "client" the same at the joining device. Each step is given to what the steps before left.',
    [...lives(), ...refusals(), ...otherFrames(), ...names(), ...clients(), ...badReplies()],
  );
}
