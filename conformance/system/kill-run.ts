/** Kills a host, a writer and a listener at random instants, and compares what each of them has then. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Place, type ProgramFile, type ProgramName, type Running } from './programs.ts';

/** A number between 0 and 1, the same sequence for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A message as it was printed. */
export interface Printed {
  readonly cursor: number;
  readonly text: string;
}

/** Read printed messages. What a killed program left of its last line is no line. */
export function printed(text: string): readonly Printed[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
    .map(line => {
      const { cursor, text: body }: Printed = JSON.parse(line);
      return { cursor, text: body };
    });
}

/** What everybody has at the end. */
export interface Ledgers {
  /** How many messages were written. */
  readonly written: number;
  /** Number and cursor, as the writer was told, by number. */
  readonly writer: readonly Printed[];
  readonly history: readonly Printed[];
  readonly listener: readonly Printed[];
}

/** Say what is wrong: nothing, when each number is there once, in order, under one cursor for all. */
export function compare({ written, writer, history, listener }: Ledgers): readonly string[] {
  const wrong: string[] = [];
  const counts = new Map<string, number>();
  for (const { text } of history) counts.set(text, (counts.get(text) ?? 0) + 1);
  for (let number = 0; number < written; number += 1) {
    const count = counts.get(String(number)) ?? 0;
    if (count === 0) wrong.push(`${number} is missing`);
    if (count > 1) wrong.push(`${number} is doubled`);
    counts.delete(String(number));
  }
  for (const text of counts.keys()) wrong.push(`${text} was never written`);
  if (history.some(({ text }, i) => i > 0 && Number(text) < Number(history[i - 1]?.text))) {
    wrong.push('the history is out of order');
  }
  for (const [name, other] of Object.entries({ writer, listener })) {
    const at = history.findIndex(
      ({ cursor, text }, i) => other[i]?.cursor !== cursor || other[i]?.text !== text,
    );
    if (at >= 0 || other.length !== history.length) {
      const differs = `${JSON.stringify(other[at])} instead of ${JSON.stringify(history[at])}`;
      wrong.push(`the ${name} has ${other.length} messages of ${history.length}, first ${differs}`);
    }
  }
  return wrong;
}

/** How many kills there were of each kind. */
export interface Tally {
  host: number;
  writer: number;
  listener: number;
  /** Of host and writer: while messages flowed and at least one was not answered. */
  unacknowledged: number;
  /** Of host and writer: while one of the two had not come up yet. */
  starting: number;
}

/** What a run works with. */
export interface KillOptions {
  readonly host: ProgramName | ProgramFile;
  readonly writer: ProgramFile;
  readonly random: () => number;
}

/** Messages that are under way at once. */
const UNDER_WAY = 32;
/** A client waits up to 60 s between two attempts, and may have failed more than once while its host was down. */
const RECOVERY_MS = 200_000;

/** One host, one writer and one listener that are killed over and over. */
export class KillRun {
  readonly tally: Tally = { host: 0, writer: 0, listener: 0, unacknowledged: 0, starting: 0 };
  readonly #place: Place = new Place();
  readonly #options: KillOptions;
  #host: Running | undefined;
  #writer: Running | undefined;
  #listener: Running | undefined;
  /** What the listeners before the present one have printed. */
  #heard: Printed[] = [];

  constructor(options: KillOptions) {
    this.#options = options;
  }

  /** Begin: a host, two devices, and messages that flow. */
  async start(): Promise<void> {
    await this.#startHost();
    await this.#place.join(this.#data('A'), this.#data('W'), 'writer');
    await this.#place.join(this.#data('A'), this.#data('L'), 'listener');
    this.#startListener();
    this.#startWriter();
  }

  /** Kill the host or the writer once, and start it again; sometimes the listener as well. */
  async kill(): Promise<void> {
    const { random } = this.#options;
    if (random() < 0.2) await this.#killListener();
    // Each seventh comes before anything flows again.
    const isStarting = (this.tally.host + this.tally.writer) % 7 === 6;
    if (isStarting) {
      await sleep(random() * 400);
    } else {
      await this.#flowing();
      await sleep(random() * 60);
    }
    const victim = random() < 0.5 ? 'host' : 'writer';
    this.tally[victim] += 1;
    this.tally.starting += isStarting ? 1 : 0;
    this.tally.unacknowledged += !isStarting && this.#unanswered > 0 ? 1 : 0;
    if (victim === 'host') {
      await this.#host?.stop('SIGKILL');
      this.#host = this.#place.start(this.#options.host, this.#hostArguments);
    } else {
      await this.#writer?.stop('SIGKILL');
      this.#startWriter();
    }
  }

