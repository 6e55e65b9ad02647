/** A path as the host's machine holds it, from its upgrade request on (spec/04-handshake.md, spec/05-session.md). */
import type { GateRecipient } from './gate.ts';
import type { ResponderHandshake } from './handshake.ts';
import type { HostSession } from './host-sessions.ts';
import type { Path } from './path.ts';

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
