/** What the rotation machine knows, hears and says (spec/06-rotation.md, 6.5). */
import type { Constants } from '../gen/constants.ts';
import type { Now } from './now.ts';
import type { PortRange } from './rotation-port.ts';

/**
 * A phase says what it waits for.
 *
 * - `starting` for `start`
 * - `resting` for R - PREPARE_LEAD_MS
 * - `preparing` for a listener and a mapping on the next port, then for R - PUBLISH_LEAD_MS
 * - `publishing` for one verified store
 * - `verified` for R
 * - `grace` for the end of the old port
 * - `emergency` for a listener, then for the end of every earlier one
 */
export type Phase = 'starting' | 'resting' | 'preparing' | 'publishing' | 'verified' | 'grace' | 'emergency';

/**
 * One port with one epoch, its access key and its TLS key: the keys are the driver's, and the epoch names them.
 *
 * `listedUntil` is when the last record that lists the port stops listing it, by both clocks; undefined before the first.
 */
export interface Place {
  readonly epoch: number;
  readonly port: number;
  readonly role: 'primary' | 'next' | 'old';
  readonly listedUntil: Now | undefined;
}

/** What a record is to say of places and times. The driver adds addresses, keys, pins and stores, and signs. */
export interface RecordPlan {
  readonly sequence: number;
  readonly epoch: number;
  readonly issuedAtMs: number;
  readonly nextRotationMs: number;
  readonly validUntilMs: number;
  /** The one to use first, first; each with every address of the host. */
  readonly ports: readonly {
    readonly port: number;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
  }[];
  /** Whose access keys and TLS pins it names, the record's own epoch first. */
  readonly epochs: readonly number[];
}

/** An emergency that goes on. */
export interface Emergency {
  /** E, wall clock. */
  readonly atMs: number;
  /** Its first epoch: what is lower ends with it. */
  readonly epoch: number;
  readonly isHard: boolean;
  /** The one that follows, into which every request during this one was folded. */
  readonly again: 'soft' | 'hard' | undefined;
}

/** What state and journal have in common. */
interface Kept {
  /** Ports for which a mapping may exist. */
  readonly mappings: readonly number[];
  /** The newest last, at most RECENT_PORTS_MAX. */
  readonly recentPorts: readonly number[];
  /** The highest epoch given. */
  readonly epoch: number;
  /** The record in force; undefined before the first. */
  readonly record: RecordPlan | undefined;
  /** R, wall time. */
  readonly rotationAtMs: number;
  /** The first sequence that lists the port which is to be verified; 0 for none. */
  readonly turnSequence: number;
  /** True when rows do not wait for their time: the host missed a rotation, or lost its port. */
  readonly isHurried: boolean;
  readonly isRotationWanted: boolean;
  readonly emergency: Emergency | undefined;
}

/** All that outlives the process: one value, committed before any effect that it speaks of. */
export interface Journal extends Kept {
  readonly phase: Exclude<Phase, 'starting'>;
  /** `listedUntilMs` is wall time, 0 for never. */
  readonly places: readonly (Omit<Place, 'listedUntil'> & { readonly listedUntilMs: number })[];
  /** When this was handed to be committed, wall time. */
  readonly writtenAtMs: number;
}

/** What does not change while a host runs. */
export interface RotationConfig {
  readonly constants: Constants;
  /** As `parseInterval` took it. */
  readonly intervalMs: number;
  readonly range: PortRange;
  /** What the system keeps for itself. */
  readonly reserved: readonly PortRange[];
  /** The one port of a host behind a proxy; undefined to move. */
  readonly fixedPort: number | undefined;
  /** True when ports are mapped on a router. */
  readonly isMapped: boolean;
}

/** Something happened. */
export type RotationInput =
  /** The process begins; `journal` is what the database holds. */
  | { readonly kind: 'start'; readonly journal: Journal | undefined }
  /** Time has passed. */
  | { readonly kind: 'tick' }
  /** The answer to `draw`: PORT_ENTROPY_BYTES random bytes. */
  | { readonly kind: 'drawn'; readonly entropy: Uint8Array }
  | { readonly kind: 'committed'; readonly id: number }
  | { readonly kind: 'commitFailed'; readonly id: number }
  /** `bindFailed` also when the system closed a listener that was open. */
  | { readonly kind: 'bound' | 'bindFailed'; readonly port: number }
  | { readonly kind: 'mapped' | 'unmapped'; readonly port: number }
  /** `isTaken` when another port might be mapped. */
  | { readonly kind: 'mapFailed'; readonly port: number; readonly isTaken: boolean }
  /** A record was read back, by a client's rules, from a store that counts. */
  | { readonly kind: 'verified'; readonly sequence: number }
  /** Addresses, stores or channel keys are others: the record must say so. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'rotateNow' }
  | { readonly kind: 'emergency'; readonly isHard: boolean }
  /** How far the wall clock is off; undefined when nobody could tell. */
  | { readonly kind: 'clockChecked'; readonly offsetMs: number | undefined };

/** What sessions are told; times are relative to sending. */
export interface Notice {
  readonly kind: 'move' | 'hold' | 'emergency' | 'record';
  readonly rotatesInMs: number;
  readonly oldEndsInMs: number;
  /** The record that goes with it; undefined for a hold. */
  readonly sequence: number | undefined;
}

