/** Remembers which tokens were right already, so that each is so once. Chapter: spec/04-handshake.md, 4.3. */
import { DEVICES_MAX, HANDLE_SEEN_MAX, INVITES_MAX } from '../gen/constants.ts';

/** The tokens of one epoch, by handle: of each the last ones, in bounded memory. @impl GT-007~1 */
export class SeenTokens {
  /** Six bytes of a MAC as a number: two of so few right tokens never share them by chance, and nobody can choose them. */
  readonly #byHandle = new Map<string, number[]>();

  has(handle: string, mac: Uint8Array): boolean {
    return this.#byHandle.get(handle)?.includes(short(mac)) === true;
  }

  add(handle: string, mac: Uint8Array): void {
    const seen = this.#byHandle.get(handle) ?? this.#makeRoom(handle);
    if (seen.length >= HANDLE_SEEN_MAX) seen.shift();
    seen.push(short(mac));
  }

  /** Handles of those that were removed stay, so that nobody who is added again has unseen tokens. */
  #makeRoom(handle: string): number[] {
    if (this.#byHandle.size >= DEVICES_MAX + INVITES_MAX) {
      const [oldest = ''] = this.#byHandle.keys();
      this.#byHandle.delete(oldest);
    }
    const seen: number[] = [];
    this.#byHandle.set(handle, seen);
    return seen;
  }
}

function short(mac: Uint8Array): number {
  return mac.subarray(0, 6).reduce((value, byte) => value * 256 + byte, 0);
}
