/** What a host's driver tells its machine, and what the machine makes it do (spec/01-architecture.md). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { RotationNotice } from '../gen/clawchat/v1/rotation_pb.ts';
import type { Fault } from '../wire/fault.ts';
import type { ResponderKey } from './channel-keys.ts';
import type { AccessKey } from './connection-record.ts';
import type { InviteTerms } from './enrolment.ts';
import type { RecordName } from './freshness.ts';
import type { GateReason } from './gate.ts';
import type { PathOutput } from './path.ts';
import type { RegistryChange } from './registry.ts';
import type { SessionEvent } from './session-io.ts';

/**
 * Something happened to the host. Paths are numbered by the driver, never twice; `ref` names what an operator asked
 * for, and comes back with the answer.
 */
export type ServerInput =
  /** An upgrade request with a token. `entropy`: 64 fresh random bytes. `acceptedAt`: monotonic, of the connection. */
  | {
      readonly kind: 'offer';
      readonly path: number;
      readonly token: string;
      readonly acceptedAt: number;
      readonly entropy: Uint8Array;
    }
  /** A binary WebSocket message, which belongs to the machine from here on. */
  | { readonly kind: 'message'; readonly path: number; readonly bytes: Uint8Array }
  /** So many bytes of `send` have been written to the connection. */
  | { readonly kind: 'written'; readonly path: number; readonly bytes: number }
  /** The connection has ended, whoever ended it; not told after a `close`. */
  | { readonly kind: 'closed'; readonly path: number }
  /** A `persist` is durable; they become so in their order. */
  | { readonly kind: 'committed'; readonly id: number }
  /** The deadline has come, or a turn of the event loop is over in which the deadline became `flush`. */
  | { readonly kind: 'tick' }
  /** From now on these are the record and the private channel keys; handshakes that have begun go on with the old. */
  | {
      readonly kind: 'record';
      readonly envelope: Uint8Array;
      readonly channelKeys: readonly ResponderKey[];
    }
  | { readonly kind: 'witness'; readonly witness: RecordName | undefined }
  | { readonly kind: 'acceptEpoch'; readonly accessKey: AccessKey }
  | { readonly kind: 'endEpoch'; readonly epoch: number }
  /** Tell the devices on these paths. */
  | { readonly kind: 'notify'; readonly notice: RotationNotice; readonly paths: readonly number[] }
  /** End these paths, resumable: their listener ends. */
  | { readonly kind: 'endPaths'; readonly paths: readonly number[] }
  | { readonly kind: 'makeInvite'; readonly ref: number; readonly terms: InviteTerms }
  | { readonly kind: 'withdrawInvite'; readonly ref: number; readonly invite: string }
  | { readonly kind: 'revokeDevice'; readonly ref: number; readonly device: string }
  /** Close every path, resumable, and accept none any more. */
  | { readonly kind: 'shutdown' };

/** What the driver does, in this order. */
export type ServerOutput =
  | PathOutput
  /** Answer the upgrade request with 101. */
  | { readonly kind: 'accept'; readonly path: number; readonly id: string }
  /** Give the stranger's answer. The reason is for the log and nobody else. */
  | {
      readonly kind: 'refuse';
      readonly path: number;
      readonly reason: GateReason | 'handshake_failed' | 'shutdown';
      readonly code: ErrorCode;
    }
  /** Read nothing more from the connection until `resume`. */
  | { readonly kind: 'pause' | 'resume'; readonly path: number }
  /** Make the changes durable together, then say `committed`. Nothing of what follows from them is told before. */
  | { readonly kind: 'persist'; readonly id: number; readonly changes: readonly RegistryChange[] }
  /** Seal and publish the current record anew: its recipients have changed. */
  | { readonly kind: 'publish' }
  /** A device has let itself in: show its name and words. */
  | {
      readonly kind: 'enrolled';
      readonly device: string;
      readonly publicKey: Uint8Array;
      readonly name: string;
    }
  /** Somebody else used a claimed invite: tell the operator. */
  | { readonly kind: 'alarm'; readonly invite: string; readonly device: string }
  | {
      readonly kind: 'made';
      readonly ref: number;
      readonly id: string;
      readonly invite: Uint8Array;
      readonly expiresAtMs: number;
    }
  | { readonly kind: 'done'; readonly ref: number }
  | { readonly kind: 'declined'; readonly ref: number; readonly fault: Fault }
  /** A device opened a session; `session` is a number of this machine, never used again. */
  | { readonly kind: 'opened'; readonly session: number; readonly device: string }
  /** It is on a path, or on none for now. */
  | { readonly kind: 'attached' | 'detached'; readonly session: number; readonly path: number }
  /** It is over, and its streams with it. */
  | { readonly kind: 'lost'; readonly session: number; readonly code: ErrorCode }
  | { readonly kind: 'deliver'; readonly session: number; readonly event: SessionEvent };

/** When the machine wants a `tick`, by the monotonic clock, and why. `flush`: when this turn is over. */
export interface ServerDeadline {
  readonly at: number;
  readonly why: 'flush' | 'timer';
}
