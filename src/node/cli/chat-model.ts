/** What a chat shows, as data: rooms, messages, people, and how far each has come. Chapter: spec/11-chat.md. */
import { type Person, Role, type Room } from '../../gen/clawchat/v1/chat_pb.ts';
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { TYPING_MS } from '../../gen/constants.ts';
import { actText, isOperators } from './acts.ts';
import { hex } from './output.ts';
import { shownRoom } from './room-words.ts';
import { confusable } from './terminal-text.ts';

/** A message on the screen: one that the host has, or one that is on its way there. */
export interface Entry {
  /** Hexadecimal message id. */
  readonly id: string;
  /** Hexadecimal person id. */
  readonly person: string;
  readonly room: string;
  /** 0 while the host has not said that it has it. */
  cursor: number;
  name: string;
  text: string;
  readonly atMs: number;
  readonly replyTo: number;
  edited: boolean;
  deleted: boolean;
  /** Why it will never be sent. */
  failed: string | undefined;
  /** What it does instead of saying something, for people. */
  readonly act: string | undefined;
}

interface Shown {
  readonly name: string;
  readonly role: Role;
  readonly online: boolean;
  readonly delivered: number;
  readonly read: number;
}

/** A room as the chat knows it. */
export interface ChatRoom {
  readonly name: string;
  topic: string;
  role: Role;
  lastCursor: number;
  readCursor: number;
  unread: boolean;
  readonly people: Map<string, Shown>;
  readonly typing: Map<string, { readonly name: string; readonly untilMs: number }>;
}

/** How many messages of a room are kept for replies, edits and delivery states. */
const ENTRIES_MAX = 2_000;

/** Everything that the chat knows. */
export class ChatModel {
  /** This person, hexadecimal; empty until the host has said who. */
  me = '';
  readonly rooms: Map<string, ChatRoom> = new Map();
  /** Messages of the room that is shown, oldest first; those on their way are the last. */
  entries: Entry[] = [];
  /** Own messages on their way, of all rooms. */
  readonly pending: Set<Entry> = new Set();
  #listed: ReadonlySet<string> = new Set();
  readonly #names = new Map<string, string>();
  #alike: ReadonlySet<string> = new Set();

  /** The people that were heard of, by id. */
  get names(): ReadonlyMap<string, string> {
    return this.#names;
  }

