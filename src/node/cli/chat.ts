/** `clawchat chat`: rooms, people and messages in a terminal or a pipe. Chapter: spec/11-chat.md. */
import { type ControlEvent, type ControlItem, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import type { RequestInit, ResponseBody } from '../control.ts';
import { native } from '../native.ts';
import type { OwnerLink } from '../owner-link.ts';
import { type ActInit, type Extra, sendAct } from './acts.ts';
import { chatCommand, completeCommand } from './chat-commands.ts';
import { elsewhere, isOlder, olderHost, textOf } from './chat-errors.ts';
import { noteLines } from './chat-lines.ts';
import { ChatMarks } from './chat-marks.ts';
import { ChatModel, type Entry } from './chat-model.ts';
import { ChatScreen } from './chat-screen.ts';
import { statusLine } from './chat-status.ts';
import { TypedLines } from './chat-typed.ts';
import { ChatView } from './chat-view.ts';
import { expectAnswer } from './directory.ts';
import { hex } from './output.ts';
import { Waiting } from './waiting.ts';

/** How a chat begins. */
export interface ChatOptions {
  readonly room: string;
  readonly receipts: boolean;
  readonly typing: boolean;
}

const TYPING_EVERY_MS = 3_000;
const TICK_MS = 500;
/** How often a look finds no connection before the chat says why: at its beginning, and behind one that broke. */
const LOOKS_IN_VAIN = { first: 2, later: 12 };
/** Who comes so soon after the connection was here all the time, or lost it with us: that is no news. */
const QUIET_MS = 60_000;

/** One chat: what the owner says goes to the screen, and what is typed goes to the owner. */
export class Chat {
  readonly model: ChatModel = new ChatModel();
  readonly screen: ChatScreen;
  readonly view: ChatView;
  typing: boolean;
  readonly #link: OwnerLink;
  readonly #stop = new AbortController();
  readonly #marks: ChatMarks;
  #cursor: number | undefined;
  #connection: ControlLinkState = ControlLinkState.UNSPECIFIED;
  #wasConnected = false;
  #connectedAtMs = 0;
  #typedAtMs = 0;
  readonly #lines: TypedLines;
  /** What was sent and has no answer yet. */
  readonly #sending = new Set<Promise<void>>();
  #isHere: () => void = () => {};
  readonly #here = new Promise<void>(settle => {
    this.#isHere = settle;
  });
  #isAsking = false;
  #failure: unknown;

  constructor(link: OwnerLink, { room, receipts, typing }: ChatOptions) {
    this.#link = link;
    this.typing = typing;
    this.screen = new ChatScreen({
      line: text => this.#lines.take(text),
      typed: text => this.#typed(text),
      older: () => this.enqueue(() => this.view.more()),
      newest: () => this.#marks.see(this.room),
      ended: () => this.#ended(),
      complete: line => completeCommand(line, this.model.listed),
    });
    this.#lines = new TypedLines({
      act: line => this.#act(line),
      failed: error => this.#failed(error),
      skipped: line => this.#skipped(line),
      erred: error => {
        if (!this.#isOver) this.note(textOf(error));
      },
    });
    this.view = new ChatView(this.model, this.screen, room, {
      ask: body => this.ask(body),
      seen: name => this.#marks.see(name),
    });
    this.#marks = new ChatMarks(this.model, receipts, {
      send: value => void this.ask({ case: 'mark', value }).catch(() => undefined),
      isSeen: name => name === this.room && this.screen.isAtEnd,
    });
  }

  /** The room that is shown. */
  get room(): string {
    return this.view.room;
  }

  /** Whether others learn what was read here. */
  get receipts(): boolean {
    return this.#marks.receipts;
  }

  set receipts(on: boolean) {
    this.#marks.receipts = on;
  }

  /** Run until the end of input, or /quit. @throws ClawChatError as the owner says */
  async run(): Promise<void> {
    const timer = setInterval(() => this.#showStatus(), TICK_MS);
    const waiting = new Waiting(this.#link, {
      say: lines => this.note(...lines),
      looks: () => (this.#wasConnected ? LOOKS_IN_VAIN.later : LOOKS_IN_VAIN.first),
    });
    this.#showStatus();
    const streams = [this.#hear(), this.#listen()];
    for (const stream of streams) {
      stream.catch(error => {
        if (!this.#stop.signal.aborted) this.#end(error);
      });
    }
    this.enqueue(() => this.#begin());
    await new Promise<void>(resolve => {
      if (this.#stop.signal.aborted) resolve();
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    clearInterval(timer);
    waiting.stop();
    this.#marks.stop();
    await Promise.allSettled(streams);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Whoever does not know who they are cannot tell their own messages; a host that is older ends the chat (CH-039). */
  async #begin(): Promise<void> {
    try {
      await this.view.refreshPeople('lobby');
    } catch (error) {
      this.#end(isOlder(error) ? olderHost() : error);
      return;
    }
    await this.#here;
    // What is typed is meant for this room and for no other.
    await this.view.enter(this.room).catch(error => this.#end(elsewhere(error, this.room)));
  }

  /** Do one thing behind the other; an error is shown. */
  enqueue(work: () => Promise<unknown>): void {
    this.#lines.enqueue(work);
  }

  /** Have somebody who types say yes or no. */
  async confirm(question: string): Promise<boolean> {
    this.#isAsking = true;
    try {
      for (;;) {
        this.note(`${question} [y/n]`);
        this.#showStatus();
        const answer = (await this.#lines.answer())?.trim().toLowerCase();
        if (answer === 'y' || answer === 'yes') return true;
        if (answer === undefined || answer === 'n' || answer === 'no') return false;
      }
    } finally {
      this.#isAsking = false;
      this.#showStatus();
    }
  }

  /** Ask the owner. */
  ask(body: RequestInit): Promise<ResponseBody> {
    return this.#link.call(body, this.#stop.signal);
  }

  /** Show a line of the program's own, and those that belong below it. */
  note(...texts: readonly string[]): void {
    this.screen.print(look => noteLines(texts, look));
  }

  /** Send a message; shows it at once, and how far it has come. */
  send(text: string, extra: Extra = {}): void {
    const messageId = native.randomBytes(16);
    const sentAtMs = Date.now();
    const { room } = this;
    const replyTo = Number(extra.replyTo ?? 0n);
    const entry = this.model.begin({ id: hex(messageId), room, text, atMs: sentAtMs, replyTo });
    // In a pipe a line cannot change: there it is shown when it has a state to stay.
    if (this.screen.isTerminal) this.view.showEntry(entry);
    const value = { messageId, room, text, sentAtMs: BigInt(sentAtMs), extra };
    this.#track(
      this.ask({ case: 'send', value }).then(answer => {
        this.model.arrived(entry, Number(expectAnswer(answer, 'sent').cursor));
      }),
      entry,
    );
  }

  /** Replace the text of an own message. */
  edit(entry: Entry, text: string): void {
    const messageId = native.randomBytes(16);
    // It takes the place of all that the message was.
    const extra = { edits: BigInt(entry.cursor), replyTo: BigInt(entry.replyTo) };
    const value = { messageId, room: entry.room, text, sentAtMs: BigInt(Date.now()), extra };
    this.#track(this.ask({ case: 'send', value }).then(answer => void expectAnswer(answer, 'sent')));
  }

  /** Do something to a room, and wait until it is done. @throws ClawChatError as the host says */
  async act(act: ActInit, room: string = this.view.present()): Promise<void> {
    await sendAct(this.#link, act, room, this.#stop.signal);
  }

  /** End the chat. */
  quit(): void {
    this.screen.close();
  }

  #track(sending: Promise<void>, entry?: Entry): void {
    const settled: Promise<void> = sending
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return;
        if (entry !== undefined) this.model.refused(entry, textOf(error));
        if (entry === undefined || !this.screen.isTyped) this.#failed(error);
      })
      .then(() => {
        if (entry !== undefined && !this.screen.isTerminal) this.view.showEntry(entry);
        this.screen.changed();
      })
      .finally(() => this.#sending.delete(settled));
    this.#sending.add(settled);
  }

  /** Do what a line says. @throws ClawChatError as the command does */
  async #act(line: string): Promise<void> {
    if (this.#isOver) return;
    if (line.startsWith('/') && !line.startsWith('//')) {
      const [, name = '', rest = ''] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
      await chatCommand(this, name, rest.trim());
      return;
    }
    this.view.present();
    this.send(line.startsWith('//') ? line.slice(1) : line);
  }

  /** Whoever types sees what failed and where they are; in a pipe nothing behind it is done. */
  #failed(error: unknown): void {
    if (this.#isOver) return;
    if (this.screen.isTyped) {
      this.note(textOf(error));
      return;
    }
    this.#failure = error;
    // What stood before it is sent.
    void this.allSent().then(() => this.#end(error));
  }

  #skipped(line: string): void {
    if (!this.#isOver) this.note(`not done, because you typed it before you could read this: ${line}`);
  }

  get #isOver(): boolean {
    return this.#stop.signal.aborted || this.#failure !== undefined;
  }

  #typed(text: string): void {
    const now = Date.now();
    const isQuiet = !this.typing || text === '' || text.startsWith('/');
    if (isQuiet || now < this.#typedAtMs + TYPING_EVERY_MS) return;
    this.#typedAtMs = now;
    this.ask({ case: 'typing', value: { room: this.room } }).catch(() => undefined);
  }

  /** What was asked of the owner is finished, and then it is the end. */
  #ended(): void {
    if (this.#stop.signal.aborted) return;
    this.#lines.end();
    // In a pipe the end of input comes long before what was read is sent.
    const left = this.screen.isTerminal ? Promise.resolve() : this.#lines.done.then(() => this.allSent());
    void left.then(() => this.#end(undefined));
  }

  /** Wait until nothing is on its way any more. */
  async allSent(): Promise<void> {
    while (this.#sending.size > 0) await Promise.all(this.#sending);
  }

  #end(failure: unknown): void {
    this.#failure ??= failure;
    this.#stop.abort();
    this.screen.close();
  }

  /** Take messages as they come. */
  async #listen(): Promise<void> {
    const from = (): RequestInit => ({
      case: 'listen',
      value: { afterCursor: BigInt(this.#cursor ?? 0), fromNow: this.#cursor === undefined, room: '' },
    });
    for await (const answer of this.#link.stream(from(), from, this.#stop.signal)) {
      if (answer.case === 'caughtUp') this.#cursor = Math.max(this.#cursor ?? 0, Number(answer.value.cursor));
      if (answer.case === 'gap') this.note('some messages are no longer kept');
      if (answer.case !== 'items') continue;
      for (const item of answer.value.items) {
        this.#cursor = Number(item.cursor);
        this.#take(item);
      }
    }
  }

  #take(item: ControlItem): void {
    const { act } = item.extra ?? {};
    const person = hex(item.personId);
    const letIn = this.model.letIn(item);
    if (letIn !== undefined) this.note(letIn);
    const room = this.model.room(item.room);
    room.lastCursor = Math.max(room.lastCursor, Number(item.cursor));
    room.typing.delete(person);
    if (this.view.shows(item.room)) this.view.take(item);
    else if (person !== this.model.me && act?.case === undefined) room.unread = true;
    this.#marks.see(item.room);
    // Rooms and people may have changed.
    if (act?.case !== undefined && act.case !== 'delete') this.enqueue(() => this.view.refresh());
    this.#showStatus();
  }

  /** Take what happens beside messages. */
  async #hear(): Promise<void> {
    const ask = (): RequestInit => ({ case: 'events', value: {} });
    for await (const answer of this.#link.stream(ask(), ask, this.#stop.signal)) {
      if (answer.case !== 'event') continue;
      this.#event(answer.value);
      this.#showStatus();
      this.screen.changed();
    }
  }

  #event({ body }: ControlEvent): void {
    switch (body.case) {
      case 'here':
        this.model.me = hex(body.value.personId);
        this.#isHere();
        if (this.view.isReady) this.enqueue(() => this.view.refresh());
        break;
      case 'link':
        this.#linkChanged(body.value);
        break;
      case 'mark': {
        const [delivered, read] = [Number(body.value.delivered), Number(body.value.read)];
        const person = hex(body.value.personId);
        const room = this.model.rooms.get(body.value.room);
        if (room === undefined) break;
        if (person === this.model.me) {
          room.readCursor = Math.max(room.readCursor, read);
          room.unread &&= room.lastCursor > room.readCursor;
        }
        const known = room.people.get(person);
        if (known !== undefined) room.people.set(person, { ...known, delivered, read });
        else if (room.name === this.room) this.enqueue(() => this.view.refresh());
        break;
      }
      case 'typing': {
        const { personId, name, room } = body.value;
        this.model.setTyping(room, hex(personId), name, Date.now());
        break;
      }
      case 'presence':
        this.#cameOrWent(hex(body.value.personId), body.value.name, body.value.online);
        break;
      case 'roomGap': {
        const { room } = body.value;
        this.enqueue(() => this.view.gap(room));
        break;
      }
      case undefined:
        break;
    }
  }

  #cameOrWent(person: string, name: string, online: boolean): void {
    this.model.learnName(person, name);
    const { people } = this.model.room(this.room);
    const known = people.get(person);
    if (known !== undefined) people.set(person, { ...known, online });
    else if (this.view.isReady) this.enqueue(() => this.view.refresh());
    const isNews = Date.now() > this.#connectedAtMs + QUIET_MS && known?.online !== online;
    if (known !== undefined && isNews && this.screen.isTerminal) {
      this.note(`${this.model.nameOf(person)} ${online ? 'is here' : 'went away'}`);
    }
  }

  #linkChanged(link: ControlLinkState): void {
    const before = this.#connection;
    this.#connection = link;
    if (link === ControlLinkState.CONNECTED) {
      if (this.#wasConnected && before !== link) this.note('connected again');
      this.#wasConnected = true;
      this.#connectedAtMs = Date.now();
    } else if (before === ControlLinkState.CONNECTED) {
      this.note('the connection is lost; what you write is kept and goes out by itself');
    }
  }

  /** Say where one is, what is new elsewhere, and who writes. */
  #showStatus(): void {
    this.screen.setPrompt(this.#isAsking ? 'y/n> ' : this.view.prompt);
    const isOnline = this.#connection === ControlLinkState.CONNECTED;
    const link = isOnline ? 'online' : this.#wasConnected ? 'reconnecting' : 'connecting';
    this.screen.setStatus(statusLine(this.model, this.room, link, Date.now()));
  }
}
