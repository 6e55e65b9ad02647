/** What somebody between two sides writes down, and looks through. */

/** Bytes of one direction of one connection. */
export interface Flow {
  /** A number for each connection, from 1. */
  readonly connection: number;
  /** Where it goes: the host's port. */
  readonly port: number;
  readonly direction: 'to host' | 'from host';
}

/** TLS records as they pass: type and length stand in the clear, and nothing else. */
export interface Passed extends Flow {
  /** Of the record, with its header. */
  readonly bytes: number;
  readonly begin: Uint8Array;
}

interface Kept extends Flow {
  readonly pieces: Buffer[];
}

/** More than a demonstration has; a capture that is full would prove nothing. */
const CAPTURE_BYTES_MAX = 64 * 1024 * 1024;
const BEGIN_BYTES = 12;

/** Everything that passed. */
export class Capture {
  readonly #flows = new Map<string, Kept>();
  readonly #watch: (passed: Passed) => void;
  readonly #opened: (connection: number, port: number) => void;
  connections = 0;
  bytes = 0;
  packets = 0;

  constructor(
    watch: (passed: Passed) => void = () => {},
    opened: (connection: number, port: number) => void = () => {},
  ) {
    this.#watch = watch;
    this.#opened = opened;
  }

  /** A new connection's number. */
  open(port: number): number {
    this.connections += 1;
    this.#opened(this.connections, port);
    return this.connections;
  }

  /** Write down what passes. */
  take(flow: Flow, piece: Buffer): void {
    this.bytes += piece.length;
    this.packets += 1;
    if (this.bytes > CAPTURE_BYTES_MAX) throw new Error('the capture is full');
    const name = `${flow.connection} ${flow.direction}`;
    const kept = this.#flows.get(name) ?? { ...flow, pieces: [] };
    this.#flows.set(name, kept);
    kept.pieces.push(Buffer.from(piece));
    this.#watch({ ...flow, bytes: piece.length, begin: piece.subarray(0, BEGIN_BYTES) });
  }

  /** How often a text stands in it, as it is or as hexadecimal or base64 writes it, also across two pieces. */
  find(text: string): number {
    const forms = formsOf(text);
    let found = 0;
    for (const { pieces } of this.#flows.values()) {
      const all = Buffer.concat(pieces);
      for (const form of forms) {
        for (let at = all.indexOf(form); at >= 0; at = all.indexOf(form, at + 1)) found += 1;
      }
    }
    return found;
  }

  /** Bits of information in a byte of it, 8 at most: a measure of how much it looks like chance. */
  get entropy(): number {
    const counts = new Float64Array(256);
    let total = 0;
    for (const { pieces } of this.#flows.values()) {
      for (const piece of pieces) {
        for (const byte of piece) counts[byte] = (counts[byte] ?? 0) + 1;
        total += piece.length;
      }
    }
    return counts.reduce(
      (sum, count) => (count === 0 ? sum : sum - (count / total) * Math.log2(count / total)),
      0,
    );
  }
}

/** The text, and what it becomes in hexadecimal, and in base64 wherever it may begin. */
function formsOf(text: string): readonly Buffer[] {
  const plain = Buffer.from(text);
  const base64 = [0, 1, 2].map(skip => {
    const shifted = Buffer.concat([Buffer.alloc(skip), plain]).toString('base64');
    // The first and the last letters depend on what stands beside them.
    return shifted.slice(Math.ceil((skip * 4) / 3), Math.floor(((skip + plain.length) * 4) / 3));
  });
  const url = base64.map(form => form.replaceAll('+', '-').replaceAll('/', '_'));
  const hex = [plain.toString('hex'), plain.toString('hex').toUpperCase()];
  const texts = new Set([...hex, ...base64, ...url]);
  return [plain, Buffer.from(text, 'utf16le'), ...[...texts].map(form => Buffer.from(form))];
}
