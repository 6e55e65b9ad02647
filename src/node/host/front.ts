/** A proxy in front of the host that ends TLS: who it says the client is (spec/10-limits.md, 10.1). */
import { isIP } from 'node:net';

/** An address as it is written in a configuration: IPv4 without the IPv6 form around it. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

/**
 * The address of whoever made a request that came from one of `hops`: the last entry of X-Forwarded-For that is none of
 * them. What stands before it could have been written by anybody. The proxy itself when it names nobody. @impl LI-030~1
 */
export function clientBehind(header: string | undefined, hop: string, hops: ReadonlySet<string>): string {
  const entries = (header ?? '').split(',');
  for (const entry of entries.reverse()) {
    const address = plainAddress(entry.trim());
    if (isIP(address) === 0) break;
    if (!hops.has(address)) return address;
  }
  return hop;
}
