/** What a host counts while it runs. Names and sums, never who. Chapter: spec/10-limits.md; docs/operations.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';

/** Name what a path or a session ended with: its error code, or `DONE` where nothing was wrong. */
export function endName(code: ErrorCode): string {
  return code === ErrorCode.UNSPECIFIED ? 'DONE' : codeName(code);
}

/** Why somebody was turned away before they had proved anything, with what it means. */
export const REFUSALS = {
  address_limit: 'the address opened too many connections; ended at accept',
  strangers_limit: 'too many connections had shown a right MAC and no more; ended at accept',
  displaced: 'too many connections were not authenticated yet, and this one made room for another',
  late: 'not authenticated in time',
  tls_failed: 'the TLS handshake failed',
  plain_http: 'HTTP without TLS',
  not_http: 'no HTTP request, or one that is malformed, too long, or of a kind that is always refused',
  no_upgrade: 'an HTTP request that asks for no WebSocket',
  token_unreadable: 'an upgrade without a token that can be read',
  epoch_unknown: 'a token of an epoch that is over or never was',
  handle_unknown: 'a token of nobody',
  recipient_ended: 'a token of an invite that is over, or of a device that was revoked',
  mac_wrong: 'a token whose MAC is wrong',
  token_seen: 'a right token for a second time',
  handle_limit: 'one device or invite came too often',
  host_limit: 'all devices and invites together came too often',
  too_many_bytes: 'too many bytes before message 3',
  handshake_failed: 'a right token, and a Noise message that does not fit it, or something else',
  shutdown: 'the host is stopping',
  gave_up: 'ended by the other side, before anything was decided',
} as const;

/** Why somebody was turned away. */
export type Refusal = keyof typeof REFUSALS;

/** How often each of some names was counted. */
export class Tally<Name extends string = string> {
  readonly #counts = new Map<Name, number>();

  /** `names` are shown with 0 before they are counted. */
  constructor(names: readonly Name[] = []) {
    for (const name of names) this.#counts.set(name, 0);
  }

  /** Count one. */
  add(name: Name): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** How often a name was counted. */
  get(name: Name): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Every name that was counted, or is always shown. */
  entries(): IterableIterator<[Name, number]> {
    return this.#counts.entries();
  }

  /** How often anything was counted. */
  get total(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }
}

/** All counters of one host, since it started. */
export class HostCounts {
  readonly refused: Tally<Refusal> = new Tally(Object.keys(REFUSALS) as Refusal[]);
  /** Connections that were accepted, before TLS. */
  accepted = 0;
  /** Paths that passed the gate, and those that passed message 3. */
  pathsOpened = 0;
  authenticated = 0;
  /** By error code. */
  readonly pathsEnded: Tally = new Tally();
  sessionsOpened = 0;
  readonly sessionsLost: Tally = new Tally();
  /** Records of paths and their bytes. */
  recordsReceived = 0;
  bytesReceived = 0;
  recordsSent = 0;
  bytesSent = 0;
  /** Posts that were decided: `STORED`, or the code of the refusal. Repeats are not counted again. */
  readonly posts: Tally = new Tally(['STORED']);
  /** Notes of the rotation, by what happened. */
  readonly rotation: Tally = new Tally(['rotated', 'held', 'retired', 'emergency-began', 'emergency-ended']);
  /** By store, in the order of the configuration: what became of publishing. */
  readonly publishes: Tally<'verified' | 'failed'>[] = [];
  alarms = 0;

  /** Count an attempt to publish in one store. */
  published(store: number, result: 'verified' | 'failed'): void {
    this.publishes[store] ??= new Tally(['verified', 'failed']);
    this.publishes[store].add(result);
  }
}
