/** The chain by which a host replaces its identity key (spec/03-connection-file.md, 3.2). */
import { create, toBinary } from '@bufbuild/protobuf';
import { SIGNATURE_BYTES, type Suite } from '../crypto/suite.ts';
import {
  type Succession as SuccessionMessage,
  SuccessionStatementSchema,
} from '../gen/clawchat/v1/connection_file_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { SUCCESSIONS_MAX } from '../gen/constants.ts';
import { sameBytes } from '../wire/bytes.ts';
import { safeNumber, tryParse } from '../wire/parse.ts';
import { UsageError } from '../wire/usage-error.ts';
import { type Fault, fault } from './fault.ts';
import { nextIdentityHash, successionSigningInput } from './keys.ts';

/** One succession as it travels: the statement is kept as the bytes that were signed. */
export type Succession = Pick<SuccessionMessage, 'statement' | 'oldSignature' | 'newSignature'>;

/** What a statement says. */
export interface SuccessionStatement {
  readonly serverId: Uint8Array;
  /** Place in the chain, from 1. */
  readonly index: number;
  readonly oldIdentity: Uint8Array;
  readonly newIdentity: Uint8Array;
  readonly nextIdentityHash: Uint8Array;
  readonly sequenceFloor: number;
}

/** Whom a reader trusts. */
export interface Trust {
  readonly serverId: Uint8Array;
  /** The newest identity public key that it has accepted. */
  readonly identity: Uint8Array;
  /** What that key named as its successor; undefined for an invite, before the first record. */
  readonly nextIdentityHash: Uint8Array | undefined;
}

/** Where a chain leads. */
export interface Followed {
  readonly trust: Trust;
  /** Whether a statement was followed, so that its floor replaces the highest accepted sequence (CF-012~1). */
  readonly moved: boolean;
  /** Sequence floor of the last statement of the chain, followed now or earlier; 0 without one. */
  readonly floor: number;
}

/**
 * Follow the chain of an envelope from the identity key that the reader holds.
 *
 * Faults: SUCCESSION_INVALID. @impl CF-010~2, CF-011~1
 */
export function followChain(suite: Suite, trust: Trust, chain: readonly Succession[]): Followed | Fault {
  if (chain.length > SUCCESSIONS_MAX) return broken('is too long');
  const statements: SuccessionStatement[] = [];
  for (const [i, succession] of chain.entries()) {
    const statement = parseStatement(succession);
    if (statement?.index !== i + 1) return broken(`has a statement ${i + 1} that cannot be read`);
    statements.push(statement);
  }
  const last = statements.at(-1);
  if (last === undefined) return { trust, moved: false, floor: 0 };
  const from = statements.findIndex(({ oldIdentity }) => sameBytes(oldIdentity, trust.identity));
  if (from === -1) {
    const isAtEnd = sameBytes(last.newIdentity, trust.identity);
    return isAtEnd
      ? { trust, moved: false, floor: last.sequenceFloor }
      : broken('does not contain the known identity');
  }
  let at = trust;
  for (const [i, statement] of statements.entries()) {
    if (i < from) continue;
    const wrong = wrongWith(suite, at, statement, chain[i]);
    if (wrong !== undefined) return broken(`has a statement ${i + 1} ${wrong}`);
    const { serverId, newIdentity, nextIdentityHash: next } = statement;
    at = { serverId, identity: newIdentity, nextIdentityHash: next };
  }
  return { trust: at, moved: true, floor: last.sequenceFloor };
}

/** Say what is wrong with the statement that should follow `at`. */
function wrongWith(
  suite: Suite,
  at: Trust,
  statement: SuccessionStatement,
  succession: Succession | undefined,
): string | undefined {
  if (succession === undefined || !sameBytes(statement.oldIdentity, at.identity))
    return 'that does not follow';
  if (!sameBytes(statement.serverId, at.serverId)) return 'of another host';
  const named = at.nextIdentityHash;
  if (named !== undefined && !sameBytes(nextIdentityHash(suite, statement.newIdentity), named)) {
    return 'with a key that the one before did not name';
  }
  const input = successionSigningInput(succession.statement);
  const isSigned =
    suite.ed25519Verify(statement.oldIdentity, input, succession.oldSignature) &&
    suite.ed25519Verify(statement.newIdentity, input, succession.newSignature);
  return isSigned ? undefined : 'that is not signed by both keys';
}

/** Read what a succession says; undefined for one that cannot be read. No signature is looked at. */
export function parseStatement(succession: Succession): SuccessionStatement | undefined {
  const { oldSignature, newSignature } = succession;
  if (oldSignature.length !== SIGNATURE_BYTES || newSignature.length !== SIGNATURE_BYTES) return undefined;
  const message = tryParse(SuccessionStatementSchema, succession.statement);
  if (message === undefined) return undefined;
  const { serverId, index, oldIdentity, newIdentity } = message;
  const sequenceFloor = safeNumber(message.sequenceFloor);
  const lengths = [serverId, oldIdentity, newIdentity, message.nextIdentityHash];
  if (Number.isNaN(sequenceFloor) || lengths.some(field => field.length !== 32)) return undefined;
  return {
    serverId,
    index,
    oldIdentity,
    newIdentity,
    nextIdentityHash: message.nextIdentityHash,
    sequenceFloor,
  };
}

/** What a host needs to replace its identity key. Seeds are 32 bytes each. */
export interface SuccessionRequest {
  readonly serverId: Uint8Array;
  /** The chain so far. */
  readonly chain: readonly Succession[];
  readonly oldSeed: Uint8Array;
  readonly newSeed: Uint8Array;
  /** Hash of the identity key after the new one. */
  readonly nextIdentityHash: Uint8Array;
  readonly sequenceFloor: number;
}

/** Make the next succession of a chain; a full chain is a UsageError. */
export function makeSuccession(suite: Suite, request: SuccessionRequest): Succession {
  const { serverId, chain, oldSeed, newSeed, sequenceFloor } = request;
  if (chain.length >= SUCCESSIONS_MAX) throw new UsageError('the chain of successions is full');
  const statement = toBinary(
    SuccessionStatementSchema,
    create(SuccessionStatementSchema, {
      serverId,
      index: chain.length + 1,
      oldIdentity: suite.ed25519Public(oldSeed),
      newIdentity: suite.ed25519Public(newSeed),
      nextIdentityHash: request.nextIdentityHash,
      sequenceFloor: BigInt(sequenceFloor),
    }),
  );
  const input = successionSigningInput(statement);
  return {
    statement,
    oldSignature: suite.ed25519Sign(oldSeed, input),
    newSignature: suite.ed25519Sign(newSeed, input),
  };
}

function broken(what: string): Fault {
  return fault('peer', ErrorCode.SUCCESSION_INVALID, `the chain of successions ${what}`);
}
