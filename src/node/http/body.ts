/** Finds the end of a body that nobody reads, because nginx closes behind it and not before (spec/04-handshake.md, 4.6). */

type State =
  | 'size'
  | 'sizes'
  | 'extension'
  | 'extensionLineFeed'
  | 'data'
  | 'behindData'
  | 'dataLineFeed'
  | 'trailer';

const CR = 13;
const LF = 10;
/** More hexadecimal digits than a size can have. */
const SIZE_DIGITS_MAX = 13;

/** The body of one request: so many bytes, or chunks. */
export class BodyReader {
  #left: number;
  readonly #isChunked: boolean;
  #state: State = 'size';
  #digits = 0;
  #isLineEmpty = true;

  constructor(body: number | 'chunked') {
    this.#isChunked = body === 'chunked';
    this.#left = body === 'chunked' ? 0 : body;
  }

  /** Take what came: whether nothing more is waited for, because the body is over or no body. */
  take(bytes: Uint8Array): boolean {
    if (!this.#isChunked) {
      this.#left = Math.max(0, this.#left - bytes.length);
      return this.#left === 0;
    }
    for (let i = 0; i < bytes.length; i += 1) {
      if (this.#state === 'data') {
        const skipped = Math.min(this.#left, bytes.length - i);
        this.#left -= skipped;
        i += skipped;
        if (this.#left === 0) this.#state = 'behindData';
        if (i >= bytes.length) return false;
      }
      const next = this.#step(bytes[i] ?? 0);
      if (next === 'over') return true;
      this.#state = next;
    }
    return false;
  }

  #step(byte: number): State | 'over' {
    switch (this.#state) {
      case 'size':
      case 'sizes': {
        const digit = Number.parseInt(String.fromCharCode(byte), 16);
        if (!Number.isNaN(digit)) {
          this.#left = this.#left * 16 + digit;
          this.#digits += 1;
          return this.#digits > SIZE_DIGITS_MAX ? 'over' : 'sizes';
        }
        if (this.#state === 'size') return 'over';
        return this.#extension(byte, ';\t '.includes(String.fromCharCode(byte)));
      }
      case 'extension':
        return this.#extension(byte, true);
      case 'extensionLineFeed':
        return byte === LF ? this.#sized() : 'over';
      case 'data':
        return 'data';
      case 'behindData':
        if (byte === CR) return 'dataLineFeed';
        return byte === LF ? this.#next() : 'over';
      case 'dataLineFeed':
        return byte === LF ? this.#next() : 'over';
      case 'trailer':
        if (byte === LF && this.#isLineEmpty) return 'over';
        this.#isLineEmpty = byte === LF || (byte === CR && this.#isLineEmpty);
        return 'trailer';
    }
  }

  #extension(byte: number, isOne: boolean): State | 'over' {
    if (byte === CR) return 'extensionLineFeed';
    if (byte === LF) return this.#sized();
    return isOne ? 'extension' : 'over';
  }

  #sized(): State {
    return this.#left === 0 ? 'trailer' : 'data';
  }

  #next(): State {
    this.#left = 0;
    this.#digits = 0;
    return 'size';
  }
}
