/** What a client's driver tells its machine, and what the machine makes it do (spec/01-architecture.md). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { RotationNotice } from '../gen/clawchat/v1/rotation_pb.ts';
import type { Fault } from '../wire/fault.ts';
import type { Endpoint } from './connection-record.ts';
import type { Envelope } from './envelope.ts';
import type { RecordName } from './freshness.ts';
import type { Invite } from './invite.ts';
import type { Member } from './join.ts';
import type { PathOutput } from './path.ts';
import type { SessionEvent } from './session-io.ts';

/** Something happened to the client. Paths are numbered by the machine. */
export type ClientInput =
  /** The person gave an invite. `devicePrivateKey`: 32 fresh random bytes. */
  | {
      readonly kind: 'join';
      readonly invite: Invite;
      readonly devicePrivateKey: Uint8Array;
      readonly name: string;
    }
  /** Be connected from now on. */
  | { readonly kind: 'start' }
  /** A record was found in a store or a bundle. */
  | { readonly kind: 'record'; readonly envelope: Envelope }
  /**
   * Dial the newest durable record, in answer to `need` or after a `failed`. A dial that is still going on is given
   * up. `entropy`: 64 fresh random bytes. `acceptClock`: the person accepts a suspect clock.
   */
  | { readonly kind: 'dial'; readonly entropy: Uint8Array; readonly acceptClock?: boolean }
  /** The host answered the upgrade request with 101. */
  | { readonly kind: 'open'; readonly path: number }
  /** No endpoint could be reached, or none let it in. */
  | { readonly kind: 'dialFailed'; readonly path: number; readonly fault: Fault }
  /** A binary WebSocket message, which belongs to the machine from here on. */
  | { readonly kind: 'message'; readonly path: number; readonly bytes: Uint8Array }
  /** So many bytes of `send` have been written to the connection. */
  | { readonly kind: 'written'; readonly path: number; readonly bytes: number }
  /** The connection has ended; not told after a `close` or a `cancel`. */
  | { readonly kind: 'closed'; readonly path: number }
  /** A `persist` is durable; they become so in their order. */
  | { readonly kind: 'committed'; readonly id: number }
  /** Put the session on a new path, made before the old one is given up. */
  | { readonly kind: 'move' }
  /** The machine woke, or its network changed. */
  | { readonly kind: 'wake' }
  /** The deadline has come, or a turn of the event loop is over in which the deadline became `flush`. */
  | { readonly kind: 'tick' }
  /** End the session and its paths, and stay away until `start`. */
  | { readonly kind: 'stop' };

/** What the driver does, in this order. */
export type ClientOutput =
  | PathOutput
  /** A path is wanted: read stores if that is due, then say `dial`. */
  | { readonly kind: 'need' }
  /** Try the endpoints until one passes TLS with one of the pins, and send it the token, once. */
  | {
      readonly kind: 'dial';
      readonly path: number;
      readonly token: string;
      readonly endpoints: readonly Endpoint[];
      readonly tlsPins: readonly Uint8Array[];
    }
  /** Give that dial up. */
  | { readonly kind: 'cancel'; readonly path: number }
  /** The dial failed: say `dial` again after a while, with what the stores then have. */
  | { readonly kind: 'failed'; readonly fault: Fault }
  /** The host has proven itself. `witness`: the newest record that it has read back. */
  | { readonly kind: 'connected'; readonly path: number; readonly witness: RecordName | undefined }
  /** A path on which the host had proven itself has ended; another is asked for in time. For the log and the person. */
  | { readonly kind: 'ended'; readonly path: number; readonly fault: Fault }
  /** Make the member durable, then say `committed`. Nothing of it is used before. */
  | { readonly kind: 'persist'; readonly id: number; readonly member: Member }
  /** Words for the person to compare with the host's. */
  | { readonly kind: 'show'; readonly words: string }
  /** A record was stored, but by this machine's clock its keys have expired. */
  | { readonly kind: 'warn'; readonly fault: Fault }
  /** An invite, a record or the answer to an enrolment was refused; nothing has changed. */
  | { readonly kind: 'declined'; readonly fault: Fault }
  /** The host announces a move; its record is stored by the machine. */
  | { readonly kind: 'notice'; readonly notice: RotationNotice }
  /** There is a session; what is written now leaves with its first record. */
  | { readonly kind: 'opened'; readonly session: number }
  /** It is on a path, or on none for now. */
  | { readonly kind: 'attached' | 'detached'; readonly session: number; readonly path: number }
  /** It is over, and its streams with it. */
  | { readonly kind: 'lost'; readonly session: number; readonly fault: Fault }
  | { readonly kind: 'deliver'; readonly session: number; readonly event: SessionEvent }
  /** There is no use in going on: nothing more is tried until `start`. */
  | { readonly kind: 'stopped'; readonly code: ErrorCode; readonly fault: Fault };

/** When the machine wants a `tick`, by the monotonic clock, and why. `flush`: when this turn is over. */
export interface ClientDeadline {
  readonly at: number;
  readonly why: 'flush' | 'timer';
}
