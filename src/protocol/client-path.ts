/** A path as the client's machine holds it, from its dial on (spec/04-handshake.md, spec/05-session.md). */
import type { Suite, X25519Key } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { type Fault, fault, isFault } from '../wire/fault.ts';
import { UsageError } from '../wire/usage-error.ts';
import type { ConnectionRecord } from './connection-record.ts';
import { channelKeyFor } from './freshness.ts';
import { InitiatorHandshake } from './handshake.ts';
import { dialKeys, dialsAs, type Member } from './join.ts';
import type { Path, PathEnd } from './path.ts';

/** What a path waits for: the connection, message 2, Enrolled, Attached, or frames of the session. */
export type ClientPhase = 'dialing' | 'message2' | 'enrolling' | 'attaching' | 'attached';

/** One connection. */
export interface ClientPath {
  readonly id: number;
  readonly as: 'invite' | 'device';
  readonly handshake: InitiatorHandshake;
  readonly staticKey: X25519Key;
  readonly member: Member;
  readonly sessionId: Uint8Array;
  /** Uniform, 0 <= jitter < 1: for the wait when this path has ended. */
  readonly jitter: number;
  phase: ClientPhase;
  /** When the phase ends at the latest. */
  endsAt: number;
  /** Defined behind message 2. */
  path: Path | undefined;
  generation: number;
  /** What its Attach said was received. */
  announced: number;
  /** Whether Data may leave before Attached: the session is new, and no older path carries it. */
  eager: boolean;
  attachedAt: number;
}

/** What ends a path and leaves the session to be resumed. */
const RESUMABLE: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.TRANSPORT_FAILED,
  ErrorCode.TRANSPORT_EXHAUSTED,
  ErrorCode.PATH_DEAD,
  ErrorCode.TIMEOUT,
]);
/** What ends a path without a word. */
const CUT: ReadonlySet<ErrorCode> = new Set([ErrorCode.TRANSPORT_FAILED, ErrorCode.PATH_DEAD]);
/** What ends the session whichever path it comes on; ACK_INVALID only answers an Attach or an Attached there. */
export const OVER: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.SESSION_LOST,
  ErrorCode.SESSION_REPLACED,
  ErrorCode.DEVICE_REVOKED,
  ErrorCode.ACK_INVALID,
]);
/** After these, dialling again would only be told the same. */
export const FINAL: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.VERSION_UNSUPPORTED,
  ErrorCode.INVITE_USED,
  ErrorCode.INVITE_EXPIRED,
  ErrorCode.ENROL_INVALID,
  ErrorCode.DEVICE_LIMIT,
  ErrorCode.NOT_PERMITTED,
  ErrorCode.SESSION_REPLACED,
  ErrorCode.DEVICE_REVOKED,
]);
const ENTROPY_BYTES = 64;

/** What a dial needs. `entropy`: 64 random bytes. */
export interface DialRequest {
  readonly id: number;
  readonly suite: Suite;
  readonly member: Member;
  readonly entropy: Uint8Array;
  readonly acceptClock: boolean;
  readonly wallMs: number;
}

/** A path that is being dialled, and the record by which. */
export interface Begun {
  readonly path: ClientPath;
  readonly record: ConnectionRecord;
}

/** Begin a handshake by the newest record. Faults: STORE_UNAVAILABLE, CLOCK_SUSPECT, HANDSHAKE_FAILED. @impl GT-001~1, CF-041~1 */
export function beginPath({ id, suite, member, entropy, acceptClock, wallMs }: DialRequest): Begun | Fault {
  if (entropy.length !== ENTROPY_BYTES) throw new UsageError('a dial brings 64 random bytes');
  const { newest, trust } = member.held;
  if (newest === undefined) {
    return fault('self', ErrorCode.STORE_UNAVAILABLE, 'no record of the host is known yet');
  }
  const { record } = newest;
  const chosen = channelKeyFor(record, wallMs);
  const [first] = record.channelKeys;
  const key = isFault(chosen) && acceptClock && first !== undefined ? first : chosen;
  if (isFault(key)) return key;
  const { privateKey, psk, gateKey } = dialKeys(suite, member);
  const staticKey = suite.x25519Key(privateKey);
  const handshake = InitiatorHandshake.begin({
    suite,
    serverId: trust.serverId,
    accessKey: record.accessKeys[0],
    responderKey: key.publicKey,
    staticKey,
    psk,
    gateKey,
    ephemeral: suite.x25519Key(entropy.subarray(0, 32)),
  });
  if (isFault(handshake)) return handshake;
  const view = new DataView(entropy.buffer, entropy.byteOffset, entropy.byteLength);
  const path: ClientPath = {
    id,
    as: dialsAs(member),
    handshake,
    staticKey,
    member,
    sessionId: entropy.slice(32, 48),
    jitter: view.getUint32(48) / 2 ** 32,
    phase: 'dialing',
    endsAt: Number.POSITIVE_INFINITY,
    path: undefined,
    generation: 0,
    announced: 0,
    eager: false,
    attachedAt: Number.POSITIVE_INFINITY,
  };
  return { path, record };
}

/** What it means that the connection of a path is gone. */
export function connectionLost({ path }: ClientPath): Fault {
  // A host that does not accept message 3 says nothing. @impl HS-018~1
  return path?.greeted === true
    ? fault('network', ErrorCode.HOST_UNREACHABLE, 'the connection ended')
    : fault('network', ErrorCode.HANDSHAKE_FAILED, 'the connection ended without an answer');
}

/** How a path ends that is at fault. */
export function endFor({ code, detail }: Fault): PathEnd {
  return { code, resumable: RESUMABLE.has(code), cut: CUT.has(code), detail };
}

/** Forget the secrets of a handshake that comes to nothing. */
export function destroyKeys({ handshake, staticKey }: ClientPath): void {
  handshake.destroy();
  staticKey.destroy();
}
