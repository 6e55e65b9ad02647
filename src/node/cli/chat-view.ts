/** The room that a chat shows: its newest messages, those before, and what is found in it. Chapter: spec/11-chat.md. */
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { LOBBY } from '../../services/chat/rooms.ts';
import type { RequestInit, ResponseBody } from '../control.ts';
import { failure } from '../failure.ts';
import { day, entryLines, noteLines, rule } from './chat-lines.ts';
import type { ChatModel, Entry } from './chat-model.ts';
import type { Block, ChatScreen } from './chat-screen.ts';
import { expectAnswer } from './directory.ts';
import { meantRoom } from './room-words.ts';

/** What a view works with. */
export interface ViewPort {
  ask(body: RequestInit): Promise<ResponseBody>;
  /** The newest of a room was shown. */
  seen(room: string): void;
}

/** Messages that are asked for at once. */
const PAGE = 40;

interface Page {
  readonly items: readonly ControlItem[];
  readonly more: boolean;
  readonly from: number;
}

/** One room at a time. */
export class ChatView {
  room: string;
  numbers = false;
  readonly #model: ChatModel;
  readonly #screen: ChatScreen;
  readonly #port: ViewPort;
  #isReady = false;
  /** The room whose first page is on its way, and what came of it meanwhile. */
  #entering: { readonly name: string; readonly early: ControlItem[] } | undefined;
  /** The room that is shown is there no more, not for this person. */
  #isGone = false;
  /** Rooms that this person left or deleted here: that they are gone is no news. */
  readonly #left = new Set<string>();
  #lastDay = '';
  /** The heading of the oldest day that is shown. */
  #firstDay: { readonly date: string; readonly block: Block } | undefined;
  /** Where the past ends that was shown; 0 when that is all. */
  #oldest = 0;
  /** Stands above the oldest message, and makes room for those before. */
  #top: Block = () => [];
  #search: { readonly text: string; before: number } | undefined;

  constructor(model: ChatModel, screen: ChatScreen, room: string, port: ViewPort) {
    this.#model = model;
    this.#screen = screen;
    this.room = room;
    this.#port = port;
  }

  /** Whether the room's newest messages were shown. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether messages of a room are shown as they come. */
  shows(room: string): boolean {
    return room === this.room || room === this.#entering?.name;
  }

