/** What a client hears and says beside messages: marks, typing, presence (spec/11-chat.md, 11.8). */
import { isFault } from '../../wire/fault.ts';
import type { ClientLink } from './client-link.ts';
import type { Questions } from './questions.ts';
import type { ChatEvent } from './reply.ts';

/** How far this person has come in a room. */
export interface ReadMark {
  readonly room: string;
  readonly delivered: number;
  readonly read: number;
  /** Nobody but this person's own devices is told. */
  readonly hidden: boolean;
}

/** Who hears of events. Any of them may be missing: they are never stored. */
export interface EventSink {
  /** A stream was opened, or is over. */
  changed(): void;
  /** A stream is open; who is here is told anew. `personId` is 16 bytes. */
  welcome(personId: Uint8Array): void;
  event(event: ChatEvent): void;
}

/** The events of a client's streams. Nothing is asked of the host while nobody listens. */
export class ClientEvents {
  readonly #questions: Questions;
  readonly #sinks = new Set<EventSink>();
  /** The last word on each room, for the host that has not heard it. */
  readonly #marks = new Map<string, ReadMark>();
  #link: ClientLink | undefined;
  #asked = false;
  #personId: Uint8Array | undefined;

  constructor(questions: Questions) {
    this.#questions = questions;
  }

  /** Tell a sink from now on; gives what ends that. */
  listen(sink: EventSink): () => void {
    this.#sinks.add(sink);
    if (this.#personId !== undefined) sink.welcome(this.#personId);
    this.#hello();
    return () => {
      this.#sinks.delete(sink);
    };
  }

  /** There is a stream to the host. */
  attach(link: ClientLink): void {
    this.#link = link;
    for (const sink of this.#sinks) sink.changed();
    this.#hello();
  }

  /** There is none any more. */
  detach(): void {
    this.#link = undefined;
    this.#asked = false;
    this.#personId = undefined;
    for (const sink of this.#sinks) sink.changed();
  }

  /** Something came from the host. */
  take(event: ChatEvent): void {
    for (const sink of this.#sinks) sink.event(event);
  }

  /** Marks only grow, so the last one says all. @impl CH-045~2 */
  mark(mark: ReadMark): void {
    const before = this.#marks.get(mark.room);
    const read = Math.max(mark.read, before?.read ?? 0);
    const delivered = Math.max(mark.delivered, before?.delivered ?? 0, read);
    const next = { ...mark, read, delivered };
    this.#marks.set(mark.room, next);
    if (this.#personId !== undefined) this.#link?.request({ kind: 'mark', ...next });
  }

  /** @impl CH-046~2 */
  typing(room: string): void {
    if (this.#personId !== undefined && this.#link?.hasRoom()) this.#link.request({ kind: 'typing', room });
  }

  /** Say hello once on each stream, before anything that an older host would not know. @impl CH-039~1 */
  #hello(): void {
    if (this.#link === undefined || this.#asked || this.#sinks.size === 0) return;
    this.#asked = true;
    this.#questions.ask({ kind: 'hello', events: true }, answer => {
      if (isFault(answer) || answer.kind === 'refusal') return;
      this.#personId = answer.personId;
      for (const sink of this.#sinks) sink.welcome(answer.personId);
      for (const mark of this.#marks.values()) this.#link?.request({ kind: 'mark', ...mark });
    });
  }
}