  /** Tell whether the listener has been given a number twice. */
  get isDoubled(): boolean {
    const heard = [...this.#heard, ...this.#printedNow()];
    return new Set(heard.map(({ text }) => text)).size < heard.length;
  }

  /** Let the writer finish, and read what everybody has. */
  async finish(): Promise<Ledgers> {
    const writer = this.#writer;
    if (writer === undefined) throw new Error('not started');
    await this.#flowing();
    writer.child.stdin?.end();
    const last = await writer.line(line => line.startsWith('finished '), RECOVERY_MS);
    const written = Number(last.slice('finished '.length));
    await writer.ended;
    // The history is what counts; the listener has it when it has the last of it.
    await this.#place.join(this.#data('A'), this.#data('R'), 'reader');
    const history = printed(
      await this.#place.ok('clawchat', ['history', '--json', '--data', this.#data('R')]),
    );
    const newest = history.at(-1)?.cursor;
    await this.#listener?.line(line => line.startsWith(`{"cursor":${newest},`), RECOVERY_MS);
    await this.#listener?.stop();
    const ledger = readFileSync(this.#place.path('ledger'), 'utf8').split('\n').slice(0, -1);
    return {
      written,
      writer: ledger
        .map(line => {
          const [text = '', cursor] = line.split(' ');
          return { text, cursor: Number(cursor) };
        })
        .sort((a, b) => Number(a.text) - Number(b.text)),
      history,
      listener: [...this.#heard, ...this.#printedNow()],
    };
  }

  /** What the present programs have logged, for whoever wants to know what went wrong. */
  get logs(): string {
    const of = (running: Running | undefined): string => running?.stderr().slice(-4000) ?? '';
    return `host:\n${of(this.#host)}\nwriter:\n${of(this.#writer)}\nlistener:\n${of(this.#listener)}`;
  }

  /** Kill everything and leave nothing behind. */
  clean(): Promise<void> {
    return this.#place.clean();
  }

  #data(name: string): string {
    return this.#place.path(name);
  }

  get #hostArguments(): readonly string[] {
    return ['--data', this.#data('A'), '--listen', '127.0.0.1'];
  }

  async #startHost(): Promise<void> {
    this.#host = await this.#place.host(this.#data('A'), [], this.#options.host);
  }

  #startWriter(): void {
    const args = [this.#data('W'), this.#place.path('ledger'), String(UNDER_WAY)];
    this.#writer = this.#place.start(this.#options.writer, args, 'pipe');
  }

  #startListener(): void {
    const from = String(this.#heard.at(-1)?.cursor ?? 0);
    this.#listener = this.#place.start('clawchat', [
      'listen',
      '--json',
      '--from',
      from,
      '--data',
      this.#data('L'),
    ]);
  }

  async #killListener(): Promise<void> {
    this.tally.listener += 1;
    const ended = await this.#listener?.stop('SIGKILL');
    this.#heard.push(...printed(ended?.stdout ?? ''));
    this.#startListener();
  }

  #printedNow(): readonly Printed[] {
    const lines = this.#listener?.lines ?? [];
    return printed(lines.map(line => `${line}\n`).join(''));
  }

  get #unanswered(): number {
    const lines = this.#writer?.lines ?? [];
    const started = lines.filter(line => line.startsWith('started ')).length;
    return started - lines.filter(line => line.startsWith('done ')).length;
  }

  /** Wait until the host answers the writer, with both as they are now. */
  async #flowing(): Promise<void> {
    await this.#host?.line(line => line.includes(' is ready'));
    const done = this.#writer?.lines.findLast(line => line.startsWith('done ')) ?? 'done -1';
    const before = numberOf(done);
    await this.#writer?.line(line => line.startsWith('done ') && numberOf(line) > before, RECOVERY_MS);
  }
}

function numberOf(line: string): number {
  return Number(line.slice(line.indexOf(' ') + 1));
}