  /** The room that is shown and there. @throws ClawChatError `ROOM_UNKNOWN`: what is typed is meant for no other */
  present(): string {
    if (!this.#isGone) return this.room;
    throw failure(ErrorCode.ROOM_UNKNOWN, `${goneText(this.room)}; /join ROOM goes to another`);
  }

  /** Whether the room that is shown is there no more, not for this person. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Where somebody is whom something that failed has not moved. */
  get where(): string {
    return this.#isGone ? 'you are in no room' : `you are still in ${this.room}`;
  }

  /** Where somebody is, in front of what they type. */
  get prompt(): string {
    return this.#isGone ? 'no room> ' : `${this.#model.roomName(this.room)}> `;
  }

  /** Show a room: what it is about, and its newest messages. What fails leaves what is shown. @throws ClawChatError `ROOM_UNKNOWN` */
  async enter(typed: string): Promise<void> {
    await this.#refreshRooms();
    const name = meantRoom(typed, this.#model.listed);
    if (!this.#model.isListed(name)) throw failure(ErrorCode.ROOM_UNKNOWN, `there is no room '${name}'`);
    const room = this.#model.room(name);
    const early: ControlItem[] = [];
    this.#entering = { name, early };
    try {
      await this.refreshPeople(name);
      const readBefore = room.readCursor;
      const page = await this.#page(name, '', Number.MAX_SAFE_INTEGER);
      this.#show(name, page, readBefore);
    } finally {
      this.#entering = undefined;
    }
    for (const item of early) this.take(item);
    this.#port.seen(name);
  }

  #show(name: string, page: Page, readBefore: number): void {
    this.room = name;
    this.#isReady = true;
    this.#isGone = false;
    this.#left.delete(name);
    this.#search = undefined;
    this.#lastDay = '';
    this.#firstDay = undefined;
    this.#model.show(name);
    this.#screen.clear();
    const heading = (): string => {
      const topic = this.#model.rooms.get(name)?.topic ?? '';
      const shown = this.#model.roomName(name);
      return topic === '' ? shown : `${shown}: ${topic}`;
    };
    this.#screen.print(look => [rule(heading(), look)]);
    this.#setTop(page.more, page.from);
    let isMarked = readBefore === 0;
    for (const item of page.items) {
      const taken = this.#model.take(item);
      if (taken === undefined || (!taken.isNew && taken.entry.cursor < Number(item.cursor))) continue;
      const { entry } = taken;
      const isNews = entry.cursor > readBefore && entry.person !== this.#model.me;
      if (!isMarked && isNews) {
        isMarked = true;
        this.#rule('new');
      }
      if (taken.isNew) this.showEntry(entry);
    }
    for (const entry of this.#model.pending) if (entry.room === name) this.showEntry(entry);
  }

  /** Take a message of this room as it comes. */
  take(item: ControlItem): void {
    if (item.room === this.#entering?.name) this.#entering.early.push(item);
    if (item.room !== this.room || !this.#isReady) return;
    const taken = this.#model.take(item);
    if (taken === undefined) return;
    const { entry, isNew } = taken;
    const isChange = entry.deleted || entry.edited;
    if (isNew || (!this.#screen.isTerminal && isChange)) this.showEntry(entry);
    else this.#screen.changed();
  }

  /** Show a message below the others. */
  showEntry(entry: Entry): void {
    const today = day(entry.atMs);
    if (today !== this.#lastDay) {
      this.#lastDay = today;
      const block = ruleBlock(today);
      this.#firstDay ??= { date: today, block };
      this.#screen.print(block);
    }
    this.#screen.print(this.#block(entry));
  }

  /** Show what was before what is shown, or before what was found. */
  async more(): Promise<void> {
    if (this.#search !== undefined) return this.search(undefined);
    if (this.#oldest === 0) return;
    const page = await this.#page(this.room, '', this.#oldest);
    const top = this.#top;
    const past = this.#model.takePast(page.items);
    const blocks: Block[] = [];
    const later = this.#firstDay;
    let last = '';
    for (const entry of past) {
      const date = day(entry.atMs);
      if (date !== last) {
        const heading = ruleBlock(date);
        if (last === '') this.#firstDay = { date, block: heading };
        blocks.push(heading);
        last = date;
      }
      blocks.push(this.#block(entry));
    }
    const next = this.#topBlock(page.more, page.from);
    if (this.#screen.isTerminal) {
      this.#screen.replace(top, [next, ...blocks]);
      if (later !== undefined && later.date === last) this.#screen.replace(later.block, []);
    } else {
      this.#rule(`before that in ${this.room}`);
      for (const block of [...blocks, next]) this.#screen.print(block);
    }
  }

  /** Find messages of the room with a text; undefined goes on where the last search stopped. */
  async search(text: string | undefined): Promise<void> {
    this.#search = text === undefined ? this.#search : { text, before: Number.MAX_SAFE_INTEGER };
    const search = this.#search;
    if (search === undefined) {
      this.#note('/search TEXT looks for a text');
      return;
    }
    const page = await this.#page(this.room, search.text, search.before);
    search.before = page.from;
    this.#rule(`found "${search.text}" in ${this.room}: ${page.items.length}${page.more ? ' so far' : ''}`);
    let last = '';
    for (const entry of page.items.map(item => this.#model.entryOf(item))) {
      const date = day(entry.atMs);
      const heading = date === last ? [] : [date];
      this.#screen.print(look => [...heading.map(text => rule(text, look)), ...this.#block(entry)(look)]);
      last = date;
    }
    if (page.more) this.#note('/more looks further back');
    else {
      this.#rule('end of what was found');
      this.#search = undefined;
    }
    this.#lastDay = '';
  }

  /** Learn anew which rooms and people there are. */
  async refresh(): Promise<void> {
    await this.#refreshRooms();
    if (this.#model.isListed(this.room)) await this.refreshPeople(this.room);
    else if (this.#isReady && !this.#isGone && !this.#left.has(this.room)) {
      this.#isGone = true;
      this.#note(goneText(this.room));
    }
  }

  /** Go to the lobby from a room that this person left or deleted, if it is the one that is shown; say so. */
  async leave(room: string, done: string): Promise<void> {
    if (room === this.room) await this.enter(LOBBY);
    this.#note(done);
  }

  /** Messages of a room are gone, or the room with them. */
  async gap(room: string): Promise<void> {
    const isShown = room === this.room;
    if (this.#isReady) await this.refresh();
    if (this.#model.isListed(room)) this.#note(`older messages of ${room} are no longer kept`);
    else if (!isShown && !this.#left.has(room)) this.#note(goneText(room));
  }

  /** It was not done. */
  stayed(room: string): void {
    this.#left.delete(room);
  }

  /** What becomes of a room is this person's doing, from now on. */
  leaving(room: string): void {
    this.#left.add(room);
  }

  /** Ask who is in a room. */
  async refreshPeople(room: string): Promise<void> {
    const { people } = expectAnswer(await this.#port.ask({ case: 'people', value: { room } }), 'people');
    this.#model.setPeople(room, people);
    this.#screen.changed();
  }

  async #refreshRooms(): Promise<void> {
    this.#model.setRooms(expectAnswer(await this.#port.ask({ case: 'rooms', value: {} }), 'rooms').rooms);
  }

  async #page(room: string, search: string, before: number): Promise<Page> {
    const value = { beforeCursor: BigInt(before), limit: PAGE, room, search };
    const page = expectAnswer(await this.#port.ask({ case: 'history', value }), 'history');
    return { items: page.items, more: page.more, from: Number(page.fromCursor) };
  }

  #block(entry: Entry): Block {
    return look => entryLines(this.#model, entry, look, this.numbers);
  }

  #setTop(more: boolean, from: number): void {
    this.#screen.print(this.#topBlock(more, from));
  }

  #topBlock(more: boolean, from: number): Block {
    this.#oldest = more ? from : 0;
    const how = this.#screen.isTerminal ? 'PageUp' : '/more';
    const text = more ? `${how} shows what was before` : `this is where ${this.room} begins`;
    this.#top = look => noteLines([text], look);
    return this.#top;
  }

  #note(text: string): void {
    this.#screen.print(look => noteLines([text], look));
  }

  #rule(text: string): void {
    this.#screen.print(ruleBlock(text));
  }
}

function goneText(room: string): string {
  return `${room} was deleted, or you are no longer one of its people`;
}

function ruleBlock(text: string): Block {
  return look => [rule(text, look)];
}
