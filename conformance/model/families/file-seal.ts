/** Vectors: sealing connection files, and reading each back as every kind of recipient (spec/03-connection-file.md, 3.1). */
import { FILE_CLASSES_BYTES } from '../../../src/gen/constants.ts';
import { concat, hex, stream } from '../bytes.ts';
import * as cast from '../cast.ts';
import { fill, padEnvelope, type SealedFile, sealFile } from '../connection-file.ts';
import { ADA, type Case, fileCase, shownFile, shownSealed } from '../file-cases.ts';
import type { Flag } from '../flags.ts';
import { fileSealKey } from '../labels.ts';
import { varint } from '../protobuf.ts';
import {
  CONTENT_KEY,
  endpoint,
  envelope,
  filling,
  payload,
  type RecordFields,
  SALT,
  SMALL,
  sealed,
  spread,
} from '../record-samples.ts';
import { HTTPS, HTTPS_PINNED, LOCAL, MEGA } from '../samples.ts';
import type { Json, Vector } from '../vector.ts';

/** File keys of recipients that are many: streams, named after their place. */
const crowd = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => stream(`file key ${i}`, 32));

interface Sealing {
  readonly payload: Uint8Array;
  readonly shownPayload: Json;
  readonly fileKeys: readonly Uint8Array[];
  readonly shownKeys: Json;
  /** A crowd stands in order; few stand spread. */
  readonly inOrder: boolean;
}

/** Sealing, as a vector; the shortest files in full, the others as their hash. */
function sealing(of: Case, from: Sealing): Vector {
  const signed = envelope(from.payload);
  const { fileKeys } = from;
  const places = (count: number): readonly number[] =>
    from.inOrder ? fileKeys.map((_, i) => i) : spread(fileKeys.length)(count);
  const common = { envelope: signed, salt: SALT, contentKey: CONTENT_KEY, filler: filling('filling') };
  const file = sealFile({ ...common, fileKeys, places });
  const whole = file.bytes === FILE_CLASSES_BYTES[0];
  return {
    id: `connection-file/${of.id}`,
    note: of.note,
    req: of.req,
    flags: of.flags,
    phase: 'derive',
    input: {
      what: 'seal',
      payload: from.shownPayload,
      identity_secret: hex(cast.identity(0).secret),
      salt: hex(SALT),
      content_key: hex(CONTENT_KEY),
      file_keys: from.shownKeys,
      filling: 'filling',
      places: from.inOrder ? 'in order' : places(file.stanzas),
    },
    output: shownSealed(file, signed, whole),
    debug: {
      header_start: hex(file.header.slice(0, 44)),
      seal_key: hex(fileSealKey(CONTENT_KEY, SALT)),
      plaintext_bytes: padEnvelope(signed).length,
      missing: file.missing,
      ...(from.inOrder ? {} : { own: file.own.map(({ stanza }) => hex(stanza)) }),
    },
  };
}

const REQ = ['CF-001~1', 'CF-002~1', 'CF-004~1', 'CF-005~1', 'CF-006~1', 'CF-007~1'];

function seals(): Vector[] {
  const members = [cast.device('ada'), cast.device('bob'), cast.invite('dora')].map(({ fileKey }) => fileKey);
  const few = (id: string, note: string, count: number): Vector => {
    const fileKeys = members.slice(0, count);
    const keys = { fileKeys, shownKeys: fileKeys.map(hex), inOrder: false };
    const bytes = payload();
    return sealing(
      { id: `seal/${id}`, note, req: REQ, flags: ['known-answer'] },
      { payload: bytes, shownPayload: hex(bytes), ...keys },
    );
  };
  return [
    few('nobody', 'A host that has no member yet: all stanzas are random.', 0),
    few('one', 'One recipient.', 1),
    few('three', 'Two devices and an invite.', 3),
    ...classes(),
    ...fillings(),
  ];
}

function crowded(
  id: string,
  note: string,
  flags: readonly Flag[],
  count: number,
  bytes: Uint8Array,
  shownPayload: Json = hex(bytes),
): Vector {
  const keys = { fileKeys: crowd(count), shownKeys: { stream_each: 'file key ', count }, inOrder: true };
  return sealing({ id: `seal/${id}`, note, req: REQ, flags }, { payload: bytes, shownPayload, ...keys });
}

/** The last number of recipients that each class holds, and the first that the next one holds. */
function classes(): Vector[] {
  const small = payload(SMALL);
  const sealedBytes = padEnvelope(envelope(small)).length + 16;
  return FILE_CLASSES_BYTES.slice(0, 3).flatMap(size => {
    let count = 1;
    while (fill(sealedBytes, count + 1).bytes <= size) count++;
    const flags = ['many-recipients', 'boundary', 'filling'] as const;
    return [
      crowded(`${size}-full`, `As many recipients as ${size} bytes hold.`, flags, count, small),
      crowded(`${size}-beyond`, `One more than ${size} bytes hold.`, flags, count + 1, small),
    ];
  });
}

