/** Memory for sealed messages, warm and not made anew for each: a new one costs as much as the cipher. Chapter: spec/01-architecture.md. */

/** Buffers that were given back. */
const SPARES: ArrayBufferLike[] = [];
const SPARES_MAX = 8;
/** What is smaller shares a slab. */
const SPARE_BYTES_MIN = 4096;

/** What small sealed messages are cut from; nothing is zeroed first, and one object is made where Node's pool makes two. */
let slab: ArrayBufferLike = new ArrayBuffer(0);
let slabAt = 0;
const SLAB_BYTES = 8192;

/** Make room for a sealed message of `bytes`, with `room` bytes before it in its buffer. */
export function allocate(bytes: number, room: number): Uint8Array {
  const all = room + bytes;
  if (all >= SPARE_BYTES_MIN) return new Uint8Array(spare(all), room, bytes);
  if (slabAt + all > slab.byteLength) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES).buffer;
    slabAt = 0;
  }
  const out = new Uint8Array(slab, slabAt + room, bytes);
  slabAt += all;
  return out;
}

/** Take a backing store that was given back, if one is long enough. */
function spare(bytes: number): ArrayBufferLike {
  const index = SPARES.findIndex(({ byteLength }) => byteLength >= bytes);
  const found = SPARES[index];
  if (found === undefined) return Buffer.allocUnsafeSlow(bytes).buffer;
  const last = SPARES.pop();
  if (last !== undefined && last !== found) SPARES[index] = last;
  return found;
}

/**
 * Give back the buffer of a sealed message that has left: the next one is written where memory is warm, and nothing is
 * left to be collected. The caller holds the only view of it, and drops it.
 */
export function recycle({ buffer, length }: Uint8Array): void {
  if (length < SPARE_BYTES_MIN) return;
  if (SPARES.length >= SPARES_MAX) SPARES.shift();
  SPARES.push(buffer);
}
