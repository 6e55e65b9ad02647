/** What can be known of a host from outside: which ports take a TCP connection, and what its connection files promise. */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PORT_MAX, PORT_MIN } from '../../src/gen/constants.ts';
import type { Place } from './programs.ts';

/** One TCP connect: whether it was taken, and when it began and ended (Unix milliseconds). */
export interface Attempt {
  readonly port: number;
  readonly began: number;
  readonly ended: number;
  readonly isTaken: boolean;
}

/** What `clawchat inspect --json` says of a connection file. */
export interface Promised {
  readonly sequence: number;
  readonly next_rotation: number;
  readonly valid_until: number;
  readonly endpoints: readonly { readonly host: string; readonly port: number; readonly not_after: number }[];
}

/** Connections that a sweep has under way at once. */
const SWEEP_WIDTH = 256;
const LOOK_MS = 5;
const SAMPLE_MS = 15;

let attempts = 0;

/** Connect once, from an address that no other attempt of late has used: a host counts by address. */
export function knock(address: string, port: number): Promise<Attempt> {
  attempts += 1;
  const localAddress = `127.250.${(attempts >> 7) & 255}.${1 + (attempts & 127)}`;
  const began = Date.now();
  return new Promise(resolve => {
    const socket = connect({ host: address, port, localAddress });
    const end = (isTaken: boolean): void => {
      socket.destroy();
      resolve({ port, began, ended: Date.now(), isTaken });
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** Every port of the range that takes a connection. */
export async function sweep(address: string): Promise<readonly number[]> {
  const open: number[] = [];
  for (let first = PORT_MIN; first <= PORT_MAX; first += SWEEP_WIDTH) {
    const width = Math.min(SWEEP_WIDTH, PORT_MAX - first + 1);
    const ports = Array.from({ length: width }, (_, index) => first + index);
    const taken = await Promise.all(ports.map(port => knock(address, port)));
    open.push(...taken.filter(({ isTaken }) => isTaken).map(({ port }) => port));
  }
  return open;
}

/** Reads a store over and over, and knocks at every port that an unexpired file of it lists. */
export class Outsider {
  /** Every file that the store has had, in order. */
  readonly files: Promised[] = [];
  /** Knocks that were refused although a file that had not expired listed the port: there may be none. */
  readonly broken: Attempt[] = [];
  /** The first refusal of each port behind its time. */
  readonly refused: Map<number, Attempt> = new Map();
  samples = 0;
  readonly #address: string;
  readonly #path: string;
  readonly #place: Place;
  readonly #device: string;
  readonly #work: Promise<unknown>;
  #isClosed = false;

  /** `path`: the file in the store; `device`: the data directory that opens it. */
  constructor(place: Place, address: string, path: string, device: string) {
    this.#place = place;
    this.#address = address;
    this.#path = path;
    this.#device = device;
    this.#work = Promise.all([this.#watch(), this.#sample()]);
  }

  /** The newest file that was seen. */
  get newest(): Promised | undefined {
    return this.files.at(-1);
  }

  /** Until when files have promised this port; 0 for never. */
  promisedUntil(port: number): number {
    const all = this.files.flatMap(file => file.endpoints.filter(endpoint => endpoint.port === port));
    return Math.max(0, ...all.map(endpoint => endpoint.not_after));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#work;
  }

  async #watch(): Promise<void> {
    let last: Uint8Array = new Uint8Array();
    while (!this.#isClosed) {
      await sleep(LOOK_MS);
      let bytes: Uint8Array;
      try {
        bytes = readFileSync(this.#path);
      } catch {
        continue;
      }
      if (Buffer.compare(bytes, last) === 0) continue;
      last = bytes;
      const copy = this.#place.path('seen');
      writeFileSync(copy, bytes);
      const text = await this.#place.ok('clawchat', ['inspect', copy, '--json', '--data', this.#device]);
      const file: Promised = JSON.parse(text);
      if (file.sequence !== this.newest?.sequence) this.files.push(file);
    }
  }

  async #sample(): Promise<void> {
    while (!this.#isClosed) {
      await sleep(SAMPLE_MS);
      const ports = new Set(this.files.flatMap(file => file.endpoints.map(({ port }) => port)));
      const wanted = [...ports].filter(port => !this.refused.has(port));
      const found = await Promise.all(wanted.map(port => knock(this.#address, port)));
      for (const attempt of found) {
        this.samples += 1;
        if (attempt.isTaken) continue;
        // One that was under way when the promise ended says nothing.
        if (attempt.ended <= this.promisedUntil(attempt.port)) this.broken.push(attempt);
        else this.refused.set(attempt.port, attempt);
      }
    }
  }
}
