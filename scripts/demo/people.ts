/** People of the demonstration: each is a real `clawchat listen` and a real `clawchat send` on a directory of their own. */
import { createInterface } from 'node:readline';
import type { Place, Running } from '../../conformance/system/programs.ts';

/** One message as somebody's program printed it. */
export interface Heard {
  readonly by: string;
  readonly name: string;
  readonly text: string;
}

/** A person. */
export class Person {
  readonly name: string;
  readonly heard: Heard[] = [];
  readonly #listen: Running;
  readonly #send: Running;
  #written = 0;

  /** The directory of `name` in `place` has joined. `hears` is called for each message. */
  constructor(place: Place, name: string, hears: (heard: Heard) => void) {
    this.name = name;
    const data = ['--data', place.path(name)];
    this.#listen = place.start('clawchat', ['listen', '--json', '--from', '0', ...data]);
    this.#send = place.start('clawchat', ['send', '-', '--json', '--timeout', '2m', ...data], 'pipe');
    if (this.#listen.child.stdout === null) throw new Error('no standard output');
    createInterface({ input: this.#listen.child.stdout }).on('line', line => {
      const { name: from, text }: { name: string; text: string } = JSON.parse(line);
      const heard = { by: this.name, name: from, text };
      this.heard.push(heard);
      hears(heard);
    });
  }

  /** Say something; the program answers when the host has stored it. */
  async say(text: string): Promise<void> {
    this.#written += 1;
    const number = this.#written;
    this.#send.child.stdin?.write(`${JSON.stringify({ text })}\n`);
    await this.#send.line(() => this.#send.lines.length >= number);
  }

  async leave(): Promise<void> {
    this.#send.child.stdin?.end();
    await this.#send.ended;
    await this.#listen.stop();
  }
}
