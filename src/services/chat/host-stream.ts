/** One device's chat stream at the host: requests in order, answers, pushes (spec/11-chat.md, 11.1). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { SESSION_CREDIT_BYTES } from '../../gen/constants.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import { isFault } from '../../wire/fault.ts';
import type { ServiceStream, StreamHandler } from '../ports.ts';
import { isCode } from './content.ts';
import type { ChatHost } from './host.ts';
import { HostPosting } from './host-posting.ts';
import type { Sender } from './message-log.ts';
import type { Guest } from './people.ts';
import { encodePage, encodeReply, encodeRoomGap } from './reply-writing.ts';
import { parseRequest, type RequestBody } from './request.ts';
import { type PushPort, Subscriber } from './subscriber.ts';

type Body<K extends RequestBody['kind']> = Extract<RequestBody, { readonly kind: K }>;

/** Between two words that somebody is writing, of one stream. */
const TYPING_MS_MIN = 1_000;
/** Words that wait for a full stream; beyond that the oldest go. Any of them may be missing (CH-046~2). */
const EVENTS_MAX = 4_096;

/** The handler of one stream. Requests are taken one behind the other; only posts share a turn. */
export class HostStream implements StreamHandler, Guest {
  readonly device: string;
  readonly person: string;
  readonly #host: ChatHost;
  readonly #stream: ServiceStream;
  readonly #sender: Sender;
  readonly #over: () => void;
  readonly #posting: HostPosting;
  #queue: { readonly message: Uint8Array; readonly wallMs: number }[] = [];
  #queuedBytes = 0;
  #busy = false;
  #full = false;
  #paused = false;
  #closed = false;
  #subscriber: Subscriber | undefined;
  /** What waits for room, by what it is about: a later word takes the place of an earlier one. */
  readonly #events = new Map<string, Uint8Array>();
  #typedAtMs = 0;
  /** It said hello with `events`. */
  #hears = false;
  /** The cursor of its Subscribe; undefined without one, or for one from now on. */
  #since: number | undefined;

