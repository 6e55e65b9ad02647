/** Members who talk while others attack, and what each of them has at the end. */
import { type Client, connect } from '../../src/index.ts';

/** How long one message took from its sender until all others had it, and when it was sent (monotonic). */
export interface Taken {
  readonly sentAt: number;
  readonly ms: number;
}

const NAMES = ['ann', 'bob', 'cleo'];

interface Member {
  readonly name: string;
  readonly client: Client;
  readonly heard: { readonly cursor: number; readonly text: string }[];
  sent: number;
}

/** A few of them. */
export class Members {
  readonly taken: Taken[] = [];
  readonly #members: readonly Member[];
  readonly #sentAt = new Map<string, number>();
  readonly #seen = new Map<string, number>();
  readonly #sends: Promise<unknown>[] = [];
  readonly #over = new AbortController();
  readonly #listening: Promise<void>[];
  #timer: NodeJS.Timeout | undefined;

  /** Join all of them; `invite` makes an invite's text. */
  static async join(invite: () => Promise<string>): Promise<Members> {
    const members: Member[] = [];
    for (const name of NAMES) {
      members.push({ name, client: await connect({ invite: await invite(), name }), heard: [], sent: 0 });
    }
    return new Members(members);
  }

  private constructor(members: readonly Member[]) {
    this.#members = members;
    this.#listening = members.map(member => this.#listen(member));
  }

  /** Write one message each in this interval, until `stop`. */
  start(everyMs: number): void {
    this.#timer = setInterval(() => {
      for (const member of this.#members) this.#send(member);
    }, everyMs);
  }

  /** Stop writing, let everything arrive, and say what is wrong with what everybody has: nothing, hopefully. */
  async stop(): Promise<readonly string[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#sends);
    const total = this.#members.reduce((sum, { sent }) => sum + sent, 0);
    while (this.#members.some(({ heard }) => heard.length < total)) {
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    this.#over.abort();
    await Promise.all(this.#listening);
    await Promise.all(this.#members.map(({ client }) => client.close()));
    const wrong: string[] = [];
    const [first] = this.#members;
    for (const { name, heard } of this.#members) {
      if (JSON.stringify(heard) !== JSON.stringify(first?.heard)) wrong.push(`${name} has other messages`);
      for (const { name: by, sent } of this.#members) {
        const numbers = heard.flatMap(({ text }) =>
          text.startsWith(`${by} `) ? [Number(text.slice(by.length + 1))] : [],
        );
        const isRight = numbers.length === sent && numbers.every((number, index) => number === index);
        if (!isRight) wrong.push(`${name} has ${numbers.length} messages of ${by}, who sent ${sent}`);
      }
    }
    return wrong;
  }

  /** Messages so far. */
  get sent(): number {
    return this.#sends.length;
  }

  #send(member: Member): void {
    const text = `${member.name} ${member.sent}`;
    member.sent += 1;
    this.#sentAt.set(text, performance.now());
    this.#sends.push(member.client.send(text));
  }

  async #listen(member: Member): Promise<void> {
    try {
      for await (const { cursor, text } of member.client.listen({ after: 0, signal: this.#over.signal })) {
        if (!this.#sentAt.has(text)) continue;
        member.heard.push({ cursor, text });
        const seen = (this.#seen.get(text) ?? 0) + 1;
        this.#seen.set(text, seen);
        if (seen < this.#members.length) continue;
        const sentAt = this.#sentAt.get(text) ?? 0;
        this.taken.push({ sentAt, ms: performance.now() - sentAt });
      }
    } catch (error) {
      if (!this.#over.signal.aborted) throw error;
    }
  }
}
