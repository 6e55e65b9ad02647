/** Tells a person who waits what stands between this device and its host. Chapter: spec/07-discovery.md 7.5. */
import { type ControlClientStatus, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import type { OwnerLink } from '../owner-link.ts';
import { standingText } from './client-status.ts';
import { expectAnswer } from './directory.ts';
import { harmlessLine } from './terminal-text.ts';

/** From the beginning, and from one look to the next. A choice of this program. */
const LOOK_MS = 5000;
/** How long the owner may take to say how it stands, for the error that ends a command. */
const LAST_LOOK_MS = 1000;

/** How a wait is told. */
export interface WaitingOptions {
  /** Takes what is to be said: what the matter is, and the lines that belong below it. */
  readonly say: (lines: readonly string[]) => void;
  /** So many looks in a row have to find no connection before it is said; 1 unless given. */
  readonly looks?: () => number;
}

/** Watches a connection while a command waits for it. */
export class Waiting {
  readonly #link: OwnerLink;
  readonly #say: WaitingOptions['say'];
  readonly #looks: () => number;
  readonly #timer: NodeJS.Timeout;
  #said = '';
  #inVain = 0;
  #status: ControlClientStatus | undefined;

  constructor(link: OwnerLink, { say, looks = () => 1 }: WaitingOptions) {
    this.#link = link;
    this.#say = say;
    this.#looks = looks;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Look no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** What the stores mean, as of the last look; empty while the host is connected, or nothing is known. */
  get reason(): string {
    return this.#status === undefined || isConnected(this.#status) ? '' : this.#status.situation;
  }

  /** Where the host was dialled in vain and what came of it, or what else was tried; empty when it is connected. */
  async lastAttempt(): Promise<string> {
    await this.#ask(AbortSignal.timeout(LAST_LOOK_MS));
    return this.#status === undefined ? '' : attemptText(this.#status);
  }

  /** Messages that lie here and wait for the host's word, as of the last look. */
  get unsent(): number {
    return this.#status?.unacknowledged ?? 0;
  }

  async #ask(signal?: AbortSignal): Promise<void> {
    // Who asks for nothing but the status of an owner that goes away learns it from the question that waits.
    const answer = await this.#link.call({ case: 'status', value: {} }, signal).catch(() => undefined);
    if (answer !== undefined) this.#status = expectAnswer(answer, 'clientStatus');
  }

  async #look(): Promise<void> {
    await this.#ask();
    if (this.#status === undefined || isConnected(this.#status)) {
      this.#inVain = 0;
      this.#said = '';
      return;
    }
    this.#inVain += 1;
    // Those who were told what it is need not wait to be sure.
    const isKnown =
      this.#status.stores.length > 0 && this.#status.stores.every(({ standing }) => standing === 'foreign');
    if ((this.#inVain < this.#looks() && !isKnown) || this.reason === '' || this.reason === this.#said)
      return;
    this.#said = this.reason;
    this.#say(waitingLines(this.#status));
  }
}

function isConnected({ link }: ControlClientStatus): boolean {
  return link === ControlLinkState.CONNECTED;
}

function attemptText(status: ControlClientStatus): string {
  return isConnected(status) ? '' : harmlessLine(status.lastErrorDetail);
}

function waitingLines(status: ControlClientStatus): readonly string[] {
  const attempt = attemptText(status);
  return [
    `not connected yet: ${status.situation}`,
    ...(attempt === '' ? [] : [`last attempt: ${attempt}`]),
    ...status.stores.map(store => `looked at ${standingText(store)}`),
  ];
}