  constructor(host: ChatHost, stream: ServiceStream, sender: Sender, over: () => void) {
    this.device = hex(sender.deviceId);
    this.person = hex(sender.personId ?? sender.deviceId);
    this.#host = host;
    this.#stream = stream;
    this.#sender = sender;
    this.#over = over;
    this.#posting = new HostPosting(host, sender, {
      send: message => this.#send(message),
      refuse: (requestId, code) => this.#refuse(requestId, code),
      wait: work => this.#wait(work),
      pump: () => this.#pump(),
    });
  }

  get deviceName(): string {
    return this.#sender.name;
  }

  /** The name that this person goes by now. */
  get name(): string {
    return this.#host.people.nameOf(this.person, this.#sender.name);
  }

  message(message: Uint8Array, wallMs: number): void {
    if (this.#closed) return;
    this.#queue.push({ message, wallMs });
    this.#queuedBytes += message.length;
    // Credit bounds what can come while the stream is paused; a peer beyond it is no peer of this protocol.
    if (this.#queuedBytes > SESSION_CREDIT_BYTES) this.abort(ErrorCode.CREDIT_EXCEEDED);
    else this.#pump();
  }

  writable(): void {
    this.#full = false;
    this.#pump();
    this.#subscriber?.writable();
    for (const [key, message] of this.#events) {
      if (this.#full) return;
      this.#events.delete(key);
      this.#send(message);
    }
  }

  tell(key: string, message: Uint8Array): void {
    if (!this.#full) this.#send(message);
    else if (!this.#closed) {
      this.#events.delete(key);
      this.#events.set(key, message);
      const [oldest] = this.#events.keys();
      if (oldest !== undefined && this.#events.size > EVENTS_MAX) this.#events.delete(oldest);
    }
  }

  whisper(message: Uint8Array): void {
    if (!this.#full) this.#send(message);
  }

  closed(_code: ErrorCode): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#subscriber?.stop();
    this.#events.clear();
    this.#host.people.leave(this);
    this.#posting.end();
    this.#over();
  }

  /** End the stream from this side. */
  abort(code: ErrorCode): void {
    if (this.#closed) return;
    this.closed(code);
    this.#stream.close(code);
  }

  /** Take requests while there is room for what they cause. @impl CH-004~1 */
  #pump(): void {
    while (!this.#closed && !this.#held()) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#queuedBytes -= next.message.length;
      this.#take(next.message, next.wallMs);
    }
    if (this.#closed || this.#held() === this.#paused) return;
    this.#paused = !this.#paused;
    if (this.#paused) this.#stream.pause();
    else this.#stream.resume();
  }

  #held(): boolean {
    return this.#busy || this.#full || this.#posting.isFull;
  }

  #take(message: Uint8Array, wallMs: number): void {
    const request = parseRequest(message);
    if (isFault(request)) this.abort(request.code);
    else if (request.kind === 'valid') this.#answer(request.requestId, request.body, wallMs);
    else this.#refuse(request.requestId, ErrorCode.MESSAGE_MALFORMED);
  }

  #answer(requestId: number, body: RequestBody, wallMs: number): void {
    switch (body.kind) {
      case 'outboxOpen':
        this.#wait(this.#posting.open(requestId, body));
        break;
      case 'outboxCompare':
        this.#wait(this.#posting.compare(requestId, body));
        break;
      case 'outboxReplace':
        this.#posting.replace(requestId, body);
        break;
      case 'post':
        this.#posting.post(requestId, body, wallMs);
        break;
      case 'subscribe':
        this.#subscribe(body);
        break;
      case 'history':
        this.#wait(this.#history(requestId, body));
        break;
      case 'backwards':
        this.#wait(this.#backwards(requestId, body));
        break;
      case 'rooms':
        // Nothing is shown that is not durable yet.
        this.#wait(this.#host.durable().then(() => this.#rooms(requestId)));
        break;
      case 'hello':
        this.#hello(requestId, body.events);
        break;
      case 'mark':
        // One at a time: a mark is a write, as a post is.
        this.#wait(this.#host.telling.mark(this.person, body));
        break;
      case 'typing':
        if (wallMs < this.#typedAtMs + TYPING_MS_MIN && wallMs >= this.#typedAtMs) break;
        this.#typedAtMs = wallMs;
        this.#host.telling.typing(this.person, this.name, body.room);
        break;
      case 'people':
        this.#wait(this.#host.durable().then(() => this.#people(requestId, body.room)));
        break;
      case 'deviceInvite':
        this.#wait(this.#deviceInvite(requestId, body.name));
    }
  }

  #rooms(requestId: number): void {
    const rooms = this.#host.rooms.views(this.person).map(({ keepMs, lastCursor, readCursor, ...room }) => ({
      ...room,
      keepMs: BigInt(keepMs),
      lastCursor: BigInt(lastCursor),
      readCursor: BigInt(readCursor),
    }));
    this.#send(encodeReply(requestId, { case: 'rooms', value: { rooms } }));
  }

  #people(requestId: number, room: string): void {
    const people = this.#host.telling.peopleOf(this.person, room)?.map(({ delivered, read, ...person }) => ({
      ...person,
      delivered: BigInt(delivered),
      read: BigInt(read),
    }));
    if (people === undefined) this.#refuse(requestId, ErrorCode.ROOM_UNKNOWN);
    else this.#send(encodeReply(requestId, { case: 'people', value: { people } }));
  }

  /** @impl CH-039~1 */
  #hello(requestId: number, events: boolean): void {
    const personId = parseHex(this.person);
    const value = { personId, backwards: true, deviceInvites: this.#host.invites };
    this.#send(encodeReply(requestId, { case: 'welcome', value }));
    if (!events) return;
    this.#hears = true;
    this.#tellRoomGaps();
    const operations = this.#host.people.arrive(this);
    if (operations.length > 0) this.#host.commit(operations, () => {});
  }

  async #deviceInvite(requestId: number, name: string): Promise<void> {
    const made = await this.#host.inviteDevice(this, name);
    if (isCode(made)) {
      this.#refuse(requestId, made);
      return;
    }
    const value = { invite: made.text, expiresAtMs: BigInt(made.expiresAtMs) };
    this.#send(encodeReply(requestId, { case: 'deviceInvite', value }));
  }

  async #backwards(requestId: number, { beforeCursor, ...wanted }: Body<'backwards'>): Promise<void> {
    const visible = this.#host.rooms.visible(this.person);
    const { messages, more, fromCursor } = await this.#host.log.backwards(beforeCursor, wanted, visible);
    const stored = messages.map(({ value }) => value);
    const throughCursor = Math.max(beforeCursor - 1, 0);
    this.#send(encodePage(requestId, stored, { more, throughCursor, gap: undefined, fromCursor }));
  }

  /** Take no other request until this one is answered. @impl CH-005~1 */
  #wait(work: Promise<void>): void {
    this.#busy = true;
    work
      .then(() => {
        this.#busy = false;
        this.#pump();
      })
      .catch(this.#crashed);
  }

  readonly #crashed = (reason: unknown): void => {
    this.#host.crashed(reason);
    this.abort(ErrorCode.INTERNAL);
  };

  #subscribe({ afterCursor, fromNow }: Body<'subscribe'>): void {
    this.#subscriber?.stop();
    this.#since = fromNow ? undefined : afterCursor;
    this.#tellRoomGaps();
    const port: PushPort = {
      writable: () => !this.#full && !this.#closed,
      send: message => this.#send(message),
      failed: this.#crashed,
    };
    const visible = this.#host.rooms.visible(this.person);
    this.#subscriber = new Subscriber(this.#host.log, port, fromNow ? undefined : afterCursor, visible);
  }

  /** Say what is missing of rooms, once this stream wants to hear of that and has said from where on. @impl CH-057~1 */
  #tellRoomGaps(): void {
    if (!this.#hears || this.#since === undefined) return;
    for (const gap of this.#host.telling.roomGapsBehind(this.person, this.#since)) {
      this.tell(`since/${gap.room}`, encodeRoomGap(gap));
    }
  }

  async #history(requestId: number, { afterCursor, limit, room }: Body<'history'>): Promise<void> {
    const { messages, more, throughCursor } = await this.#host.log.page(
      afterCursor,
      { limit, room },
      this.#host.rooms.visible(this.person),
    );
    const gap = this.#host.telling.gapBehind(this.person, afterCursor, room);
    const stored = messages.map(({ value }) => value);
    const roomGaps = room === '' ? this.#host.telling.roomGapsBehind(this.person, afterCursor) : [];
    this.#send(encodePage(requestId, stored, { more, throughCursor, gap, roomGaps }));
  }

  #refuse(requestId: number, code: ErrorCode): void {
    this.#send(encodeReply(requestId, { case: 'refusal', value: { code } }));
  }

  #send(message: Uint8Array): void {
    if (this.#closed) return;
    if (!this.#stream.send(message)) this.#full = true;
  }
}
