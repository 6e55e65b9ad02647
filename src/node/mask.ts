/**
 * Masks WebSocket payloads a word at a time (RFC 6455, 5.3). `ws` asks for a package `bufferutil`, native and optional,
 * and without it takes a byte at a time, which for bulk costs more than TLS; the build answers with this.
 */

/** Below this, a view of words costs more than it saves. */
const WORDS_FROM_BYTES = 320;
const KEY = new Uint8Array(4);
const KEY_WORD = new Int32Array(KEY.buffer);

/** Mask `length` bytes of `source` with a key of 4 bytes, into `output` from `offset` on. */
export function mask(
  source: Uint8Array,
  key: Uint8Array,
  output: Uint8Array,
  offset: number,
  length: number,
): void {
  const out = new Uint8Array(output.buffer, output.byteOffset + offset, length);
  if (source !== output || offset !== 0)
    out.set(source.length === length ? source : source.subarray(0, length));
  unmask(out, key);
}

/** Unmask bytes in place with a key of 4 bytes. Masking is the same. */
export function unmask(bytes: Uint8Array, key: Uint8Array): void {
  const { buffer, byteOffset, length } = bytes;
  if (length < WORDS_FROM_BYTES) {
    eachByte(bytes, key, 0, length);
    return;
  }
  const head = -byteOffset & 3;
  const words = new Int32Array(buffer, byteOffset + head, (length - head) >>> 2);
  eachByte(bytes, key, 0, head);
  for (let i = 0; i < 4; i += 1) KEY[i] = key[(head + i) & 3] ?? 0;
  eachWord(words, KEY_WORD[0] ?? 0);
  eachByte(bytes, key, head + words.length * 4, length);
}

function eachByte(bytes: Uint8Array, key: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i += 1) bytes[i] = (bytes[i] ?? 0) ^ (key[i & 3] ?? 0);
}

/** Eight a turn, which the compiler does not do by itself. */
function eachWord(words: Int32Array, key: number): void {
  const { length } = words;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    words[i] = (words[i] ?? 0) ^ key;
    words[i + 1] = (words[i + 1] ?? 0) ^ key;
    words[i + 2] = (words[i + 2] ?? 0) ^ key;
    words[i + 3] = (words[i + 3] ?? 0) ^ key;
    words[i + 4] = (words[i + 4] ?? 0) ^ key;
    words[i + 5] = (words[i + 5] ?? 0) ^ key;
    words[i + 6] = (words[i + 6] ?? 0) ^ key;
    words[i + 7] = (words[i + 7] ?? 0) ^ key;
  }
  for (; i < length; i += 1) words[i] = (words[i] ?? 0) ^ key;
}
