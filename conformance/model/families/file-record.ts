/** Vectors: the table of the record, one rule broken at a time (spec/03-connection-file.md, 3.3). */
import { concat, stream, unhex, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import { type Case, envelopeCase } from '../file-cases.ts';
import type { Flag } from '../flags.ts';
import { lengthField, varintField } from '../protobuf.ts';
import {
  endpoint,
  envelope,
  ISSUED_MS,
  KEY_ENDS_MS,
  NEXT_ROTATION_MS,
  payload,
  type RecordFields,
  VALID_UNTIL_MS,
} from '../record-samples.ts';
import { HTTPS, https, STORE_BOUNDS } from '../samples.ts';
import type { Vector } from '../vector.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const MARGIN = 604_800_000;

/** A record as it stands, signed by the right key. */
function raw(id: string, note: string, flags: readonly Flag[], bytes: Uint8Array, req = 'CF-020~1'): Vector {
  const of: Case = { id: `record/${id}`, note, req: [req], flags };
  return envelopeCase(of, envelope(bytes));
}

/** The record with other values for some of its fields. */
const record = (id: string, note: string, flags: readonly Flag[], other: RecordFields): Vector =>
  raw(id, note, flags, payload(other));

const key = (notAfterMs: number, publicKey = cast.channel(0).publicKey) => ({
  publicKey,
  notAfterMs: BigInt(notAfterMs),
});
const access = (epoch: number, length = 32) => ({ epoch: BigInt(epoch), key: stream('access', length) });
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

function numbers(): Vector[] {
  const ranges = (name: 'epoch' | 'sequence'): Vector[] => {
    const of = (value: bigint): RecordFields =>
      name === 'sequence'
        ? { sequence: value }
        : { epoch: value, accessKeys: [{ epoch: value, key: stream('access', 32) }] };
    return [
      record(`${name}-0`, `${name} 0.`, ['range', 'boundary'], of(0n)),
      record(`${name}-1`, `${name} 1.`, ['boundary'], of(1n)),
      record(`${name}-2-32`, `${name} 2^32.`, ['big-number'], of(2n ** 32n)),
      record(`${name}-max`, `The highest ${name}.`, ['big-number', 'boundary'], of(BigInt(MAX))),
      record(`${name}-2-53`, `${name} 2^53.`, ['big-number', 'boundary', 'range'], of(2n ** 53n)),
      record(`${name}-2-64`, `${name} 2^64 - 1.`, ['big-number', 'range'], of(2n ** 64n - 1n)),
    ];
  };
  return [
    record('version-0', 'No protocol version.', ['version-first'], { protocolVersion: 0 }),
    record('version-2', 'A later protocol version.', ['version-first'], { protocolVersion: 2 }),
    record('server-other', 'Another host.', ['wrong-server'], { serverId: stream('another server id', 32) }),
    record('server-31', 'A server id of 31 bytes.', ['length', 'wrong-server'], {
      serverId: cast.SERVER_ID.slice(0, 31),
    }),
    record('server-33', 'The right server id with a byte behind it.', ['length', 'wrong-server'], {
      serverId: concat(cast.SERVER_ID, zeros(1)),
    }),
    record('server-empty', 'No server id.', ['length', 'wrong-server'], { serverId: zeros(0) }),
    ...ranges('epoch'),
    ...ranges('sequence'),
  ];
}

function clocks(): Vector[] {
  const at = (id: string, note: string, issued: number, next: number, valid: number): Vector =>
    record(`times/${id}`, note, ['range', 'boundary'], {
      issuedAtMs: BigInt(issued),
      nextRotationMs: BigInt(next),
      validUntilMs: BigInt(valid),
      channelKeys: [key(Math.min(valid + MARGIN, MAX))],
    });
  return [
    at('issued-at-rotation', 'Issued at the rotation.', NEXT_ROTATION_MS, NEXT_ROTATION_MS, VALID_UNTIL_MS),
    at(
      'issued-before-rotation',
      'Issued a millisecond before it.',
      NEXT_ROTATION_MS - 1,
      NEXT_ROTATION_MS,
      VALID_UNTIL_MS,
    ),
    at('valid-until-rotation', 'Valid until the rotation.', ISSUED_MS, NEXT_ROTATION_MS, NEXT_ROTATION_MS),
    at(
      'valid-before-rotation',
      'Valid until a millisecond before it.',
      ISSUED_MS,
      NEXT_ROTATION_MS,
      NEXT_ROTATION_MS - 1,
    ),
    at('all-0', 'No times.', 0, 0, 0),
    at('issued-0', 'Issued in 1970.', 0, 1, 1),
    record('times/2-53', 'Valid until 2^53.', ['big-number', 'range', 'boundary'], {
      validUntilMs: 2n ** 53n,
      channelKeys: [{ publicKey: zeros(32), notAfterMs: 2n ** 53n + BigInt(MARGIN) }],
    }),
    record('times/issued-2-53', 'Issued and valid beyond 2^53.', ['big-number', 'range'], {
      issuedAtMs: 2n ** 53n,
      nextRotationMs: 2n ** 53n + 1n,
      validUntilMs: 2n ** 53n + 2n,
      channelKeys: [{ publicKey: zeros(32), notAfterMs: 2n ** 54n }],
    }),
  ];
}

function endpoints(): Vector[] {
  const hosts = (id: string, note: string, host: string, flags: readonly Flag[]): Vector =>
    record(`endpoint/${id}`, note, flags, { endpoints: [endpoint(host)] });
  const between = (id: string, note: string, from: bigint, to: bigint, flags: readonly Flag[]): Vector =>
    record(`endpoint/${id}`, note, flags, {
      endpoints: [{ ...endpoint(), notBeforeMs: from, notAfterMs: to }],
    });
  return [
    record('endpoints-0', 'No endpoint.', ['count', 'boundary'], { endpoints: [] }),
    record('endpoints-16', 'Sixteen endpoints.', ['count', 'boundary'], {
      endpoints: times(16, i => endpoint(`192.0.2.${i}`)),
    }),
    record('endpoints-17', 'Seventeen endpoints.', ['count', 'boundary'], {
      endpoints: times(17, i => endpoint(`192.0.2.${i}`)),
    }),
    hosts('host-empty', 'No host.', '', ['length']),
    hosts('host-253', 'The longest host.', 'a'.repeat(253), ['boundary']),
    hosts('host-254', 'A host that is too long.', 'a'.repeat(254), ['boundary', 'length']),
    hosts('host-all', 'All characters that a host can have.', 'azAZ09.-:_%', ['character-set']),
    hosts('host-brackets', 'An IPv6 address in brackets.', '[2001:db8::10]', ['character-set']),
    hosts('host-space', 'A space.', 'host example', ['character-set']),
    hosts('host-line-feed', 'A line feed at the end.', 'host.example\n', ['character-set']),
    hosts('host-slash', 'A path.', 'host.example/x', ['character-set']),
    hosts('host-at', 'A user.', 'user@host.example', ['character-set']),
    hosts('host-nul', 'A zero byte.', 'host.example\u0000', ['character-set']),
    hosts('host-umlaut', 'A letter outside ASCII.', 'h\u00f6st.example', ['character-set']),
    ...[0, 65_536, 4_294_967_295].map(port =>
      record(`endpoint/port-${port}`, `Port ${port}.`, ['range', 'boundary'], {
        endpoints: [endpoint('a', port)],
      }),
    ),
    ...[1, 65_535].map(port =>
      record(`endpoint/port-${port}`, `Port ${port}.`, ['boundary'], { endpoints: [endpoint('a', port)] }),
    ),
    between('ends-as-it-begins', 'It ends when it begins.', 5n, 5n, ['range', 'boundary']),
    between('ends-before', 'It ends before it begins.', 6n, 5n, ['range']),
    between('one-millisecond', 'It lasts a millisecond.', 5n, 6n, ['boundary']),
    between('until-2-53', 'It ends at 2^53.', 5n, 2n ** 53n, ['big-number', 'range', 'boundary']),
    record('endpoint/second', 'The second of two breaks a rule.', ['count'], {
      endpoints: [endpoint(), endpoint('')],
    }),
  ];
}

function keys(): Vector[] {
  const channel = (
    id: string,
    note: string,
    flags: readonly Flag[],
    ...of: ReturnType<typeof key>[]
  ): Vector => record(`channel-key/${id}`, note, flags, { channelKeys: of });
  const accessed = (
    id: string,
    note: string,
    flags: readonly Flag[],
    ...of: ReturnType<typeof access>[]
  ): Vector => record(`access-key/${id}`, note, flags, { accessKeys: of });
  const end = VALID_UNTIL_MS + MARGIN;
  return [
    channel('0', 'No channel key.', ['count', 'boundary']),
    channel(
      '4',
      'Four channel keys.',
      ['count', 'boundary'],
      ...times(4, i => key(KEY_ENDS_MS, cast.channel(i).publicKey)),
    ),
    channel(
      '5',
      'Five channel keys.',
      ['count', 'boundary'],
      ...times(5, i => key(KEY_ENDS_MS, cast.channel(i).publicKey)),
    ),
    channel('31', 'A key of 31 bytes.', ['length'], key(KEY_ENDS_MS, zeros(31))),
    channel('33', 'A key of 33 bytes.', ['length'], key(KEY_ENDS_MS, zeros(33))),
    channel('margin', 'It ends seven days after the record.', ['boundary'], key(end)),
    channel('margin-less-1', 'A millisecond earlier.', ['boundary', 'range'], key(end - 1)),
    channel(
      'second-too-early',
      'The second of two ends too early.',
      ['count', 'range'],
      key(end),
      key(end - 1),
    ),
    channel('2-53', 'It ends at 2^53.', ['big-number', 'range', 'boundary'], {
      publicKey: zeros(32),
      notAfterMs: 2n ** 53n,
    }),
    accessed('0', 'No access key.', ['count', 'boundary']),
    accessed('4', 'Four access keys.', ['count', 'boundary'], ...times(4, i => access(494_000 - i))),
    accessed('5', 'Five access keys.', ['count', 'boundary'], ...times(5, i => access(494_000 - i))),
    accessed('31', 'A key of 31 bytes.', ['length'], access(494_000, 31)),
    accessed('33', 'A key of 33 bytes.', ['length'], access(494_000, 33)),
    accessed(
      'other-epoch',
      'The first one is of another epoch than the record.',
      ['wrong-epoch'],
      access(493_999),
      access(494_000),
    ),
    accessed('second-epoch-0', 'The second one is of epoch 0.', ['range'], access(494_000), access(0)),
    accessed('second-31', 'The second one has 31 bytes.', ['length'], access(494_000), access(493_999, 31)),
    record('pins-0', 'No pin: the certificate is checked against authorities.', ['count'], { tlsPins: [] }),
    record('pins-4', 'Four pins.', ['count', 'boundary'], { tlsPins: times(4, i => stream(`pin ${i}`, 32)) }),
    record('pins-5', 'Five pins.', ['count', 'boundary'], { tlsPins: times(5, i => stream(`pin ${i}`, 32)) }),
    record('pin-31', 'A pin of 31 bytes.', ['length'], { tlsPins: [zeros(31)] }),
    record('pin-0', 'A pin of no bytes.', ['length'], { tlsPins: [zeros(0)] }),
    record('next-identity-31', 'A next-identity hash of 31 bytes.', ['length'], {
      nextIdentityHash: zeros(31),
    }),
    record('next-identity-0', 'No next-identity hash.', ['length'], { nextIdentityHash: zeros(0) }),
  ];
}

function suitesAndStores(): Vector[] {
  const suites = (id: string, note: string, flags: readonly Flag[], ...of: number[]): Vector =>
    record(`suites/${id}`, note, flags, { suites: of });
  return [
    suites('0', 'No suite.', ['count', 'boundary']),
    suites('8', 'Eight suites, the last of which is known.', ['count', 'boundary'], 2, 3, 4, 5, 6, 7, 8, 1),
    suites('9', 'Nine suites.', ['count', 'boundary'], 1, 2, 3, 4, 5, 6, 7, 8, 9),
    suites('unknown', 'Only suites of later versions.', ['version-first'], 2, 3),
    raw(
      'suites/not-packed',
      'Suites each with a field of its own.',
      ['unknown-field'],
      concat(payload({ suites: [2] }), varintField(13, 1)),
      'CF-021~1',
    ),
    record('stores-0', 'No store.', ['count'], { stores: [] }),
    record('stores-8', 'Eight stores.', ['count', 'boundary'], {
      stores: times(8, i => https(`https://${i}.example/a`)),
    }),
    record('stores-9', 'Nine stores.', ['count', 'boundary'], {
      stores: times(9, i => https(`https://${i}.example/a`)),
    }),
    ...STORE_BOUNDS.map(([id, note, store]) =>
      record(`store/${id}`, note, ['length', 'boundary'], { stores: [HTTPS, store] }),
    ),
    raw(
      'store/unknown-kind',
      'A store of a kind of a later version.',
      ['store-kind', 'unknown-field'],
      concat(payload(), lengthField(14, lengthField(9, zeros(3)))),
    ),
    raw(
      'store/no-kind',
      'A store without a kind.',
      ['store-kind'],
      concat(payload(), lengthField(14, zeros(0))),
    ),
  ];
}

function encodings(): Vector[] {
  const good = payload();
  const host = (bytes: Uint8Array): Uint8Array =>
    concat(lengthField(1, bytes), varintField(2, 1), varintField(4, 9));
  return [
    raw('encoding/plain', 'The record that the others change.', ['known-answer'], good),
    raw(
      'encoding/unknown-field',
      'A field of a later version.',
      ['unknown-field'],
      concat(good, varintField(15, 9), lengthField(16, zeros(5))),
      'CF-021~1',
    ),
    raw(
      'encoding/unknown-field-inside',
      'One inside an endpoint.',
      ['unknown-field'],
      concat(
        good,
        lengthField(8, concat(host(stream('x', 0)), lengthField(1, unhex('61')), lengthField(9, zeros(2)))),
      ),
      'CF-021~1',
    ),
    raw(
      'encoding/sequence-twice',
      'The sequence stands twice: the last one counts.',
      ['duplicate-field'],
      concat(varintField(4, 5), good),
    ),
    raw(
      'encoding/reordered',
      'Fields in another order.',
      ['reorder'],
      concat(good.slice(2), good.slice(0, 2)),
    ),
    raw('encoding/cut', 'The last byte is missing.', ['truncation'], good.slice(0, -1)),
    raw('encoding/no-message', 'Bytes that are no message.', ['truncation'], unhex('ffffffffffffffffffffff')),
    raw('encoding/one-byte', 'A single zero byte.', ['truncation'], zeros(1)),
    raw(
      'encoding/not-utf-8',
      'A host that is no UTF-8.',
      ['utf-8'],
      concat(good, lengthField(8, host(unhex('61ff')))),
    ),
    raw(
      'encoding/empty-field-only',
      'A record with nothing in it but an unknown field.',
      ['version-first', 'unknown-field'],
      varintField(20, 1),
    ),
  ];
}

/** When the channel keys end, by the later of two clocks. */
function expiry(): Vector[] {
  const early = { issuedAtMs: BigInt(ISSUED_MS) };
  const ends = VALID_UNTIL_MS + MARGIN;
  const at = (
    id: string,
    note: string,
    nowMs: number,
    other: RecordFields,
    flags: readonly Flag[] = ['clock', 'boundary'],
  ): Vector =>
    envelopeCase(
      { id: `clock/${id}`, note, req: ['CF-041~1', 'CF-030~1'], flags, nowMs },
      envelope(payload({ ...early, ...other })),
    );
  const two = { channelKeys: [key(ends), key(ends + 1000, cast.channel(1).publicKey)] };
  return [
    at('last-millisecond', 'The only channel key ends in this millisecond.', ends, {
      channelKeys: [key(ends)],
    }),
    at('over', 'It ended a millisecond ago. The record is accepted all the same.', ends + 1, {
      channelKeys: [key(ends)],
    }),
    at('second-key', 'The first of two has ended.', ends + 1, two),
    at('second-key-over', 'Both have ended.', ends + 1001, two),
    at('record-over', 'The record itself is over: a client dials whatever it says.', VALID_UNTIL_MS + 1, {}, [
      'soft-times',
    ]),
    at('slow-clock', 'The clock of the reader is years behind.', 1, {}, ['soft-times', 'clock']),
  ];
}

/** Make them. */
export function fileRecord(): Vector[] {
  return [
    ...encodings(),
    ...numbers(),
    ...clocks(),
    ...endpoints(),
    ...keys(),
    ...suitesAndStores(),
    ...expiry(),
  ];
}