/** Records of such lengths that nothing, one, two or three bytes are missing. */
function fillings(): Vector[] {
  const found = new Map<number, Vector>();
  for (let length = 0; found.size < 4; length += 512) {
    // A field that no reader knows yet makes the record longer.
    const front = concat(payload(SMALL), varint((900 << 3) | 2), varint(length));
    const bytes = concat(front, stream('later', length));
    for (const count of [1, 300]) {
      const {
        bytes: size,
        missing,
        stanzas,
        padding,
      } = fill(padEnvelope(envelope(bytes)).length + 16, count);
      if (missing > 3 || found.has(missing)) continue;
      const end = padding === undefined ? 'no padding' : `padding of ${padding}`;
      const note = `Bytes missing behind the highest number of stanzas: ${missing}. So ${size} bytes have ${stanzas} stanzas and ${end}.`;
      const shown = { prefix: hex(front), stream: 'later', length };
      found.set(
        missing,
        crowded(`missing-${missing}`, note, ['filling', 'unknown-field'], count, bytes, shown),
      );
    }
  }
  return [...found.values()];
}

/** Records of all kinds, read by everybody they were sealed for. */
function reads(): Vector[] {
  const keys = (...names: readonly string[]): readonly Uint8Array[] =>
    names.map(name => cast.device(name).fileKey);
  const read = (id: string, note: string, flags: readonly Flag[], file: SealedFile, reader = ADA): Vector =>
    fileCase(
      { id: `read/${id}`, note, req: ['CF-001~1', 'CF-007~1', 'CF-020~1', 'CF-030~1'], flags, reader },
      shownFile(file),
      file.file,
    );
  const of = (other: RecordFields): SealedFile => sealed(envelope(payload(other)), keys('ada'));
  const plain = sealed(envelope(payload()), keys('ada', 'bob'));
  const full: RecordFields = {
    endpoints: ['192.0.2.10', '2001:db8::10', 'fe80::1%eth0', 'host.example', 'Host_2.example'].map(
      (host, i) => endpoint(host, 49_152 + i),
    ),
    channelKeys: [0, 1].map(i => ({
      publicKey: cast.channel(i).publicKey,
      notAfterMs: BigInt(cast.NOW_MS + (i + 8) * 86_400_000),
    })),
    tlsPins: [stream('tls pin 0', 32), stream('tls pin 1', 32)],
    accessKeys: [494_000, 493_999].map(epoch => ({ epoch: BigInt(epoch), key: cast.accessKey(epoch) })),
    suites: [2, 1, 4_000_000_000],
    stores: [HTTPS, HTTPS_PINNED, LOCAL, MEGA],
  };
  const invited = { ...ADA, fileKey: cast.invite('dora').fileKey, nextIdentityHash: undefined };
  const literal = sealed(envelope(payload()), keys('ada'));
  return [
    fileCase(
      { id: 'read/whole', note: 'A file in full.', req: ['CF-001~1', 'CF-030~1'], flags: ['known-answer'] },
      hex(literal.file),
      literal.file,
    ),
    read('plain', 'For two devices, read by the first.', ['known-answer'], plain),
    read('plain-second', 'The same, read by the second.', ['known-answer'], plain, {
      ...ADA,
      fileKey: cast.device('bob').fileKey,
    }),
    read(
      'full',
      'Several of everything: endpoints of all kinds, two keys, two pins, three suites, all stores.',
      ['known-answer', 'big-number'],
      of(full),
    ),
    read('small', 'No pin, no store.', ['count'], of(SMALL)),
    read(
      'invited',
      'Read with an invite, by somebody who has accepted no record yet.',
      ['known-answer'],
      sealed(envelope(payload()), [invited.fileKey]),
      invited,
    ),
    read(
      'crowded',
      'For 501 recipients, of whom 500 stand as random stanzas here.',
      ['many-recipients'],
      sealed(envelope(payload()), keys('ada'), 500),
    ),
    read(
      'later',
      'Times long past and far ahead of the reader: a record is soft about them.',
      ['soft-times'],
      of(softTimes()),
    ),
  ];
}

/** Endpoints and record ended long ago by the reader's clock; the channel key has not. */
function softTimes(): RecordFields {
  const ended = BigInt(cast.NOW_MS - 86_400_000);
  return {
    issuedAtMs: ended - 7_200_000n,
    nextRotationMs: ended - 300_000n,
    validUntilMs: ended,
    endpoints: [{ ...endpoint(), notBeforeMs: 1n, notAfterMs: 2n }],
  };
}

/** Make them. */
export function fileSeal(): Vector[] {
  return [...seals(), ...reads()];
}