  /** The names of the rooms that the host listed: those that there are. */
  get listed(): readonly string[] {
    return [...this.#listed];
  }

  /** Whether the host listed a room: something may have come of one that is gone. */
  isListed(room: string): boolean {
    return this.#listed.has(room);
  }

  /** Give a room, which is made when nothing is known of it yet. */
  room(name: string): ChatRoom {
    const known = this.rooms.get(name);
    if (known !== undefined) return known;
    const room: ChatRoom = {
      name,
      topic: '',
      role: Role.UNSPECIFIED,
      lastCursor: 0,
      readCursor: 0,
      unread: false,
      people: new Map(),
      typing: new Map(),
    };
    this.rooms.set(name, room);
    return room;
  }

  /** Take the host's list of rooms; what is not in it is gone. */
  setRooms(rooms: readonly Room[]): void {
    this.#listed = new Set(rooms.map(({ name }) => name));
    for (const name of this.rooms.keys()) if (!this.#listed.has(name)) this.rooms.delete(name);
    for (const { name, topic, role, lastCursor, readCursor } of rooms) {
      const room = this.room(name);
      room.topic = topic;
      room.role = role;
      room.lastCursor = Math.max(room.lastCursor, Number(lastCursor));
      room.readCursor = Math.max(room.readCursor, Number(readCursor));
      room.unread = room.lastCursor > room.readCursor;
    }
  }

  /** Take the host's list of the people of a room. */
  setPeople(name: string, people: readonly Person[]): void {
    const room = this.room(name);
    room.people.clear();
    for (const { personId, name: called, role, online, delivered, read } of people) {
      const person = hex(personId);
      const marks = { delivered: Number(delivered), read: Number(read) };
      room.people.set(person, { name: called, role, online, ...marks });
      this.learnName(person, called);
    }
  }

  /** Note how a person is called. */
  learnName(person: string, name: string): void {
    if (this.#names.get(person) === name) return;
    this.#names.set(person, name);
    this.#alike = confusable(this.#names);
  }

  /** The name as it is shown: with a part of the id when it can be taken for somebody else's. */
  nameOf(person: string, name: string = this.#names.get(person) ?? person.slice(0, 8)): string {
    return this.#alike.has(person) ? `${name} (${person.slice(0, 4)})` : name;
  }

  /** The name of a room as it is shown: told apart from those that look like it. */
  roomName(name: string): string {
    return shownRoom(name, this.rooms.keys());
  }

  /** Begin to show a room. Own messages that are on their way to it are there at once. */
  show(room: string): void {
    this.entries = [...this.pending].filter(entry => entry.room === room);
  }

  /** Add an own message that is on its way. */
  begin(said: Pick<Entry, 'id' | 'room' | 'text' | 'atMs' | 'replyTo'>): Entry {
    const name = this.#names.get(this.me) ?? this.me.slice(0, 8);
    const state = { cursor: 0, edited: false, deleted: false, failed: undefined, act: undefined };
    const entry: Entry = { ...said, person: this.me, name, ...state };
    this.pending.add(entry);
    this.entries.push(entry);
    return entry;
  }

  /** Take a message of the room that is shown. Undefined when it changes nothing that can be seen. */
  take(item: ControlItem): { readonly entry: Entry; readonly isNew: boolean } | undefined {
    const cursor = Number(item.cursor);
    // Nobody can do anything to an operator by name.
    if (!isOperators(item)) this.learnName(hex(item.personId), item.name);
    const act = item.extra?.act;
    if (act?.case === 'rename') this.learnName(hex(item.personId), act.value.name);
    const target = Number(act?.case === 'delete' ? act.value.cursor : (item.extra?.edits ?? 0n));
    if (target > 0) {
      const entry = this.entries.find(known => known.cursor === target);
      if (entry === undefined) return undefined;
      if (act?.case === 'delete') entry.deleted = true;
      else [entry.text, entry.edited] = [item.text, true];
      return { entry, isNew: false };
    }
    const known = this.#known(item);
    if (known !== undefined) {
      if (known.cursor === 0) this.arrived(known, cursor);
      known.name = item.name;
      return { entry: known, isNew: false };
    }
    const entry = this.entryOf(item);
    this.#insert(entry);
    if (this.entries.length > ENTRIES_MAX) this.entries.shift();
    return { entry, isNew: true };
  }

  /** Take messages that were before those that are shown; gives those that can be seen. */
  takePast(items: readonly ControlItem[]): readonly Entry[] {
    const past = items.flatMap(item => {
      const isChange = item.extra?.act.case === 'delete' || (item.extra?.edits ?? 0n) > 0n;
      return isChange || this.#known(item) !== undefined ? [] : [this.entryOf(item)];
    });
    this.entries.unshift(...past);
    return past;
  }

  /** The host has an own message. */
  arrived(entry: Entry, cursor: number): void {
    entry.cursor = cursor;
    this.pending.delete(entry);
    const at = this.entries.indexOf(entry);
    if (at < 0) return;
    this.entries.splice(at, 1);
    this.#insert(entry);
  }

  /** An own message will never arrive. */
  refused(entry: Entry, why: string): void {
    entry.failed = why;
    this.pending.delete(entry);
  }

  /**
   * The newest own message, or the newest of another, that can be edited, taken back or replied to; `number` names one
   * by its cursor. An own one may still be on its way: what was meant is not the one before it.
   */
  find(whose: 'own' | 'other', number: number | undefined): Entry | undefined {
    return this.entries.findLast(entry => {
      const isMessage = entry.act === undefined && !entry.deleted && entry.failed === undefined;
      if (number !== undefined) return isMessage && entry.cursor === number;
      return isMessage && (whose === 'own') === (entry.person === this.me);
    });
  }

  /** Make an entry of a message without keeping it. */
  entryOf(item: ControlItem): Entry {
    return {
      id: hex(item.messageId),
      person: hex(item.personId),
      room: item.room,
      cursor: Number(item.cursor),
      name: item.name,
      text: item.text,
      atMs: Number(item.storedAtMs),
      replyTo: Number(item.extra?.replyTo ?? 0n),
      edited: item.edited,
      deleted: item.deleted,
      failed: undefined,
      act: actText(item, (person, name) => this.nameOf(person, name)),
    };
  }

  /** How far an own message has come; empty for those of others. What each means: spec/11-chat.md, 11.8. */
  state(entry: Entry): string {
    if (entry.person !== this.me || entry.act !== undefined || entry.deleted) return '';
    if (entry.failed !== undefined) return `not sent: ${entry.failed}`;
    if (entry.cursor === 0) return 'sending';
    const others = [...this.room(entry.room).people].filter(
      ([person, { role }]) => person !== this.me && role !== Role.BOT,
    );
    const read = others.filter(([, mark]) => mark.read >= entry.cursor).length;
    const delivered = others.filter(([, mark]) => Math.max(mark.read, mark.delivered) >= entry.cursor).length;
    const all = others.length;
    if (all > 0 && read === all) return 'read';
    if (read > 0) return `read ${read}/${all}`;
    if (all > 0 && delivered === all) return 'delivered';
    return delivered > 0 ? `delivered ${delivered}/${all}` : 'sent';
  }

  /** The same as it is shown: at the newest message of each state, because what is before it came as far. */
  shownState(entry: Entry): string {
    const state = this.state(entry);
    if (state === '' || entry.failed !== undefined) return state;
    const at = this.entries.indexOf(entry);
    const next = this.entries.find(
      (other, i) => i > at && other.failed === undefined && this.state(other) !== '',
    );
    return at < 0 || (next !== undefined && this.state(next) === state) ? '' : state;
  }

  /** Who is writing in a room. */
  typing(name: string, now: number): readonly string[] {
    const typing = this.rooms.get(name)?.typing ?? new Map<string, never>();
    for (const [person, { untilMs }] of typing) if (untilMs <= now) typing.delete(person);
    return [...typing].map(([person, { name: called }]) => this.nameOf(person, called));
  }

  /** Somebody is writing, as far as is known until `TYPING_MS` later. */
  setTyping(name: string, person: string, called: string, now: number): void {
    this.rooms.get(name)?.typing.set(person, { name: called, untilMs: now + TYPING_MS });
  }

  /** Say that somebody let this person into a room; undefined when that is no news, or something else happened. */
  letIn(item: ControlItem): string | undefined {
    const act = item.extra?.act;
    if (act?.case !== 'grant' || act.value.role === Role.UNSPECIFIED) return undefined;
    const [by, to] = [hex(item.personId), hex(act.value.personId)];
    const role = this.rooms.get(item.room)?.role ?? Role.UNSPECIFIED;
    if (to !== this.me || role !== Role.UNSPECIFIED || (by === to && !isOperators(item))) return undefined;
    const who = isOperators(item) ? 'the operator' : this.nameOf(by, item.name);
    return `${who} let you into ${this.roomName(item.room)}; to go there: /join ${item.room}`;
  }

  #known(item: ControlItem): Entry | undefined {
    const id = hex(item.messageId);
    return this.entries.findLast(entry => entry.id === id || entry.cursor === Number(item.cursor));
  }

  /** Put a message where its cursor belongs, before those that are on their way. */
  #insert(entry: Entry): void {
    const at = this.entries.findLastIndex(({ cursor }) => cursor > 0 && cursor < entry.cursor);
    const first = this.entries.findIndex(({ cursor }) => cursor === 0 || cursor > entry.cursor);
    this.entries.splice(at >= 0 ? at + 1 : Math.max(0, first), 0, entry);
  }
}
