/** Tells a person who waits what stands between this device and its host. Chapter: spec/07-discovery.md 7.5. */
import { type ControlClientStatus, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import type { OwnerLink } from '../owner.ts';
import { standingText } from './client-status.ts';
import { expectAnswer } from './directory.ts';

/** From the beginning, and from one look to the next. A choice of this program. */
const LOOK_MS = 5000;

/** Watches a connection while a command waits for it. */
export class Waiting {
  readonly #link: OwnerLink;
  readonly #json: boolean;
  readonly #timer: NodeJS.Timeout;
  #said = '';
  /** What was said last, for the error that ends the waiting; empty for nothing. */
  reason = '';

  constructor(link: OwnerLink, json: boolean) {
    this.#link = link;
    this.#json = json;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Who asks for nothing but the status of an owner that goes away learns it from the question that waits. */
  async #look(): Promise<void> {
    const answer = await this.#link.call({ case: 'status', value: {} }).catch(() => undefined);
    if (answer === undefined) return;
    const status = expectAnswer(answer, 'clientStatus');
    this.reason = status.link === ControlLinkState.CONNECTED ? '' : status.situation;
    // Programs ask `status`; what they read here is the command's own.
    if (this.#json || this.reason === '' || this.reason === this.#said) return;
    this.#said = this.reason;
    process.stderr.write(waitingText(status));
  }
}

function waitingText({ situation, stores }: ControlClientStatus): string {
  const looked = stores.map(store => `  looked at ${standingText(store)}\n`);
  return `clawchat: not connected yet: ${situation}\n${looked.join('')}`;
}
