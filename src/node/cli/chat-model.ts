/** What a chat shows, as data: rooms, messages, people, and how far each has come. Chapter: spec/11-chat.md. */

import { type Person, Role, type Room } from '../../gen/clawchat/v1/chat_pb.ts';
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { TYPING_MS } from '../../gen/constants.ts';
import { hex } from './output.ts';
import { confusable } from './terminal-text.ts';

/** A message on the screen: one that the host has, or one that is on its way there. */
export interface Entry {
  /** Hexadecimal message id. */
  readonly id: string;
  /** Hexadecimal person id. */
  readonly person: string;
  readonly room: string;
  cursor: number;
  name: string;
  text: string;
  atMs: number;
  replyTo: number;
  edited: boolean;
  deleted: boolean;
  /** Why it will never be sent. */
  failed: string | undefined;
  /** What it does instead of saying something, for people. */
  act: string | undefined;
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
  unread: number;
  readonly people: Map<string, Shown>;
  readonly typing: Map<string, { readonly name: string; readonly untilMs: number }>;
}

/** How many messages are kept for replies, edits and delivery states. */
const ENTRIES_MAX = 500;

/** Everything that the chat knows. */
export class ChatModel {
  me = '';
  readonly rooms: Map<string, ChatRoom> = new Map();
  /** The newest messages of all rooms, oldest first. */
  readonly entries: Entry[] = [];
  readonly #names = new Map<string, string>();
  #alike: ReadonlySet<string> = new Set();

  room(name: string): ChatRoom {
    const known = this.rooms.get(name);
    if (known !== undefined) return known;
    const room: ChatRoom = {
      name,
      topic: '',
      role: Role.UNSPECIFIED,
      lastCursor: 0,
      readCursor: 0,
      unread: 0,
      people: new Map(),
      typing: new Map(),
    };
    this.rooms.set(name, room);
    return room;
  }

  setRooms(rooms: readonly Room[]): void {
    const names = new Set(rooms.map(({ name }) => name));
    for (const name of this.rooms.keys()) if (!names.has(name)) this.rooms.delete(name);
    for (const { name, topic, role, lastCursor, readCursor } of rooms) {
      const room = this.room(name);
      const [last, read] = [Number(lastCursor), Number(readCursor)];
      room.topic = topic;
      room.role = role;
      room.lastCursor = Math.max(room.lastCursor, last);
      room.readCursor = Math.max(room.readCursor, read);
      if (room.lastCursor > room.readCursor && room.unread === 0) room.unread = 1;
    }
  }

  setPeople(name: string, people: readonly Person[]): void {
    const room = this.room(name);
    room.people.clear();
    for (const { personId, name: called, role, online, delivered, read } of people) {
      const person = hex(personId);
      room.people.set(person, {
        name: called,
        role,
        online,
        delivered: Number(delivered),
        read: Number(read),
      });
      this.learnName(person, called);
    }
  }

  learnName(person: string, name: string): void {
    if (this.#names.get(person) === name) return;
    this.#names.set(person, name);
    this.#alike = confusable(this.#names);
  }

  /** The name as it is shown: with a part of the id when it can be taken for somebody else's. */
  nameOf(person: string, name: string = this.#names.get(person) ?? person.slice(0, 8)): string {
    return this.#alike.has(person) ? `${name} (${person.slice(0, 4)})` : name;
  }

  /** Find who is meant by a name, or by the beginning of an id. */
  findPerson(text: string): string | undefined {
    const wanted = text.toLowerCase();
    const found = [...this.#names].filter(
      ([id, name]) =>
        name.toLowerCase() === wanted ||
        this.nameOf(id).toLowerCase() === wanted ||
        (wanted.length >= 4 && id.startsWith(wanted)),
    );
    return found.length === 1 ? found[0]?.[0] : undefined;
  }

  /** Take a message from the host. Gives the entry that it changes or adds, and whether it is new here. */
  take(item: ControlItem): { readonly entry: Entry; readonly isNew: boolean } | undefined {
    const cursor = Number(item.cursor);
    const { extra } = item;
    const person = hex(item.personId);
    this.learnName(person, item.name);
    const target =
      Number(extra?.edits ?? 0n) || Number(extra?.act.case === 'delete' ? extra.act.value.cursor : 0n);
    if (target > 0 && target !== cursor) {
      const entry = this.entries.find(known => known.cursor === target);
      if (entry === undefined) return undefined;
      entry.deleted = extra?.act.case === 'delete';
      entry.edited = !entry.deleted;
      entry.text = entry.deleted ? '' : item.text;
      return { entry, isNew: false };
    }
    const known = this.entries.find(({ id }) => id === hex(item.messageId));
    if (known !== undefined) {
      known.cursor = cursor;
      known.name = item.name;
      return { entry: known, isNew: false };
    }
    const entry = this.entryOf(item);
    this.entries.push(entry);
    if (this.entries.length > ENTRIES_MAX) this.entries.shift();
    return { entry, isNew: true };
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
      act: this.#actText(item),
    };
  }

  /** How far an own message has come; empty for those of others. */
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

  /** The same as it is shown: at the newest message of each state, because what is behind it came as far. */
  shownState(entry: Entry): string {
    const state = this.state(entry);
    if (state === '' || entry.failed !== undefined) return state;
    const at = this.entries.indexOf(entry);
    const next =
      at < 0 ? undefined : this.entries.find((other, i) => i > at && this.#isOwn(other, entry.room));
    return next !== undefined && this.state(next) === state ? '' : state;
  }

  #isOwn(entry: Entry, room: string): boolean {
    return entry.room === room && this.state(entry) !== '' && entry.failed === undefined;
  }

  /** Who is writing in a room. */
  typing(name: string, now: number): readonly string[] {
    const { typing } = this.room(name);
    for (const [person, { untilMs }] of typing) if (untilMs <= now) typing.delete(person);
    return [...typing].map(([person, { name: called }]) => this.nameOf(person, called));
  }

  setTyping(name: string, person: string, called: string, now: number): void {
    this.room(name).typing.set(person, { name: called, untilMs: now + TYPING_MS });
  }

  #actText({ extra, name, room }: ControlItem): string | undefined {
    const act = extra?.act;
    switch (act?.case) {
      case 'create':
        return `${name} made ${room}${act.value.closed ? ', which only its people see' : ''}`;
      case 'join':
        return `${name} joined ${room}`;
      case 'leave':
        return `${name} left ${room}`;
      case 'topic':
        return `${name} set the topic: ${act.value.topic}`;
      case 'keep': {
        const days = Number(act.value.keepMs) / 86_400_000;
        return days === 0
          ? `${name}: messages are kept for ever`
          : `${name}: messages are kept for ${days} days`;
      }
      case 'grant': {
        const who = this.nameOf(hex(act.value.personId));
        const role = roleName(act.value.role);
        return role === '' ? `${name} sent ${who} away` : `${name} made ${who} ${role}`;
      }
      case 'rename':
        return `${name} is now called ${act.value.name}`;
      case 'delete':
        return `${name} took back a message`;
      case undefined:
        return undefined;
    }
  }
}

const ROLES: ReadonlyMap<string, Role> = new Map([
  ['owner', Role.OWNER],
  ['member', Role.MEMBER],
  ['guest', Role.GUEST],
  ['bot', Role.BOT],
]);

/** The name of a role, empty for none. */
export function roleName(role: Role): string {
  return [...ROLES].find(([, known]) => known === role)?.[0] ?? '';
}

/** The role of a name. */
export function roleOf(name: string): Role | undefined {
  return ROLES.get(name);
}
