/** A log in a file: bounded, rotated by size, by several processes if need be (docs/operations.md). */
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { failure, systemCode } from './failure.ts';

const FILE_MODE = 0o600;
/** Whoever holds the lock longer than this has died. */
const LOCK_MS_MAX = 10_000;

/** Where a log goes. */
export interface LogFileOptions {
  readonly path: string;
  /** A line that would make the file longer than this begins a new one. */
  readonly bytesMax: number;
  /** How many files there are at most: `path`, `path.1` (the one before) and so on. */
  readonly filesMax: number;
}

/**
 * One log file with its predecessors. Writes are synchronous, so that the last line before a crash is there. Several
 * processes may write to one: each line goes whole to the end of the file that bears the name at the time.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #file: number;
  /** Whether the last write failed. Said once, on standard error. */
  #isBroken = false;

  /** @throws ClawChatError `USAGE` when it cannot be opened. */
  constructor(options: LogFileOptions) {
    this.#options = options;
    try {
      this.#file = open(options.path);
    } catch (cause) {
      const text = `the log ${options.path} cannot be written (${systemCode(cause) ?? 'unknown'})`;
      throw failure(ErrorCode.USAGE, text, cause);
    }
  }

  /** Append one line. A disk that takes nothing loses lines of the log and stops nobody. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    try {
      this.#follow();
      if (this.#isFull(bytes.length)) this.#rotate(bytes.length);
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
      this.#isBroken = false;
    } catch (error) {
      if (!this.#isBroken) process.stderr.write(`log ${this.#options.path}: ${String(error)}\n`);
      this.#isBroken = true;
    }
  }

  /** Open the file anew: somebody has moved it away. */
  reopen(): void {
    try {
      const file = open(this.#options.path);
      closeSync(this.#file);
      this.#file = file;
    } catch (error) {
      process.stderr.write(`log ${this.#options.path}: ${String(error)}\n`);
    }
  }

  /** Close the file. */
  close(): void {
    closeSync(this.#file);
  }

  /** Another process may have rotated. A name that nobody bears waits for `reopen`. */
  #follow(): void {
    const named = statSync(this.#options.path, { throwIfNoEntry: false });
    if (named !== undefined && named.ino !== fstatSync(this.#file).ino) this.reopen();
  }

  #isFull(more: number): boolean {
    const { size } = fstatSync(this.#file);
    return size > 0 && size + more > this.#options.bytesMax;
  }

  /** One process at a time; the others go on writing into what is full, a few lines. */
  #rotate(more: number): void {
    const { path, filesMax } = this.#options;
    const lock = `${path}.lock`;
    if (!takeLock(lock)) return;
    try {
      this.#follow();
      if (!this.#isFull(more)) return;
      const named = (number: number): string => (number === 0 ? path : `${path}.${number}`);
      if (filesMax === 1) unlinkSync(path);
      for (let number = filesMax - 1; number > 0; number -= 1) {
        try {
          renameSync(named(number - 1), named(number));
        } catch (error) {
          if (systemCode(error) !== 'ENOENT') throw error;
        }
      }
      const file = open(path);
      closeSync(this.#file);
      this.#file = file;
    } finally {
      rmdirSync(lock);
    }
  }
}

function open(path: string): number {
  return openSync(path, 'a', FILE_MODE);
}

/** A directory, because making one either works or does not. */
function takeLock(path: string): boolean {
  for (;;) {
    try {
      mkdirSync(path);
      return true;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      const held = statSync(path, { throwIfNoEntry: false });
      if (held === undefined || Date.now() - held.mtimeMs < LOCK_MS_MAX) return false;
      rmdirSync(path);
    }
  }
}
