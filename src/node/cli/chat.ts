/** `clawchat chat`: rooms, people and messages in a terminal or a pipe. Chapter: spec/11-chat.md. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ChatContentSchema, Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { type ControlEvent, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { ClawChatError } from '../../protocol/fault.ts';
import type { RequestInit, ResponseBody } from '../control.ts';
import { native } from '../native.ts';
import type { OwnerLink } from '../owner.ts';
import { chatCommand, commandNames } from './chat-commands.ts';
import { day, entryLines, noteLines } from './chat-lines.ts';
import { ChatModel, type Entry } from './chat-model.ts';
import { type Block, ChatScreen } from './chat-screen.ts';
import { expectAnswer } from './directory.ts';
import { hex } from './output.ts';

/** How a chat begins. */
export interface ChatOptions {
  readonly room: string;
  readonly receipts: boolean;
  readonly typing: boolean;
}

/** Messages of the room's past that are shown at once. */
const PAGE = 20;
const MARK_MS = 300;
const TYPING_EVERY_MS = 3_000;
const TICK_MS = 500;
/** Who comes so soon after the connection was here all the time, or lost it with us: that is no news. */
const QUIET_MS = 60_000;

type Extra = MessageInitShape<typeof ChatContentSchema>;

/** One chat: what the owner says goes to the screen, and what is typed goes to the owner. */
export class Chat {
  readonly model: ChatModel = new ChatModel();
  readonly screen: ChatScreen;
  receipts: boolean;
  typing: boolean;
  numbers = false;
  readonly #link: OwnerLink;
  readonly #stop = new AbortController();
  readonly #blocks = new Map<Entry, Block>();
  readonly #marks = new Set<string>();
  #markTimer: NodeJS.Timeout | undefined;
  #room: string;
  #cursor: number | undefined;
  #ready = false;
  #connection: ControlLinkState = ControlLinkState.UNSPECIFIED;
  #wasConnected = false;
  #connectedAtMs = 0;
  #lastDay = '';
  #typedAtMs = 0;
  #oldest = 0;
  #search: { readonly text: string; before: number } | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  constructor(link: OwnerLink, { room, receipts, typing }: ChatOptions) {
    this.#link = link;
    this.#room = room;
    this.receipts = receipts;
    this.typing = typing;
    this.screen = new ChatScreen({
      line: text => this.#line(text),
      typed: text => this.#typed(text),
      ended: () => this.#ended(),
      complete: line => this.#complete(line),
    });
  }

  get room(): string {
    return this.#room;
  }

  /** Run until the end of input, or /quit. @throws ClawChatError as the owner says */
  async run(): Promise<void> {
    const timer = setInterval(() => this.#prompt(), TICK_MS);
    this.#prompt();
    const streams = [this.#hear(), this.#listen()];
    for (const stream of streams) {
      stream.catch(error => {
        if (!this.#stop.signal.aborted) this.#end(error);
      });
    }
    this.enqueue(() => this.enter(this.#room));
    await new Promise<void>(resolve => {
      if (this.#stop.signal.aborted) resolve();
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    clearInterval(timer);
    clearTimeout(this.#markTimer);
    await Promise.allSettled(streams);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Do one thing behind the other; an error is shown. */
  enqueue(work: () => Promise<unknown>): void {
    this.#work = this.#work.then(work).catch(error => {
      if (this.#stop.signal.aborted) return;
      this.note(error instanceof ClawChatError ? error.message.replace(/^\[\w+\] /, '') : String(error));
    });
  }

  /** Ask the owner. */
  ask(body: RequestInit): Promise<ResponseBody> {
    return this.#link.call(body, this.#stop.signal);
  }

  note(text: string): void {
    this.screen.print(look => noteLines(text, look));
  }

  /** Show a room: what it is about, and its newest messages. */
  async enter(name: string): Promise<void> {
    await this.refreshRooms();
    const room = this.model.rooms.get(name);
    if (room === undefined) {
      this.note(`there is no room ${name}; /create ${name} makes it`);
      if (this.model.rooms.has(this.#room)) return;
      this.#room = 'lobby';
      return this.enter('lobby');
    }
    this.#room = name;
    this.#ready = false;
    this.#search = undefined;
    this.#lastDay = '';
    this.note(room.topic === '' ? name : `${name}: ${room.topic}`);
    const readBefore = room.readCursor;
    await this.refreshPeople(name);
    this.#oldest = Number.MAX_SAFE_INTEGER;
    const page = await this.#page(name, '', this.#oldest);
    this.#oldest = page.from;
    let marked = false;
    for (const item of page.items) {
      const entry = this.model.take(item)?.entry ?? this.model.entryOf(item);
      const isUnread = entry.cursor > readBefore && entry.person !== this.model.me && entry.act === undefined;
      if (isUnread && !marked && readBefore > 0) {
        marked = true;
        this.note('new');
      }
      this.#show(entry);
    }
    const last = Number(page.items.at(-1)?.cursor ?? 0);
    // What came while the page was on its way.
    for (const entry of this.model.entries) if (entry.room === name && entry.cursor > last) this.#show(entry);
    if (page.more) this.note('/more shows what was before');
    this.#ready = true;
    room.unread = 0;
    this.mark(name);
    this.#prompt();
  }

  async refreshRooms(): Promise<void> {
    const { rooms } = expectAnswer(await this.ask({ case: 'rooms', value: {} }), 'rooms');
    this.model.setRooms(rooms);
  }

  async refreshPeople(room: string): Promise<void> {
    const { people } = expectAnswer(await this.ask({ case: 'people', value: { room } }), 'people');
    this.model.setPeople(room, people);
    this.#redrawOwn();
  }

  /** Send a message, or what one does; shows it at once, and how far it has come. */
  send(text: string, extra: Extra = {}, room: string = this.#room): void {
    const messageId = native.randomBytes(16);
    const sentAtMs = Date.now();
    let entry: Entry | undefined;
    if (text !== '' && (extra.edits ?? 0n) === 0n) {
      entry = {
        id: hex(messageId),
        person: this.model.me,
        room,
        cursor: 0,
        name: this.model.nameOf(this.model.me),
        text,
        atMs: sentAtMs,
        replyTo: Number(extra.replyTo ?? 0n),
        edited: false,
        deleted: false,
        failed: undefined,
        act: undefined,
      };
      this.model.entries.push(entry);
      if (this.screen.isTerminal) this.#show(entry);
    }
    const value = { messageId, room, text, sentAtMs: BigInt(sentAtMs), extra };
    this.ask({ case: 'send', value }).then(
      answer => {
        if (entry === undefined) return;
        entry.cursor = Number(expectAnswer(answer, 'sent').cursor);
        this.#redrawOwn();
      },
      error => {
        if (this.#stop.signal.aborted) return;
        const why = error instanceof ClawChatError ? error.message.replace(/^\[\w+\] /, '') : String(error);
        if (entry === undefined || !this.screen.isTerminal) this.note(`not done: ${why}`);
        if (entry === undefined) return;
        entry.failed = why;
        this.#redraw(entry);
      },
    );
  }

  /** Do something to a room, and wait until it is done. @throws ClawChatError as the host says */
  async act(act: NonNullable<Extra['act']>, room: string = this.#room): Promise<void> {
    const value = {
      messageId: native.randomBytes(16),
      room,
      text: '',
      sentAtMs: BigInt(Date.now()),
      extra: { act },
    };
    expectAnswer(await this.ask({ case: 'send', value }), 'sent');
  }

  /** Show what was before what is shown, or before what was found. */
  async more(): Promise<void> {
    if (this.#search !== undefined) return this.search(undefined);
    if (this.#oldest <= 1) {
      this.note(`this is where ${this.#room} begins`);
      return;
    }
    const page = await this.#page(this.#room, '', this.#oldest);
    this.#oldest = page.from;
    this.#showPast(
      page.items.map(item => this.model.entryOf(item)),
      `earlier in ${this.#room}`,
    );
    this.note(
      page.more ? '/more shows what was before; what comes now follows' : `${this.#room} begins here`,
    );
  }

  /** Find messages of the room with a text; undefined goes on where the last search stopped. */
  async search(text: string | undefined): Promise<void> {
    this.#search = text === undefined ? this.#search : { text, before: Number.MAX_SAFE_INTEGER };
    const search = this.#search;
    if (search === undefined) {
      this.note('/search TEXT looks for a text');
      return;
    }
    const page = await this.#page(this.#room, search.text, search.before);
    const found = page.items.map(item => this.model.entryOf(item));
    search.before = page.from;
    if (found.length > 0) this.#showPast(found, `found "${search.text}" in ${this.#room}`);
    if (page.more) this.note('/more looks further back');
    else {
      this.note(found.length === 0 ? `nothing with "${search.text}"` : 'no more');
      this.#search = undefined;
    }
  }

  /** The newest own message, or the newest of another; `number` names one by its cursor. */
  find(whose: 'own' | 'other' | 'any', number?: number): Entry | undefined {
    return this.model.entries.findLast(entry => {
      if (number !== undefined) return entry.cursor === number;
      const isOwn = entry.person === this.model.me;
      const fits = whose === 'any' || (whose === 'own') === isOwn;
      return (
        fits && entry.room === this.#room && entry.cursor > 0 && entry.act === undefined && !entry.deleted
      );
    });
  }

  /** Draw everything again, such as with numbers. */
  redrawAll(): void {
    this.screen.redraw();
  }

  quit(): void {
    this.screen.close();
  }

  /** Say that everything of the room was shown; what is in other rooms was received. */
  mark(room: string): void {
    this.#marks.add(room);
    this.#markTimer ??= setTimeout(() => {
      this.#markTimer = undefined;
      for (const name of this.#marks) {
        const delivered = BigInt(this.model.room(name).lastCursor);
        const read = name === this.#room ? delivered : 0n;
        const value = { room: name, delivered, read, hidden: !this.receipts };
        if (delivered > 0n) this.ask({ case: 'mark', value }).catch(() => undefined);
      }
      this.#marks.clear();
    }, MARK_MS);
  }

  #line(text: string): void {
    const trimmed = text.trim();
    if (trimmed === '') return;
    if (trimmed.startsWith('/') && !trimmed.startsWith('//')) {
      const [name = '', ...rest] = trimmed.slice(1).split(' ');
      this.enqueue(() => chatCommand(this, name, rest.join(' ').trim()));
      return;
    }
    // Behind what was typed before it, such as the change to another room.
    const said = trimmed.startsWith('//') ? text.replace('//', '/') : text;
    this.enqueue(async () => this.send(said));
  }

  #typed(text: string): void {
    const now = Date.now();
    if (!this.typing || text === '' || text.startsWith('/') || now < this.#typedAtMs + TYPING_EVERY_MS)
      return;
    this.#typedAtMs = now;
    this.ask({ case: 'typing', value: { room: this.#room } }).catch(() => undefined);
  }

  #complete(line: string): readonly string[] {
    if (!line.startsWith('/')) return [];
    return commandNames.map(name => `/${name} `).filter(name => name.startsWith(line));
  }

  /** What was asked of the owner is finished, and then it is the end. */
  #ended(): void {
    if (this.#stop.signal.aborted) return;
    // In a pipe the end of input comes long before what was read is sent.
    const left = this.screen.isTerminal ? Promise.resolve() : this.#work.then(() => this.#allSent());
    void left.then(() => this.#end(undefined));
  }

  async #allSent(): Promise<void> {
    const open = (): boolean =>
      this.model.entries.some(({ cursor, failed }) => cursor === 0 && failed === undefined);
    while (open() && !this.#stop.signal.aborted) await new Promise(resolve => setTimeout(resolve, 20));
  }

  #end(failure: unknown): void {
    this.#failure ??= failure;
    this.#stop.abort();
    this.screen.close();
  }

  async #page(
    room: string,
    search: string,
    before: number,
  ): Promise<{
    readonly items: readonly Parameters<ChatModel['take']>[0][];
    readonly more: boolean;
    readonly from: number;
  }> {
    const value = { beforeCursor: BigInt(before), limit: PAGE, room, search };
    const page = expectAnswer(await this.ask({ case: 'history', value }), 'history');
    return { items: page.items, more: page.more, from: Number(page.fromCursor) };
  }

  #show(entry: Entry): void {
    const today = day(entry.atMs);
    if (today !== this.#lastDay) {
      this.#lastDay = today;
      this.note(today);
    }
    const block: Block = look => entryLines(this.model, entry, look, this.numbers);
    this.#blocks.set(entry, block);
    this.screen.print(block);
  }

  #showPast(entries: readonly Entry[], heading: string): void {
    this.note(heading);
    let last = '';
    for (const entry of entries) {
      if (day(entry.atMs) !== last) {
        last = day(entry.atMs);
        this.note(last);
      }
      this.screen.print(look => entryLines(this.model, entry, look, this.numbers));
    }
  }

  #redraw(entry: Entry): void {
    const block = this.#blocks.get(entry);
    if (block !== undefined) this.screen.changed(block);
  }

  /** The states of own messages may have changed: the oldest that is still on the screen has them all below it. */
  #redrawOwn(): void {
    for (const entry of this.model.entries) {
      const block = this.model.state(entry) === '' ? undefined : this.#blocks.get(entry);
      if (block !== undefined && this.screen.changed(block)) return;
    }
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

  #take(item: Parameters<ChatModel['take']>[0]): void {
    const taken = this.model.take(item);
    const room = this.model.room(item.room);
    const cursor = Number(item.cursor);
    room.lastCursor = Math.max(room.lastCursor, cursor);
    room.typing.delete(hex(item.personId));
    this.mark(item.room);
    if (taken === undefined) return;
    const { entry, isNew } = taken;
    const act = item.extra?.act.case;
    if (act !== undefined && act !== 'delete')
      this.enqueue(() => this.refreshRooms().then(() => this.refreshPeople(this.#room)));
    if (!isNew) {
      this.#redraw(entry);
      if (!this.screen.isTerminal && (entry.deleted || entry.edited)) this.#show(entry);
    } else if (item.room === this.#room && this.#ready) this.#show(entry);
    else if (entry.person !== this.model.me && act === undefined) room.unread += 1;
    this.#prompt();
  }

  /** Take what happens beside messages. */
  async #hear(): Promise<void> {
    const ask = (): RequestInit => ({ case: 'events', value: {} });
    for await (const answer of this.#link.stream(ask(), ask, this.#stop.signal)) {
      if (answer.case === 'event') this.#event(answer.value);
      this.#prompt();
    }
  }

  #event({ body }: ControlEvent): void {
    switch (body.case) {
      case 'here':
        this.model.me = hex(body.value.personId);
        if (this.#ready) this.enqueue(() => this.refreshPeople(this.#room));
        break;
      case 'link':
        this.#linkChanged(body.value);
        break;
      case 'mark': {
        const { personId, delivered, read } = body.value;
        const person = hex(personId);
        const room = this.model.room(body.value.room);
        if (person === this.model.me) {
          room.readCursor = Math.max(room.readCursor, Number(read));
          if (room.readCursor >= room.lastCursor) room.unread = 0;
        }
        const known = room.people.get(person);
        if (known === undefined) this.enqueue(() => this.refreshPeople(this.#room));
        else room.people.set(person, { ...known, delivered: Number(delivered), read: Number(read) });
        this.#redrawOwn();
        break;
      }
      case 'typing': {
        const { personId, name, room } = body.value;
        this.model.setTyping(room, hex(personId), name, Date.now());
        break;
      }
      case 'presence': {
        const { personId, name, online } = body.value;
        const person = hex(personId);
        this.model.learnName(person, name);
        const room = this.model.room(this.#room);
        const known = room.people.get(person);
        if (known !== undefined) room.people.set(person, { ...known, online });
        else if (this.#ready) this.enqueue(() => this.refreshPeople(this.#room));
        const isNews = Date.now() > this.#connectedAtMs + QUIET_MS && known?.online !== online;
        if (known !== undefined && isNews && this.screen.isTerminal) {
          this.note(`${this.model.nameOf(person)} ${online ? 'is here' : 'went away'}`);
        }
        break;
      }
      case 'roomGap':
        this.note(`older messages of ${body.value.room} are no longer kept`);
        break;
      case undefined:
        break;
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
      this.note('the connection is lost; trying to reconnect');
    }
  }

  #prompt(): void {
    const others = [...this.model.rooms.values()].filter(
      ({ name, unread, role }) => unread > 0 && role !== Role.UNSPECIFIED && name !== this.#room,
    );
    const unread = others.length === 0 ? '' : ` (${others.map(({ name }) => name).join(', ')}: new)`;
    const typing = this.model.typing(this.#room, Date.now());
    const writing =
      typing.length === 0 ? '' : `${typing.join(', ')} ${typing.length === 1 ? 'is' : 'are'} writing ...`;
    const offline =
      this.#connection === ControlLinkState.CONNECTED
        ? ''
        : this.#wasConnected
          ? 'reconnecting ...'
          : 'connecting ...';
    this.screen.setPrompt(offline || writing, `${this.#room}${unread}> `);
  }
}
