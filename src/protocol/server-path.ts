/** A path as the host's machine holds it, from its upgrade request on (spec/04-handshake.md, spec/05-session.md). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { type Fault, fault } from '../wire/fault.ts';
import type { GateRecipient } from './gate.ts';
import type { ResponderHandshake } from './handshake.ts';
import type { HostSession } from './host-sessions.ts';
import type { Path, PathEnd } from './path.ts';

/** What a path waits for: message 3, a commit that it caused, an Enrol, an Attach, or frames of its session. */
export type Phase = 'handshake' | 'commit' | 'invite' | 'device' | 'attached';

/** One connection. */
export interface ServerPath {
  readonly id: number;
  /** The invite or device whose token it brought. */
  readonly recipient: GateRecipient;
  /** Undefined behind message 3. */
  handshake: ResponderHandshake | undefined;
  /** 32 random bytes for a first Enrol; none for a device. */
  readonly freshSecret: Uint8Array;
  phase: Phase;
  /** When the phase ends at the latest, by the monotonic clock. */
  endsAt: number;
  /** Defined behind message 3. */
  path: Path | undefined;
  session: HostSession | undefined;
  /** Whether it stands in the row of paths that have something to send. */
  isDue: boolean;
  /** An Enrol waits for its commit. */
  enrolling: boolean;
  /** What arrived while a commit was waited for. */
  held: Uint8Array[] | undefined;
}

/** What ends a path and leaves its session to be resumed; every other fault of a path ends its session too. */
const RESUMABLE: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.TRANSPORT_FAILED,
  ErrorCode.TRANSPORT_EXHAUSTED,
  ErrorCode.PATH_DEAD,
  ErrorCode.TIMEOUT,
  ErrorCode.HOST_BUSY,
]);
/** What ends a path without a word. */
const CUT: ReadonlySet<ErrorCode> = new Set([ErrorCode.TRANSPORT_FAILED, ErrorCode.PATH_DEAD]);

/** How a path ends that is at fault. */
export function endFor({ code, detail }: Fault): PathEnd {
  return { code, resumable: RESUMABLE.has(code), cut: CUT.has(code), detail };
}

/** What it means that a phase has not ended in its time. @impl HS-015~1, SE-006~1 */
export function late(path: ServerPath): Fault {
  return fault('time', ErrorCode.TIMEOUT, `it took too long until ${WAITS_FOR[path.phase]}`);
}

const WAITS_FOR: Readonly<Record<ServerPath['phase'], string>> = {
  handshake: 'message 3',
  commit: 'the device was stored',
  invite: 'an Enrol',
  device: 'an Attach',
  attached: 'nothing',
};
