/** What whoever is not authenticated may take of a host, over all its listeners. Chapter: spec/10-limits.md, 10.1 and 10.2. */
import {
  ADDRESS_REFILL_MS,
  ADDRESS_TOKENS_MAX,
  ADDRESSES_MAX,
  KNOWN_ADDRESS_MS,
  KNOWN_ADDRESS_REFILL_MS,
  KNOWN_ADDRESS_TOKENS_MAX,
  KNOWN_PREAUTH_CONNECTIONS_MAX,
  PREAUTH_CONNECTIONS_MAX,
} from '../../gen/constants.ts';
import { addressLimits, admitAddress, noteAuthenticated } from '../../protocol/buckets.ts';
import type { Log } from '../log.ts';
import { WaitingRoom } from '../waiting-room.ts';
import type { HostCounts, Refusal } from './counts.ts';
import { Refusals } from './refusals.ts';

/** Draw a whole number from 0 to below `count`. */
function draw(count: number): number {
  return Math.floor(Math.random() * count);
}

/** The buckets of addresses, the places to wait in, and what becomes of a refusal. */
export class Door {
  readonly #counts: HostCounts;
  readonly #refusals: Refusals;
  readonly #limits = addressLimits(
    { tokensMax: ADDRESS_TOKENS_MAX, refillMs: ADDRESS_REFILL_MS },
    { tokensMax: KNOWN_ADDRESS_TOKENS_MAX, refillMs: KNOWN_ADDRESS_REFILL_MS },
    KNOWN_ADDRESS_MS,
    ADDRESSES_MAX,
  );
  /** Not authenticated yet: from addresses that are known, and from others. @impl LI-010~1 */
  readonly #rooms = {
    known: new WaitingRoom(KNOWN_PREAUTH_CONNECTIONS_MAX, draw, false),
    stranger: new WaitingRoom(PREAUTH_CONNECTIONS_MAX, draw, true),
  };

  constructor(counts: HostCounts, log: Log) {
    this.#counts = counts;
    this.#refusals = new Refusals(log, counts.refused);
  }

  /** How many client addresses the buckets remember. */
  get addresses(): number {
    return this.#limits.strangers.byKey.size + this.#limits.known.byKey.size;
  }

  /** Where another connection of this address may wait; undefined, and a refusal, when it opened too many. */
  accepts(address: string): WaitingRoom | undefined {
    const tier = admitAddress(this.#limits, address, performance.now());
    if (tier === undefined) {
      this.refused('address_limit', address);
      return undefined;
    }
    this.#counts.accepted += 1;
    return this.#rooms[tier];
  }

  /** Where a connection of a proxy in front waits. */
  acceptsHop(): WaitingRoom {
    return this.#rooms.known;
  }

  /** A connection was over before it could be asked who comes. */
  vanished(): void {
    this.#counts.accepted += 1;
    this.refused('gave_up', '');
  }

  /** Somebody was turned away. */
  refused(why: Refusal, address: string): void {
    this.#refusals.add(why, address);
  }

  /** A device authenticated from this address. */
  authenticated(address: string): void {
    this.#counts.authenticated += 1;
    noteAuthenticated(this.#limits, address, performance.now());
  }

  /** Log what is left to say of refusals, and nothing behind that. */
  close(): void {
    this.#refusals.close();
  }
}
