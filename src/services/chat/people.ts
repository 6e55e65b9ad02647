/** The people behind the devices of a host, who of them is here, and what is told of them (spec/11-chat.md, 11.8). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StoredPersonSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { DEVICE_INVITES_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { hex, KEY_END, parseHex } from './bytes.ts';
import { encodeReply } from './reply.ts';

const PERSONS = 'chat/person/';
const INVITED = 'chat/invited/';
const NAMES = 'chat/name/';

/** A device as a person's. Both ids are hexadecimal. */
interface Known {
  readonly person: string;
  readonly name: string;
}

/** A stream that said hello. */
export interface Guest {
  readonly device: string;
  readonly person: string;
  readonly name: string;
  /** Queue what may replace an earlier one of the same key, and is sent when there is room. */
  tell(key: string, message: Uint8Array): void;
  /** Send now, or not at all. */
  whisper(message: Uint8Array): void;
}

/** Persons by device, and the streams that want to hear of them. */
export class People {
  readonly #devices = new Map<string, Known>();
  readonly #invited = new Map<string, string>();
  /** Names that persons took. */
  readonly #names = new Map<string, string>();
  readonly #guests = new Set<Guest>();

  /** Read what there is. */
  static async open(database: ServiceDatabase): Promise<People> {
    const people = new People();
    for (const { key, value } of await database.range({ gte: PERSONS, lt: PERSONS + KEY_END })) {
      const { personId, name } = fromBinary(StoredPersonSchema, value);
      people.#devices.set(key.slice(PERSONS.length), { person: hex(personId), name });
    }
    for (const { key, value } of await database.range({ gte: INVITED, lt: INVITED + KEY_END })) {
      people.#invited.set(key.slice(INVITED.length), hex(fromBinary(StoredPersonSchema, value).personId));
    }
    for (const { key, value } of await database.range({ gte: NAMES, lt: NAMES + KEY_END })) {
      people.#names.set(key.slice(NAMES.length), fromBinary(StoredPersonSchema, value).name);
    }
    return people;
  }

  /** The name that a person's messages carry; `name` is the device's. */
  nameOf(person: string, name: string): string {
    return this.#names.get(person) ?? name;
  }

  /** A person takes another name; give the write. @impl CH-048~1 */
  rename(person: string, name: string): DatabaseOperation {
    this.#names.set(person, name);
    return put(NAMES + person, person, name);
  }

  /** Whose device it is: of whoever invited it as theirs, else a person of its own. @impl CH-044~1 */
  personOf(device: string): string {
    return this.#devices.get(device)?.person ?? device;
  }

  /** Every person who has said hello, with the name of a device, those that are here first. */
  get names(): ReadonlyMap<string, string> {
    const names = new Map<string, string>();
    for (const { person, name } of this.#devices.values()) names.set(person, name);
    for (const { person, name } of this.#guests) names.set(person, name);
    for (const person of names.keys()) names.set(person, this.nameOf(person, names.get(person) ?? ''));
    return names;
  }

  isOnline(person: string): boolean {
    return [...this.#guests].some(guest => guest.person === person);
  }

  /** Somebody said hello: tell everybody, and give the write that remembers the device. */
  arrive(guest: Guest): readonly DatabaseOperation[] {
    const wasOnline = this.isOnline(guest.person);
    this.#guests.add(guest);
    if (!wasOnline) this.#tellPresence(guest, true);
    const seen = new Set<string>();
    for (const other of this.#guests) {
      if (other.person === guest.person || seen.has(other.person)) continue;
      seen.add(other.person);
      guest.tell(`presence/${other.person}`, presence(other, true));
    }
    const known = this.#devices.get(guest.device);
    if (known?.name === guest.name) return [];
    this.#devices.set(guest.device, { person: guest.person, name: guest.name });
    return [put(PERSONS + guest.device, guest.person, guest.name)];
  }

  /** A stream that said hello is over. */
  leave(guest: Guest): void {
    if (this.#guests.delete(guest) && !this.isOnline(guest.person)) this.#tellPresence(guest, false);
  }

  /** Tell everybody who may hear it, in place of an earlier word on the same. */
  tell(key: string, message: Uint8Array, to: (guest: Guest) => boolean): void {
    for (const guest of this.#guests) if (to(guest)) guest.tell(key, message);
  }

  /** Tell everybody who has room for it just now. */
  whisper(message: Uint8Array, to: (guest: Guest) => boolean): void {
    for (const guest of this.#guests) if (to(guest)) guest.whisper(message);
  }

  /** Whether this person may have one more invite for a device. */
  mayInvite(person: string): boolean {
    return [...this.#invited.values()].filter(by => by === person).length < DEVICE_INVITES_MAX;
  }

  /** Whoever comes with this invite is this person; give the write. */
  invited(invite: string, person: string): DatabaseOperation {
    this.#invited.set(invite, person);
    return put(INVITED + invite, person, '');
  }

  /** A device came with an invite; give the write for the commit that enrols it. */
  claimed(invite: string, device: string, name: string): readonly DatabaseOperation[] {
    const person = this.#invited.get(invite);
    if (person === undefined || this.#devices.has(device)) return [];
    this.#devices.set(device, { person, name });
    return [put(PERSONS + device, person, name)];
  }

  /** An invite is no more; give the write. */
  inviteGone(invite: string): readonly DatabaseOperation[] {
    return this.#invited.delete(invite) ? [{ kind: 'delete', key: INVITED + invite }] : [];
  }

  /** A device is no more. Gives the write, and whether it was the person's last. */
  forget(device: string): { readonly operations: readonly DatabaseOperation[]; readonly last: boolean } {
    const person = this.personOf(device);
    const known = this.#devices.delete(device);
    const last = [...this.#devices.values()].every(other => other.person !== person);
    const gone = known ? [PERSONS + device] : [];
    if (last && this.#names.delete(person)) gone.push(NAMES + person);
    return { operations: gone.map(key => ({ kind: 'delete', key })), last };
  }

  #tellPresence(about: Guest, online: boolean): void {
    const message = presence(about, online);
    this.tell(`presence/${about.person}`, message, ({ person }) => person !== about.person);
  }
}

function presence({ person, name }: Guest, online: boolean): Uint8Array {
  return encodeReply(0, { case: 'presence', value: { personId: parseHex(person), name, online } });
}

function put(key: string, person: string, name: string): DatabaseOperation {
  const stored = create(StoredPersonSchema, { personId: parseHex(person), name });
  return { kind: 'put', key, value: toBinary(StoredPersonSchema, stored) };
}
