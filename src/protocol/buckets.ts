/** Token buckets: how often something may happen, per key, in bounded memory. Chapter: spec/10-limits.md. */

/** The shape of a bucket: it begins full and gains one token each interval. */
export interface BucketRate {
  readonly tokensMax: number;
  /** Milliseconds for one token. */
  readonly refillMs: number;
}

interface Bucket {
  tokens: number;
  /** Monotonic milliseconds up to which `tokens` is true. */
  at: number;
}

/** Buckets by key. */
export interface Buckets {
  readonly rate: BucketRate;
  readonly keysMax: number;
  /** In order of last use, the longest ago first: a Map keeps the order of insertion. */
  readonly byKey: Map<string, Bucket>;
}

/** Make an empty set of buckets that remembers at most `keysMax` keys. */
export function buckets(rate: BucketRate, keysMax: number): Buckets {
  return { rate, keysMax, byKey: new Map() };
}

/** Take one token of `key`'s bucket; false when there is none. `now` is monotonic milliseconds. @impl LI-001~1 */
export function takeToken(all: Buckets, key: string, now: number): boolean {
  const { tokensMax } = all.rate;
  const bucket = all.byKey.get(key) ?? makeRoom(all, now);
  refill(bucket, all.rate, now);
  all.byKey.delete(key);
  all.byKey.set(key, bucket);
  if (bucket.tokens < 1) return false;
  // The clock of a full bucket starts when its first token goes.
  if (bucket.tokens === tokensMax) bucket.at = now;
  bucket.tokens -= 1;
  return true;
}

/** Forget `key`. */
export function forgetBucket(all: Buckets, key: string): void {
  all.byKey.delete(key);
}

function refill(bucket: Bucket, rate: BucketRate, now: number): void {
  const gained = Math.floor(Math.max(0, now - bucket.at) / rate.refillMs);
  bucket.tokens = Math.min(rate.tokensMax, bucket.tokens + gained);
  bucket.at += gained * rate.refillMs;
}

/** How many of the longest unused buckets are looked at for a full one, so that room costs a bounded time. */
const LOOK_MAX = 8;

/** A fresh bucket, after forgetting a full one or else the one used longest ago when there is no room. @impl LI-004~1 */
function makeRoom(all: Buckets, now: number): Bucket {
  if (all.byKey.size >= all.keysMax) {
    let victim: string | undefined;
    let looked = 0;
    for (const [key, bucket] of all.byKey) {
      victim ??= key;
      refill(bucket, all.rate, now);
      if (bucket.tokens >= all.rate.tokensMax) {
        victim = key;
        break;
      }
      if (++looked >= LOOK_MAX) break;
    }
    if (victim !== undefined) all.byKey.delete(victim);
  }
  return { tokens: all.rate.tokensMax, at: now };
}

/**
 * Name the bucket of a client address: an IPv4 address as it is, an IPv6 address by its first 64 bits. @impl LI-001~1
 *
 * Takes what `socket.remoteAddress` gives, mapped IPv4 and zone included.
 */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const groups = address.includes('::')
    ? [...front, ...Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0'), ...back]
    : front;
  const network = groups.slice(0, 4).map(group => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}

/** The two tiers of an address: strangers', and that of addresses from which a device authenticated lately. */
export interface AddressLimits {
  readonly strangers: Buckets;
  readonly known: Buckets;
  /** Monotonic milliseconds of the last authentication, by address key; in that order. */
  readonly authenticatedAt: Map<string, number>;
  readonly knownMs: number;
}

/** Make the limits of a host's accepts. `knownMs` is how long an authentication counts. */
export function addressLimits(
  stranger: BucketRate,
  known: BucketRate,
  knownMs: number,
  keysMax: number,
): AddressLimits {
  return {
    strangers: buckets(stranger, keysMax),
    known: buckets(known, keysMax),
    authenticatedAt: new Map(),
    knownMs,
  };
}

/** Whose bucket an address takes from: strangers', or that of addresses from which a device authenticated lately. */
export type AddressTier = 'stranger' | 'known';

/**
 * Take a token for another connection of `address`; undefined when it has none left. `now` is monotonic milliseconds.
 * @impl LI-001~1, LI-003~1
 */
export function admitAddress(limits: AddressLimits, address: string, now: number): AddressTier | undefined {
  const key = addressKey(address);
  const at = limits.authenticatedAt.get(key);
  if (at !== undefined && now - at <= limits.knownMs)
    return takeToken(limits.known, key, now) ? 'known' : undefined;
  if (at !== undefined) {
    limits.authenticatedAt.delete(key);
    forgetBucket(limits.known, key);
  }
  return takeToken(limits.strangers, key, now) ? 'stranger' : undefined;
}

/** Note that a device authenticated from `address`. @impl LI-003~1 */
export function noteAuthenticated(limits: AddressLimits, address: string, now: number): void {
  const key = addressKey(address);
  limits.authenticatedAt.delete(key);
  if (limits.authenticatedAt.size >= limits.known.keysMax) {
    for (const oldest of limits.authenticatedAt.keys()) {
      limits.authenticatedAt.delete(oldest);
      break;
    }
  }
  limits.authenticatedAt.set(key, now);
}
