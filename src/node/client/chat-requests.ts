/** Answers what a chat asks of a client's owner beside sending and listening. Chapter: spec/12-control.md. */
import type { ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, type Fault, isFault } from '../../protocol/fault.ts';
import type { Asked, ChatClient } from '../../services/chat/client.ts';
import type { ChatEvent } from '../../services/chat/reply.ts';
import type { RequestBody, ResponseInit } from '../control.ts';
import { failure } from '../failure.ts';
import { controlItem, fitting } from './listen-queue.ts';

/** What is asked of the owner around it. */
export interface ChatRequestsPort {
  wait<T>(work: Promise<T>, signal: AbortSignal, cancel: () => void): Promise<T>;
  link(): ControlLinkState;
  deviceId(): Uint8Array;
}

type Body<C extends RequestBody['case']> = Extract<RequestBody, { case: C }>;
type Asking = Body<'rooms' | 'people' | 'mark' | 'typing' | 'deviceInvite'>;
type EventBody = NonNullable<Extract<ResponseInit, { case: 'event' }>['value']['body']>;

/** How often the state of the connection is looked at. */
const LINK_MS = 200;
/** Events that may wait for a slow reader; then the oldest go. */
const EVENTS_MAX = 1024;

/** The chat's part of a client's owner. */
export class ChatRequests {
  readonly #chat: ChatClient;
  readonly #port: ChatRequestsPort;

  constructor(chat: ChatClient, port: ChatRequestsPort) {
    this.#chat = chat;
    this.#port = port;
  }

  /** Answer a request of the control socket: once, unless `signal` ends it before. */
  answer(request: Asking, signal: AbortSignal): Promise<ResponseInit> {
    switch (request.case) {
      case 'rooms':
        return this.#rooms(signal);
      case 'people':
        return this.#people(request.value.room, signal);
      case 'mark': {
        const { room, hidden, delivered, read } = request.value;
        this.#chat.mark({ room, hidden, delivered: Number(delivered), read: Number(read) });
        return Promise.resolve({ case: 'done', value: {} });
      }
      case 'typing':
        this.#chat.typing(request.value.room);
        return Promise.resolve({ case: 'done', value: {} });
      case 'deviceInvite':
        return this.#deviceInvite(request.value.name, signal);
    }
  }

  /** Read messages below a cursor, or search them. */
  async backwards(value: Body<'history'>['value'], signal: AbortSignal): Promise<ResponseInit> {
    const { room, search } = value;
    const limit = value.limit === 0 ? 256 : value.limit;
    const page = await this.#ask(
      this.#chat.backwards({ beforeCursor: Number(value.beforeCursor), limit, room, search }),
      signal,
    );
    // The newest that fit: the next page begins below them.
    const newestFirst = page.items.toReversed();
    const items = newestFirst.slice(0, fitting(newestFirst)).reverse();
    const cut = items.length < page.items.length;
    const fromCursor = cut ? (items[0]?.cursor ?? page.fromCursor) : page.fromCursor;
    return {
      case: 'history',
      value: { items: items.map(controlItem), more: page.more || cut, fromCursor: BigInt(fromCursor) },
    };
  }

  async #rooms(signal: AbortSignal): Promise<ResponseInit> {
    const { rooms } = await this.#ask(this.#chat.rooms(), signal);
    return {
      case: 'rooms',
      value: {
        rooms: rooms.map(({ keepMs, lastCursor, readCursor, ...room }) => ({
          ...room,
          keepMs: BigInt(keepMs),
          lastCursor: BigInt(lastCursor),
          readCursor: BigInt(readCursor),
        })),
      },
    };
  }

  async #people(room: string, signal: AbortSignal): Promise<ResponseInit> {
    const { people } = await this.#ask(this.#chat.people(room), signal);
    return {
      case: 'people',
      value: {
        people: people.map(({ delivered, read, ...person }) => ({
          ...person,
          delivered: BigInt(delivered),
          read: BigInt(read),
        })),
      },
    };
  }

  async #deviceInvite(name: string, signal: AbortSignal): Promise<ResponseInit> {
    const { invite, expiresAtMs } = await this.#ask(this.#chat.deviceInvite(name), signal);
    return { case: 'deviceInvite', value: { invite, expiresAtMs: BigInt(expiresAtMs) } };
  }

  async #ask<T>(asked: Asked<T>, signal: AbortSignal): Promise<Exclude<T, Fault>> {
    const answer = await this.#port.wait(asked.answer, signal, () => asked.cancel());
    if (isFaultOf(answer)) throw new ClawChatError(answer);
    return answer as Exclude<T, Fault>;
  }

  /** What happens beside messages, until `signal` ends it. */
  async *events(signal: AbortSignal): AsyncGenerator<ResponseInit> {
    const waiting: EventBody[] = [];
    let wake = (): void => {};
    const push = (body: EventBody): void => {
      waiting.push(body);
      if (waiting.length > EVENTS_MAX) waiting.shift();
      wake();
    };
    let link: ControlLinkState | undefined;
    const look = (): void => {
      const now = this.#port.link();
      if (now === link) return;
      link = now;
      push({ case: 'link', value: now });
    };
    look();
    const timer = setInterval(look, LINK_MS);
    const stop = this.#chat.events({
      changed: look,
      welcome: personId => push({ case: 'here', value: { personId, deviceId: this.#port.deviceId() } }),
      event: event => push(eventBody(event)),
    });
    const aborted = (): void => wake();
    signal.addEventListener('abort', aborted, { once: true });
    try {
      while (!signal.aborted) {
        const body = waiting.shift();
        if (body !== undefined) yield { case: 'event', value: { body } };
        else {
          await new Promise<void>(resolve => {
            wake = resolve;
          });
        }
      }
      throw failure(ErrorCode.CANCELLED, 'given up');
    } finally {
      signal.removeEventListener('abort', aborted);
      clearInterval(timer);
      stop();
    }
  }
}

function isFaultOf(value: unknown): value is Fault {
  return isFault(value);
}

function eventBody(event: ChatEvent): EventBody {
  switch (event.kind) {
    case 'mark': {
      const { personId, room, delivered, read } = event.mark;
      return {
        case: 'mark',
        value: { personId, room, delivered: BigInt(delivered), read: BigInt(read) },
      };
    }
    case 'typing': {
      const { personId, name, room } = event;
      return { case: 'typing', value: { personId, name, room } };
    }
    case 'presence': {
      const { personId, name, online } = event;
      return { case: 'presence', value: { personId, name, online } };
    }
    case 'roomGap': {
      const { afterCursor, firstCursor, room } = event.gap;
      return {
        case: 'roomGap',
        value: { afterCursor: BigInt(afterCursor), firstCursor: BigInt(firstCursor), room },
      };
    }
  }
}
