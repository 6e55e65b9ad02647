/** A log in a file: bounded, rotated by size, opened again on demand (docs/operations.md). */
import { closeSync, fstatSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { failure, systemCode } from './failure.ts';

const FILE_MODE = 0o600;

/** Where a log goes. */
export interface LogFileOptions {
  readonly path: string;
  /** A line that would make the file longer than this begins a new one. */
  readonly bytesMax: number;
  /** How many files there are at most: `path`, `path.1` (the one before) and so on. */
  readonly filesMax: number;
}

/** One log file with its predecessors. Writes are synchronous, so that the last line before a crash is there. */
export class LogFile {
  readonly #options: LogFileOptions;
  #file: number;
  #bytes: number;
  /** Whether the last write failed. Said once, on standard error. */
  #isBroken = false;

  /** @throws ClawChatError `USAGE` when it cannot be opened. */
  constructor(options: LogFileOptions) {
    this.#options = options;
    try {
      [this.#file, this.#bytes] = open(options.path);
    } catch (cause) {
      const text = `the log ${options.path} cannot be written (${systemCode(cause) ?? 'unknown'})`;
      throw failure(ErrorCode.USAGE, text, cause);
    }
  }

  /** Append one line. A disk that takes nothing loses lines of the log and stops nobody. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    try {
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#options.bytesMax) this.#rotate();
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
      this.#bytes += bytes.length;
      this.#isBroken = false;
    } catch (error) {
      if (!this.#isBroken) process.stderr.write(`log ${this.#options.path}: ${String(error)}\n`);
      this.#isBroken = true;
    }
  }

  /** Open the file anew: somebody has moved it away. */
  reopen(): void {
    try {
      const [file, bytes] = open(this.#options.path);
      closeSync(this.#file);
      this.#file = file;
      this.#bytes = bytes;
    } catch (error) {
      process.stderr.write(`log ${this.#options.path}: ${String(error)}\n`);
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #rotate(): void {
    const { path, filesMax } = this.#options;
    const named = (number: number): string => (number === 0 ? path : `${path}.${number}`);
    if (filesMax === 1) unlinkSync(path);
    for (let number = filesMax - 1; number > 0; number -= 1) {
      try {
        renameSync(named(number - 1), named(number));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
      }
    }
    const [file, bytes] = open(path);
    closeSync(this.#file);
    this.#file = file;
    this.#bytes = bytes;
  }
}

function open(path: string): [file: number, bytes: number] {
  const file = openSync(path, 'a', FILE_MODE);
  return [file, fstatSync(file).size];
}