/** What the operator and the history are told. */
export type Note =
  | { readonly what: 'rotated'; readonly epoch: number; readonly port: number }
  | {
      readonly what: 'held';
      readonly why: 'mapping' | 'no-port' | 'stores' | 'clock' | 'busy';
      readonly rotationAtMs: number;
    }
  | { readonly what: 'retired'; readonly epoch: number; readonly port: number }
  | { readonly what: 'emergency-began' | 'emergency-folded'; readonly isHard: boolean }
  | { readonly what: 'emergency-ended' }
  | { readonly what: 'port-lost' | 'port-back' | 'port-refused' | 'mapping-refused'; readonly port: number }
  | { readonly what: 'clock-jumped'; readonly byMs: number }
  | { readonly what: 'clock-off' | 'clock-unfit'; readonly offsetMs: number }
  | { readonly what: 'commit-failed' }
  /** Nothing to do: a rotation or an emergency goes on. */
  | { readonly what: 'already-rotating' };

/**
 * What the driver does, in this order.
 *
 * - `commit` make the journal durable, with new keys for an epoch that it did not have before and the payload of a record
 *   that it did not have before, in one step; then say `committed` or `commitFailed`
 * - `draw` say `drawn`
 * - `listen` open a listener that presents the TLS key of `epoch`, and say `bound` or `bindFailed`
 * - `unlisten` close it and end its paths with a resumable Close
 * - `swapTls` present another TLS key to new connections
 * - `map` ask the router, and say `mapped` or `mapFailed`; `unmap` end the mapping and say `unmapped`
 * - `publish` seal this record and write it to all stores, read it back, say `verified`
 * - `notify` tell sessions whose path is not on the newest place; of a record, those that were not sent it on their path
 * - `setPrimary` this is the place that `status` names
 * - `retire` refuse this epoch from now on, and erase its access key and TLS key
 * - `checkClock` ask a time server, and say `clockChecked`
 * - `note` tell operator and history
 */
export type RotationOutput =
  | { readonly kind: 'commit'; readonly id: number; readonly journal: Journal }
  | { readonly kind: 'draw' }
  | { readonly kind: 'listen' | 'swapTls'; readonly port: number; readonly epoch: number }
  | { readonly kind: 'unlisten' | 'map' | 'unmap'; readonly port: number }
  | { readonly kind: 'publish'; readonly record: RecordPlan }
  | { readonly kind: 'notify'; readonly notice: Notice }
  | { readonly kind: 'setPrimary'; readonly epoch: number; readonly port: number }
  | { readonly kind: 'retire'; readonly epoch: number }
  | { readonly kind: 'checkClock' }
  | { readonly kind: 'note'; readonly note: Note };

/** What is known of a port in this process. Times are monotonic milliseconds. */
export interface PortState {
  readonly port: number;
  /** `lost` is tried again; `refused`, and a mapping that is `taken`, make way for another port. */
  readonly listener: 'opening' | 'open' | 'lost' | 'refused';
  readonly mapping: 'none' | 'asked' | 'mapped' | 'failed' | 'taken';
  /** When a lost listener or a failed mapping is tried again. */
  readonly retryAt: number;
}

/** An effect that waits for its commit; the times of a notice are reckoned when it leaves. */
export type Effect =
  | Exclude<RotationOutput, { readonly kind: 'notify' }>
  | { readonly kind: 'notify'; readonly notice: Notice['kind'] };

/** What sessions may be told of: everything of it is durable. */
export type Standing = Pick<Rotation, 'phase' | 'places' | 'record' | 'rotationAtMs' | 'emergency'>;

/** The state of the machine. */
export interface Rotation extends Kept {
  readonly config: RotationConfig;
  readonly phase: Phase;
  readonly places: readonly Place[];

  /** Everything below ends with the process. */
  readonly clock: Now;
  /** Wall minus monotonic time when the record in force was made. */
  readonly clockBaseMs: number;
  readonly ports: readonly PortState[];
  /** The highest sequence that is verified. */
  readonly verifiedSequence: number;
  /** Ports that could not be had since the last row or hold. */
  readonly attempts: number;
  readonly isDrawing: boolean;
  /** What was drawn, until it is committed. */
  readonly drawnPort: number | undefined;
  /** Monotonic time before which no port is drawn. */
  readonly drawAt: number;
  /** By the last check the wall clock is off by more than CLOCK_HOLD_MS. */
  readonly isClockUnfit: boolean;
  /** Monotonic time of the next check of the clock. */
  readonly checkAt: number;
  /** Monotonic time of E + EMERGENCY_MS. */
  readonly emergencyEndsAt: number;
  /** Asked for and not yet begun. */
  readonly asked: 'soft' | 'hard' | undefined;
  readonly isChanged: boolean;
  /** The record in force is to be written to the stores again. */
  readonly isRepublished: boolean;
  /** Counts commits. */
  readonly commits: number;
  /** What is being committed, and what follows it; `retryAt` when it failed. */
  readonly commit:
    | {
        readonly id: number;
        readonly then: readonly Effect[];
        readonly standing: Standing;
        readonly retryAt: number | undefined;
      }
    | undefined;
  /** As of the last commit that is durable. */
  readonly standing: Standing;
}

/** One step in the making. */
export type Draft = { -readonly [Key in keyof Rotation]: Rotation[Key] } & { outputs: RotationOutput[] };
