/** Vectors: successions of the identity, what a client holds, and which of two faults is named (spec/03-connection-file.md, 3.2 and 3.4). */
import { concat, stream, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import { type Case, envelopeCase, holding, nextOf, recordBy } from '../file-cases.ts';
import type { Flag } from '../flags.ts';
import { nextIdentityHash } from '../labels.ts';
import { lengthField, varintField } from '../protobuf.ts';
import type { Reader } from '../record.ts';
import {
  chain,
  envelope,
  payload,
  type RecordFields,
  SEQUENCE,
  signStatement,
  statement,
  succession,
} from '../record-samples.ts';
import type { Vector } from '../vector.ts';

const { identity } = cast;

function chained(
  id: string,
  note: string,
  flags: readonly Flag[],
  reader: Reader,
  bytes: Uint8Array,
  req = 'CF-010~2',
): Vector {
  const of: Case = { id: `chain/${id}`, note, req: [req], flags: ['succession', ...flags], reader };
  return envelopeCase(of, bytes);
}

/** An envelope by the last identity of a chain of that length. */
const after = (
  length: number,
  other: RecordFields = {},
  links: readonly Uint8Array[] = chain(length),
): Uint8Array => envelope(recordBy(length, other), identity(length), links);

function goodChains(): Vector[] {
  const unknowing = holding(0, { nextIdentityHash: undefined });
  const late = { sequence: 5000n, hash: stream('a later record', 32) };
  return [
    chained('1', 'One succession, followed.', ['known-answer'], holding(0), after(1)),
    chained('2', 'Two, followed at once.', ['known-answer'], holding(0), after(2)),
    chained('2-from-1', 'Two, of which the first was followed before.', [], holding(1), after(2)),
    chained('2-from-2', 'Two, both followed before.', [], holding(2), after(2), 'CF-011~1'),
    chained(
      '16',
      'The longest chain, followed from its beginning.',
      ['count', 'boundary'],
      holding(0),
      after(16, { sequence: 200n }),
    ),
    chained('16-from-9', 'The same from its middle.', ['count'], holding(9), after(16, { sequence: 200n })),
    chained(
      'invited',
      'Somebody invited under the first key takes its first successor without the hash.',
      [],
      unknowing,
      after(1),
    ),
    chained('invited-2', 'And the second one by the hash in the first statement.', [], unknowing, after(2)),
    chained(
      'floor-down',
      'A succession may lower the sequence: what was accepted before counts no more.',
      ['rollback'],
      holding(0, { highest: late }),
      after(1, { sequence: 10n }),
      'CF-012~1',
    ),
    chained(
      'floor-same-sequence',
      'Nor is a record with the sequence of an accepted one an equivocation behind a succession.',
      ['equivocation'],
      holding(0, { highest: { ...late, sequence: BigInt(SEQUENCE) } }),
      after(1),
      'CF-012~1',
    ),
    chained(
      'unknown-field',
      'A statement with a field of a later version.',
      ['unknown-field'],
      holding(0),
      after(1, {}, [signStatement(concat(statement(1), varintField(9, 1)), [identity(0), identity(1)])]),
      'CF-021~1',
    ),
  ];
}

function badLinks(): Vector[] {
  const one = (
    id: string,
    note: string,
    flags: readonly Flag[],
    link: Uint8Array,
    reader = holding(0),
  ): Vector => chained(`bad/${id}`, note, flags, reader, after(1, {}, [link]));
  const by = (old: number, young: number) => [identity(old), identity(young)] as const;
  const stolen = identity(7);
  const swapped = (bytes: Uint8Array): Uint8Array => {
    const statementField = lengthField(1, statement(1));
    const [, oldSig, newSig] = [
      statementField,
      bytes.slice(statementField.length + 2, statementField.length + 66),
      bytes.slice(-64),
    ];
    return concat(statementField, lengthField(2, newSig ?? zeros(0)), lengthField(3, oldSig ?? zeros(0)));
  };
  const unsigned = (oldLength: number, newLength: number): Uint8Array =>
    concat(lengthField(1, statement(1)), lengthField(2, zeros(oldLength)), lengthField(3, zeros(newLength)));
  const lengths = (['serverId', 'oldIdentity', 'newIdentity', 'nextIdentityHash'] as const).flatMap(name =>
    [31, 33].map(length =>
      one(
        `${name.toLowerCase()}-${length}`,
        `A statement whose ${name} has ${length} bytes.`,
        ['length'],
        succession(1, { [name]: stream('x', length) }),
      ),
    ),
  );
  return [
    one(
      'old-signature',
      'Signed by another key in place of the old one.',
      ['wrong-key'],
      succession(1, {}, by(3, 1)),
    ),
    one(
      'new-signature',
      'Signed by another key in place of the new one.',
      ['wrong-key'],
      succession(1, {}, by(0, 3)),
    ),
    one(
      'signatures-swapped',
      "The two signatures in each other's place.",
      ['reorder'],
      swapped(succession(1)),
    ),
    one('signatures-empty', 'No signatures.', ['length'], unsigned(0, 0)),
    one('signature-63', 'An old signature of 63 bytes.', ['length'], unsigned(63, 64)),
    one('signatures-zero', 'Signatures of zeros.', ['wrong-key'], unsigned(64, 64)),
    one(
      'statement-changed',
      'The statement was changed after it was signed.',
      ['bit-flip'],
      concat(
        lengthField(1, statement(1, { sequenceFloor: 11n })),
        succession(1).slice(lengthField(1, statement(1)).length),
      ),
    ),
    one(
      'other-server',
      'A statement of another host.',
      ['wrong-server'],
      succession(1, { serverId: stream('another server id', 32) }),
    ),
    one('index-0', 'Index 0.', ['range'], succession(1, { index: 0 })),
    one('index-2', 'An index that is not its place.', ['range'], succession(1, { index: 2 })),
    one(
      'floor-2-53',
      'A floor of 2^53.',
      ['big-number', 'range'],
      succession(1, { sequenceFloor: 2n ** 53n }),
    ),
    one(
      'no-statement',
      'An empty statement.',
      ['truncation'],
      concat(lengthField(2, zeros(64)), lengthField(3, zeros(64))),
    ),
    one(
      'statement-cut',
      'A statement whose last byte is missing.',
      ['truncation'],
      signStatement(statement(1).slice(0, -1), by(0, 1)),
    ),
    ...lengths,
    weakSuccessor(),
    chained(
      'bad/stolen-key',
      'Somebody with the current key alone names a key of their own as its successor.',
      ['wrong-key'],
      holding(0),
      envelope(payload({ nextIdentityHash: nextOf(7) }), stolen, [
        succession(1, { newIdentity: stolen.publicKey, nextIdentityHash: nextOf(7) }, [identity(0), stolen]),
      ]),
    ),
    chained(
      'bad/second-not-named',
      'The second successor is not the one that the first statement names.',
      ['wrong-key'],
      holding(0),
      envelope(payload({ nextIdentityHash: nextOf(7) }), stolen, [
        succession(1),
        succession(2, { newIdentity: stolen.publicKey, nextIdentityHash: nextOf(7) }, [identity(1), stolen]),
      ]),
    ),
  ];
}

/** The neutral element as the new key: its signature fits every statement. */
function weakSuccessor(): Vector {
  const neutral = concat(Uint8Array.of(1), zeros(31));
  const says = statement(1, { newIdentity: neutral });
  const both = signStatement(says, [identity(0), identity(0)]);
  const link = concat(both.slice(0, -64), neutral, zeros(32));
  const bytes = concat(
    lengthField(1, recordBy(1)),
    lengthField(2, concat(neutral, zeros(32))),
    lengthField(3, link),
  );
  return chained(
    'bad/neutral-successor',
    'The neutral element as the new identity: its signatures fit everything.',
    ['weak-signature'],
    holding(0, { nextIdentityHash: nextIdentityHash(neutral) }),
    bytes,
    'CF-008~1',
  );
}

function badChains(): Vector[] {
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    bytes: Uint8Array,
    reader = holding(0),
    req = 'CF-011~1',
  ): Vector => chained(id, note, flags, reader, bytes, req);
  const brokenFirst = succession(1, {}, [identity(5), identity(6)]);
  const second = succession(2);
  return [
    of(
      '17',
      'Seventeen successions.',
      ['count', 'boundary'],
      envelope(recordBy(17, { sequence: 200n }), identity(17), chain(17)),
    ),
    of(
      'missing-link',
      'The first of two is missing.',
      ['splice'],
      after(2, {}, [succession(2, { index: 1 })]),
    ),
    of(
      'missing-middle',
      'The second of three is missing.',
      ['splice'],
      after(3, {}, [succession(1), succession(3, { index: 2 })]),
      holding(0),
      'CF-010~2',
    ),
    of('reordered', 'Two in the wrong order.', ['reorder'], after(2, {}, [second, succession(1)])),
    of(
      'twice',
      'The first one twice.',
      ['duplicate-field'],
      after(1, {}, [succession(1), succession(1, { index: 2 })]),
      holding(0),
      'CF-010~2',
    ),
    of('foreign-chain', 'A chain that begins and ends with other keys.', ['wrong-key'], after(2), holding(5)),
    of(
      'before-mine-unsigned',
      'A false signature in front of the statement that the client begins with: not looked at.',
      [],
      after(2, {}, [brokenFirst, second]),
      holding(1),
    ),
    of(
      'before-mine-malformed',
      'A statement that does not parse in front of it is.',
      ['truncation'],
      after(2, {}, [
        concat(lengthField(1, zeros(1)), lengthField(2, zeros(64)), lengthField(3, zeros(64))),
        second,
      ]),
      holding(1),
    ),
    of(
      'signed-by-old',
      'The record behind a succession is signed by the old key.',
      ['wrong-key'],
      envelope(recordBy(1), identity(0), chain(1)),
      holding(0),
      'CF-007~1',
    ),
    of(
      'signed-by-new',
      'The record of the first key, signed by the second without a succession.',
      ['wrong-key'],
      envelope(recordBy(1), identity(1)),
      holding(0),
      'CF-007~1',
    ),
    of(
      'no-chain-for-old',
      'A client that has followed gets a record of the old key.',
      ['rollback', 'wrong-key'],
      envelope(payload(), identity(0)),
      holding(1),
      'CF-007~1',
    ),
    of(
      'floor',
      'A record at the floor.',
      ['boundary', 'rollback'],
      after(1, { sequence: 10n }),
      holding(0),
      'CF-013~1',
    ),
    of(
      'below-floor',
      'A record a number below the floor.',
      ['boundary', 'rollback'],
      after(1, { sequence: 9n }),
      holding(0),
      'CF-013~1',
    ),
    of(
      'below-floor-followed',
      'The same for a client that has followed long ago.',
      ['boundary', 'rollback'],
      after(1, { sequence: 9n }),
      holding(1),
      'CF-013~1',
    ),
    of(
      'next-changed',
      'A record that names another next identity than the one stored.',
      ['wrong-key'],
      envelope(payload({ nextIdentityHash: nextOf(7) })),
      holding(0),
      'CF-014~1',
    ),
    of(
      'next-not-as-stated',
      'A record behind a succession that names another next identity than the statement.',
      ['wrong-key'],
      after(1, { nextIdentityHash: nextOf(7) }),
      holding(0),
      'CF-014~1',
    ),
    of(
      'next-first',
      'Somebody invited takes the next identity as the first record names it.',
      [],
      envelope(payload({ nextIdentityHash: nextOf(7) })),
      holding(0, { nextIdentityHash: undefined }),
      'CF-014~1',
    ),
  ];
}

/** Make them. */
export function fileChain(): Vector[] {
  return [...goodChains(), ...badLinks(), ...badChains()];
}
