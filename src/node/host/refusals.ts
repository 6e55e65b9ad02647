/** The codes of refusals, and their lines in the log, of which there is a bounded number (spec/10-limits.md, 10.2). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import type { Log } from '../log.ts';
import type { Refusal, Tally } from './counts.ts';
import { plainAddress } from './front.ts';

/** The code of each. @impl LI-009~1 */
export const REFUSAL_CODES: Readonly<Record<Refusal, ErrorCode>> = {
  address_limit: ErrorCode.RATE_LIMITED,
  strangers_limit: ErrorCode.RATE_LIMITED,
  displaced: ErrorCode.RATE_LIMITED,
  late: ErrorCode.TIMEOUT,
  tls_failed: ErrorCode.TLS_FAILED,
  plain_http: ErrorCode.TLS_FAILED,
  not_http: ErrorCode.GATE_REFUSED,
  no_upgrade: ErrorCode.GATE_REFUSED,
  token_unreadable: ErrorCode.GATE_REFUSED,
  epoch_unknown: ErrorCode.GATE_REFUSED,
  handle_unknown: ErrorCode.GATE_REFUSED,
  recipient_ended: ErrorCode.GATE_REFUSED,
  mac_wrong: ErrorCode.GATE_REFUSED,
  token_seen: ErrorCode.GATE_REFUSED,
  handle_limit: ErrorCode.RATE_LIMITED,
  host_limit: ErrorCode.RATE_LIMITED,
  too_many_bytes: ErrorCode.HANDSHAKE_FAILED,
  handshake_failed: ErrorCode.HANDSHAKE_FAILED,
  shutdown: ErrorCode.SHUTDOWN,
  gave_up: ErrorCode.CANCELLED,
};

/** Refusals for one reason share a line for so long. */
const LINE_MS = 10_000;

/** What becomes of a refusal. */
export class Refusals {
  readonly #log: Log;
  readonly #tally: Tally<Refusal>;
  /** What was not logged yet, of each reason that had a line within `LINE_MS`. */
  readonly #unsaid = new Map<Refusal, { count: number; readonly timer: NodeJS.Timeout }>();

  constructor(log: Log, tally: Tally<Refusal>) {
    this.#log = log;
    this.#tally = tally;
  }

  /** Count one. The first is logged at once and with its address, those behind it as a number. @impl LI-009~1 */
  add(reason: Refusal, address: string): void {
    this.#tally.add(reason);
    // Nobody was refused: there is nothing to look into.
    if (reason === 'gave_up') return;
    const unsaid = this.#unsaid.get(reason);
    if (unsaid !== undefined) {
      unsaid.count += 1;
      return;
    }
    this.#say(reason, { address: plainAddress(address) });
    const timer = setTimeout(() => this.#sayRest(reason), LINE_MS);
    timer.unref();
    this.#unsaid.set(reason, { count: 0, timer });
  }

  /** Log what is left, and nothing behind that. */
  close(): void {
    for (const reason of [...this.#unsaid.keys()]) this.#sayRest(reason);
  }

  #sayRest(reason: Refusal): void {
    const unsaid = this.#unsaid.get(reason);
    if (unsaid === undefined) return;
    clearTimeout(unsaid.timer);
    this.#unsaid.delete(reason);
    if (unsaid.count > 0) this.#say(reason, { more: unsaid.count });
  }

  #say(reason: Refusal, fields: { readonly address?: string; readonly more?: number }): void {
    this.#log.info('refused', { reason, code: codeName(REFUSAL_CODES[reason]), ...fields });
  }
}
