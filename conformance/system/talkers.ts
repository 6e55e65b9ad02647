/** People who send numbered messages and listen, while something happens to their host; and what each of them has at the end. */
import { createInterface } from 'node:readline';
import { type Logged, logged } from './host-log.ts';
import type { Place, Running } from './programs.ts';

/** A message as it was printed. */
interface Printed {
  readonly cursor: number;
  readonly text: string;
}

/** When a message went into `send`, and when each `listen` printed it: Unix milliseconds. */
export interface Delivery {
  readonly writtenAt: number;
  readonly seenAt: readonly number[];
}

/** How long anything may take that ends with every client back: its waits between attempts reach 60 s. */
const RECOVERY_MS = 200_000;

/** One device: a `listen` that owns its directory, and a `send -` beside it. */
class Talker {
  readonly name: string;
  readonly listen: Running;
  readonly send: Running;
  /** When each of its messages was written. */
  readonly writtenAt: number[] = [];
  /** When it printed each message, by text. */
  readonly seenAt = new Map<string, number>();
  isDoubled = false;

  constructor(place: Place, name: string, args: readonly string[]) {
    this.name = name;
    const data = ['--data', place.path(name), ...args];
    this.listen = place.start('clawchat', [
      'listen',
      '--json',
      '--from',
      '0',
      '--log-level',
      'info',
      ...data,
    ]);
    this.send = place.start('clawchat', ['send', '-', '--json', '--timeout', '24h', ...data], 'pipe');
    if (this.listen.child.stdout === null) throw new Error('no standard output');
    createInterface({ input: this.listen.child.stdout }).on('line', line => {
      const { text } = parse(line);
      this.isDoubled ||= this.seenAt.has(text);
      this.seenAt.set(text, Date.now());
    });
  }

  write(): void {
    const number = this.writtenAt.length;
    const message = { text: `${this.name} ${number}`, id: messageId(this.name, number) };
    this.writtenAt.push(Date.now());
    this.send.child.stdin?.write(`${JSON.stringify(message)}\n`);
  }
}

/** What there is at the end. */
export interface Outcome {
  /** What is wrong with the ledgers: nothing, when each number is there once, in order, under one cursor for all. */
  readonly wrong: readonly string[];
  readonly messages: number;
  readonly sessionsLost: number;
}

/** All of them. */
export class Talkers {
  readonly #place: Place;
  readonly #talkers: readonly Talker[];
  #timer: NodeJS.Timeout | undefined;

  /** Join `names` to the host in `host`, and start them. `args` go to every program of theirs. */
  static async join(
    place: Place,
    host: string,
    names: readonly string[],
    args: readonly string[] = [],
  ): Promise<Talkers> {
    for (const name of names) await place.join(host, place.path(name), name);
    return new Talkers(
      place,
      names.map(name => new Talker(place, name, args)),
    );
  }

  private constructor(place: Place, talkers: readonly Talker[]) {
    this.#place = place;
    this.#talkers = talkers;
  }

  /** Each writes a message now and each `everyMs` from now on. */
  start(everyMs: number): void {
    this.writeOnce();
    this.#timer = setInterval(() => this.writeOnce(), everyMs);
  }

  writeOnce(): void {
    for (const talker of this.#talkers) talker.write();
  }

  /** Resolves when everybody has printed a message of everybody's that is written from here on. */
  async flow(): Promise<void> {
    this.writeOnce();
    const wanted = this.#talkers.map(({ name, writtenAt }) => `${name} ${writtenAt.length - 1}`);
    await Promise.all(
      this.#talkers.flatMap(({ listen }) =>
        wanted.map(text => listen.line(line => parse(line).text === text, RECOVERY_MS)),
      ),
    );
  }

  /** How many messages were written. */
  get written(): number {
    return this.#talkers.reduce((sum, { writtenAt }) => sum + writtenAt.length, 0);
  }

