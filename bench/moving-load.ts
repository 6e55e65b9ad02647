/** Sessions of the reference client, each with a numbered message a second, checked by the host's answers (bench/README.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Constants } from '../src/gen/constants.ts';
import { ClientDriver } from '../src/node/client/driver.ts';
import { SILENT_LOG } from '../src/node/log.ts';
import { native } from '../src/node/native.ts';
import { parseEnvelope } from '../src/protocol/envelope.ts';
import { isFault } from '../src/protocol/fault.ts';
import { acceptEnvelope, type Held, trusting } from '../src/protocol/freshness.ts';
import { BENCH_SERVICE, count, EMPTY_TALLY, parseAnswer, type Tally } from '../src/services/bench/answer.ts';
import type { ServiceStream, StreamHandler } from '../src/services/ports.ts';
import { member } from './cast.ts';
import { answer } from './child.ts';
import type { MovingHostPlace } from './moving-host.ts';

/** What came of it. */
export interface MovingLoadReport {
  readonly sent: number;
  readonly answered: number;
  /** Sessions that were put on another path, and how often that happened in all. */
  readonly moved: number;
  readonly moves: number;
  /** When the last session was put on another path for the first time, Unix milliseconds. */
  readonly lastMoveAtMs: number;
  readonly wrong: readonly string[];
  /** Attempts that failed, by reason. */
  readonly troubles: readonly (readonly [string, number])[];
}

const EVERY_MS = 1000;
/** Sessions that are opened a second. */
const OPENED = 50;
const PATIENCE_MS = 60_000;
const MESSAGE_BYTES = 64;

const talkers: Talker[] = [];
let worstMs = 0;
const troubles = new Map<string, number>();

class Talker {
  readonly wrong: string[] = [];
  movedAtMs = 0;
  moves = 0;
  sent = 0;
  answered = 0;
  readonly #driver: ClientDriver;
  /** What is not answered: when it was written, and what the answer has to be. */
  readonly #waiting: { readonly at: number; readonly tally: Tally }[] = [];
  #tally: Tally = EMPTY_TALLY;
  #stream: ServiceStream | undefined;
  #isAttached = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(index: number, held: Held, constants: Constants) {
    const ignore = (): void => {};
    const fails = (what: string) => (): void => void this.wrong.push(`session ${index}: ${what}`);
    this.#driver = new ClientDriver(
      member(index, held),
      BENCH_SERVICE,
      constants,
      {
        persist: () => Promise.resolve(),
        failed: fails('its database fails'),
        chat: stream => this.#serve(stream),
        show: ignore,
        warn: ignore,
        declined: fails('declined'),
        trouble: why => void troubles.set(why.detail, (troubles.get(why.detail) ?? 0) + 1),
        attached: () => {
          if (this.#isAttached) {
            this.moves += 1;
            this.movedAtMs ||= Date.now();
          }
          this.#isAttached = true;
        },
        stopped: fails('stopped'),
      },
      SILENT_LOG,
      {},
    );
    this.#driver.start();
  }

  get isReady(): boolean {
    return this.#isAttached && this.#stream !== undefined;
  }

  get isDone(): boolean {
    return this.#waiting.length === 0;
  }

  talk(): void {
    this.#timer = setInterval(() => this.#write(), EVERY_MS);
  }

  hush(): void {
    clearInterval(this.#timer);
  }

  #write(): void {
    const message = new Uint8Array(MESSAGE_BYTES);
    new DataView(message.buffer).setUint32(0, this.sent);
    this.sent += 1;
    this.#tally = count(native, this.#tally, message);
    this.#waiting.push({ at: performance.now(), tally: this.#tally });
    this.#stream?.send(message);
  }

  #serve(stream: ServiceStream): StreamHandler {
    if (this.#stream !== undefined) this.wrong.push('a session was lost');
    this.#stream = stream;
    return {
      message: bytes => {
        const said = parseAnswer(bytes);
        const due = this.#waiting.shift();
        this.answered += 1;
        const isRight =
          said?.messages === due?.tally.messages &&
          native.equal(said?.digest ?? bytes, due?.tally.digest ?? bytes);
        if (due === undefined || !isRight)
          this.wrong.push(`answer ${this.answered} is not the one that was due`);
        else worstMs = Math.max(worstMs, performance.now() - due.at);
      },
      writable: () => {},
      closed: code => void this.wrong.push(`its stream ended with ${code}`),
    };
  }
}

async function start(
  place: MovingHostPlace & { readonly constants: Constants; readonly sessions: number },
): Promise<void> {
  const { serverId, identity, nextIdentityHash, constants } = place;
  const envelope = parseEnvelope(place.envelope);
  if (isFault(envelope)) throw new Error(envelope.detail);
  const accepted = acceptEnvelope(
    native,
    trusting({ serverId, identity, nextIdentityHash }),
    envelope,
    Date.now(),
  );
  if (accepted.kind !== 'accepted') throw new Error(accepted.kind);
  for (let index = 0; index < place.sessions; index += 1) {
    talkers.push(new Talker(index, accepted.held, constants));
    await sleep(1000 / OPENED);
  }
  await until('every session', () => talkers.every(({ isReady }) => isReady));
  for (const talker of talkers) {
    talker.talk();
    await sleep(EVERY_MS / talkers.length);
  }
}

function sum(of: 'sent' | 'answered' | 'moves'): number {
  return talkers.reduce((all, each) => all + each[of], 0);
}

function moved(): number {
  return talkers.filter(({ moves }) => moves > 0).length;
}

async function finish(): Promise<MovingLoadReport> {
  for (const talker of talkers) talker.hush();
  await until('every answer', () => talkers.every(({ isDone }) => isDone));
  const movedAtMs = talkers.map(({ movedAtMs: at }) => at);
  return {
    sent: sum('sent'),
    answered: sum('answered'),
    moved: moved(),
    moves: sum('moves'),
    lastMoveAtMs: Math.max(...movedAtMs),
    wrong: talkers.flatMap(({ wrong }) => wrong),
    troubles: [...troubles],
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !holds(); await sleep(20)) {
    if (performance.now() > end) throw new Error(`not there: ${what}`);
  }
}

answer({
  start,
  finish,
  moved,
  /** The longest time from a message to its answer since this was asked last. */
  worst: (): number => {
    const worst = worstMs;
    worstMs = 0;
    return worst;
  },
});
