/** The host's Noise statics: a current and a next one, replaced every 30 days (spec/06-rotation.md, 6.3). */
import type { Suite } from '../crypto/suite.ts';
import { CHANNEL_KEY_LIFE_MS, CHANNEL_KEY_MARGIN_MS, type Constants } from '../gen/constants.ts';

/** One X25519 key of the host. */
export interface HostChannelKey {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  /** When it becomes, or became, the current one. */
  readonly currentAtMs: number;
  readonly notAfterMs: number;
}

/** The current key, the next one, then those that clients who sleep may still use. */
export type HostChannelKeys = readonly [HostChannelKey, HostChannelKey, ...HostChannelKey[]];

/**
 * Replace what has had its time, when a record is made. `fresh` are two random private keys, used as needed.
 *
 * A key lives as the next one, then for 30 days as the current one, and outlives the last record that names it by
 * 7 days. @impl RT-010~1, RT-011~1
 */
export function rollChannelKeys(
  suite: Suite,
  constants: Constants,
  keys: HostChannelKeys | undefined,
  fresh: readonly [Uint8Array, Uint8Array],
  wallMs: number,
): HostChannelKeys {
  const make = (privateKey: Uint8Array, currentAtMs: number): HostChannelKey => ({
    privateKey,
    publicKey: suite.x25519Public(privateKey),
    currentAtMs,
    notAfterMs: currentAtMs + CHANNEL_KEY_LIFE_MS + CHANNEL_KEY_MARGIN_MS + recordLifeMsMax(constants),
  });
  const isYoung = ({ currentAtMs }: HostChannelKey): boolean => wallMs - currentAtMs < CHANNEL_KEY_LIFE_MS;
  if (keys === undefined) return [make(fresh[0], wallMs), make(fresh[1], wallMs + CHANNEL_KEY_LIFE_MS)];
  const [current, next, ...old] = keys;
  const usable = (kept: readonly HostChannelKey[]): readonly HostChannelKey[] =>
    kept.filter(({ notAfterMs }) => wallMs <= notAfterMs);
  if (isYoung(current)) return [current, next, ...usable(old)];
  if (isYoung(next)) {
    return [next, make(fresh[0], next.currentAtMs + CHANNEL_KEY_LIFE_MS), ...usable([current, ...old])];
  }
  // The host was down for longer than a key lives: clients read a new record anyway.
  const first = make(fresh[0], wallMs);
  const second = make(fresh[1], wallMs + CHANNEL_KEY_LIFE_MS);
  return [first, second, ...usable([next, current, ...old])];
}

/** What a host opens message 1 with. */
export type ResponderKey = Pick<HostChannelKey, 'privateKey' | 'notAfterMs'>;

/** List the keys with which a host tries message 1 at this instant, the likeliest first. @impl HS-011~2 */
export function responderKeys<K extends Pick<HostChannelKey, 'notAfterMs'>>(
  keys: readonly K[],
  wallMs: number,
): readonly K[] {
  return keys.filter(({ notAfterMs }) => wallMs <= notAfterMs);
}

/** From making a record to the end of its validity, at the longest interval and with one hold. */
function recordLifeMsMax(constants: Constants): number {
  const { ROTATION_INTERVAL_MS_MAX, PUBLISH_LEAD_MS, GRACE_MS, HOLD_MS } = constants;
  return ROTATION_INTERVAL_MS_MAX + PUBLISH_LEAD_MS + GRACE_MS + HOLD_MS;
}