  /** Every message that everybody has printed. */
  get deliveries(): readonly Delivery[] {
    return this.#talkers.flatMap(({ name, writtenAt }) =>
      writtenAt.flatMap((at, number) => {
        const seenAt = this.#talkers.flatMap(other => other.seenAt.get(`${name} ${number}`) ?? []);
        return seenAt.length === this.#talkers.length ? [{ writtenAt: at, seenAt }] : [];
      }),
    );
  }

  /** What the `listen`s, which own the directories, have logged under this name so far. */
  logged(event: string): readonly (Logged & { readonly name: string })[] {
    return this.#talkers.flatMap(({ name, listen }) =>
      logged(listen, event).map(entry => ({ name, ...entry })),
    );
  }

  /** Let everybody finish, and say what they have. */
  async finish(host: string): Promise<Outcome> {
    clearInterval(this.#timer);
    await this.flow();
    for (const { send } of this.#talkers) send.child.stdin?.end();
    const ends = await Promise.all(this.#talkers.map(({ send }) => send.ended));
    const wrong: string[] = [];
    for (const [index, { code, stderr }] of ends.entries()) {
      if (code !== 0) wrong.push(`send of ${this.#talkers[index]?.name} ended with ${code}: ${stderr}`);
    }
    const reader = this.#place.path('reader');
    await this.#place.join(host, reader, 'reader');
    const history = (await this.#place.ok('clawchat', ['history', '--json', '--data', reader])).trim();
    const ledger = history.split('\n').map(parse);
    wrong.push(...this.#compareHistory(ledger));
    const last = `"cursor":${ledger.at(-1)?.cursor},`;
    for (const { name, listen, isDoubled } of this.#talkers) {
      await listen.line(line => line.includes(last), RECOVERY_MS);
      const heard = listen.lines.map(parse);
      const at = ledger.findIndex(
        ({ cursor, text }, i) => heard[i]?.cursor !== cursor || heard[i]?.text !== text,
      );
      if (at >= 0 || heard.length !== ledger.length)
        wrong.push(
          `${name} heard ${heard.length} of ${ledger.length}, first ${JSON.stringify(heard[at])} for ${JSON.stringify(ledger[at])}`,
        );
      if (isDoubled) wrong.push(`${name} heard something twice`);
    }
    const sessionsLost = this.logged('session-lost').length;
    for (const { listen } of this.#talkers) await listen.stop();
    return { wrong, messages: ledger.length, sessionsLost };
  }

  /** Each number of each sender once and in order, under the cursor that the sender was told. */
  #compareHistory(ledger: readonly Printed[]): readonly string[] {
    const wrong: string[] = [];
    const cursors = new Map<string, number>();
    for (const { name, writtenAt, send } of this.#talkers) {
      const own = ledger.filter(({ text }) => text.startsWith(`${name} `));
      const numbers = own.map(({ text }) => Number(text.slice(name.length + 1)));
      const at = numbers.findIndex((number, index) => number !== index);
      if (at >= 0) wrong.push(`history: ${name} ${numbers[at]} stands where ${at} was due`);
      if (own.length !== writtenAt.length)
        wrong.push(`history: ${own.length} messages of ${name}, who wrote ${writtenAt.length}`);
      for (const [index, { cursor }] of own.entries()) cursors.set(messageId(name, index), cursor);
      for (const line of send.lines) {
        const { id, cursor }: { id: string; cursor: number } = JSON.parse(line);
        if (cursors.get(id) !== cursor) wrong.push(`${name}: ${id} was answered with cursor ${cursor}`);
      }
      if (send.lines.length !== writtenAt.length)
        wrong.push(`${send.lines.length} answers to ${writtenAt.length} messages of ${name}`);
    }
    const written = this.#talkers.reduce((sum, { writtenAt }) => sum + writtenAt.length, 0);
    if (ledger.length !== written) wrong.push(`history: ${ledger.length} messages, ${written} were written`);
    return wrong;
  }
}

function messageId(name: string, number: number): string {
  return Buffer.from(name.padEnd(12)).toString('hex').slice(0, 24) + number.toString(16).padStart(8, '0');
}

function parse(line: string): Printed {
  const { cursor, text }: Printed = JSON.parse(line);
  return { cursor, text };
}

/** The worst and the median of some delays, for printing. */
export function summary(delays: readonly number[]): string {
  const sorted = [...delays].sort((a, b) => a - b);
  const at = (part: number): string =>
    (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `worst ${at(1)} ms, 99 % within ${at(0.99)} ms, half within ${at(0.5)} ms, of ${sorted.length}`;
}
