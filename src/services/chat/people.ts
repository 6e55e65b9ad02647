/** The people behind the devices of a host, who of them is here, and what is told of them (spec/11-chat.md, 11.8). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StoredPersonSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { DEVICE_INVITES_MAX, PERSON_DEVICES_MAX } from '../../gen/constants.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END } from './bytes.ts';
import type { Change } from './change.ts';
import { encodeReply } from './reply-writing.ts';

const PERSONS = 'chat/person/';
const INVITED = 'chat/invited/';
const NAMES = 'chat/name/';

/** How often the host looks who has lost the network, or is back. */
export const LOOK_MS = 5_000;

/** A device as a person's. Both ids are hexadecimal. */
interface Known {
  readonly person: string;
  readonly name: string;
}

/** A stream that said hello. */
export interface Guest {
  readonly device: string;
  readonly person: string;
  /** The device's. */
  readonly deviceName: string;
  /** The one that the person goes by. */
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
  /** Those of them whose device has no path. */
  readonly #away = new Set<Guest>();
  /** Streams that said hello and are not away, by person. */
  readonly #online = new Map<string, number>();
  /** Invites that are being made, by person. */
  readonly #inviting = new Map<string, number>();
  readonly #enrolled: (device: string) => string | undefined;

  private constructor(enrolled: (device: string) => string | undefined) {
    this.#enrolled = enrolled;
  }

  /** Read what there is. `enrolled` gives the name of an enrolled device. */
  static async open(
    database: ServiceDatabase,
    enrolled: (device: string) => string | undefined,
  ): Promise<People> {
    const people = new People(enrolled);
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

  /** The name that a person's messages carry: the one they took, else that of their first device. @impl CH-048~2 */
  nameOf(person: string, name: string): string {
    return this.#names.get(person) ?? this.#devices.get(person)?.name ?? name;
  }

  /** A person takes another name. @impl CH-048~2 */
  rename(person: string, name: string): Change {
    return {
      operations: [put(NAMES + person, person, name)],
      take: () => void this.#names.set(person, name),
    };
  }

  /** Whose device it is: of whoever invited it as theirs, else a person of its own. @impl CH-044~1 */
  personOf(device: string): string {
    return this.#devices.get(device)?.person ?? device;
  }

  /** Whether somebody who has a device is this person. @impl CH-055~1 */
  isThere(person: string): boolean {
    const owns = (device: string): boolean => this.personOf(device) === person;
    if (this.#enrolled(person) !== undefined && owns(person)) return true;
    return [...this.#devices.keys()].some(device => this.#enrolled(device) !== undefined && owns(device));
  }

  /** The name of somebody, whether they have said hello or not. */
  called(person: string): string {
    return this.nameOf(person, this.#enrolled(person) ?? person.slice(0, 8));
  }

  /** Every person who has said hello once, and the name that they go by. */
  get names(): ReadonlyMap<string, string> {
    const names = new Map<string, string>();
    for (const { person, name } of this.#devices.values()) names.set(person, this.nameOf(person, name));
    return names;
  }

  /** Whether a device of theirs has a stream, and a path. @impl CH-059~1 */
  isOnline(person: string): boolean {
    return this.#online.has(person);
  }

  /** Somebody said hello: tell everybody, and give the write that remembers the device. */
  arrive(guest: Guest): readonly DatabaseOperation[] {
    if (!this.#guests.has(guest)) {
      this.#guests.add(guest);
      this.#came(guest);
    }
    const seen = new Set<string>();
    for (const other of this.#guests) {
      if (other.person === guest.person || seen.has(other.person) || this.#away.has(other)) continue;
      seen.add(other.person);
      guest.tell(`presence/${other.person}`, presence(other, true));
    }
    return this.#meet(guest.device, guest.person, guest.deviceName);
  }

  /** A stream that said hello is over. */
  leave(guest: Guest): void {
    if (this.#guests.delete(guest) && !this.#away.delete(guest)) this.#went(guest);
  }

  /** Look who has lost the network, or is back: tell everybody. @impl CH-059~1 */
  look(isAway: (device: string) => boolean): void {
    for (const guest of this.#guests) {
      if (isAway(guest.device) === this.#away.has(guest)) continue;
      if (this.#away.delete(guest)) this.#came(guest);
      else {
        this.#away.add(guest);
        this.#went(guest);
      }
    }
  }

  #came(guest: Guest): void {
    const before = this.#online.get(guest.person) ?? 0;
    this.#online.set(guest.person, before + 1);
    if (before === 0) this.#tellPresence(guest, true);
  }

  #went(guest: Guest): void {
    const left = (this.#online.get(guest.person) ?? 1) - 1;
    if (left > 0) this.#online.set(guest.person, left);
    else {
      this.#online.delete(guest.person);
      this.#tellPresence(guest, false);
    }
  }

  /** Tell everybody who may hear it, in place of an earlier word on the same. */
  tell(key: string, message: Uint8Array, to: (guest: Guest) => boolean): void {
    for (const guest of this.#guests) if (to(guest)) guest.tell(key, message);
  }

  /** Tell everybody who has room for it just now. */
  whisper(message: Uint8Array, to: (guest: Guest) => boolean): void {
    for (const guest of this.#guests) if (to(guest)) guest.whisper(message);
  }

  /** Begin to make an invite for a further device, if this person may have one more. @impl CH-049~1 */
  beginInvite(person: string): boolean {
    const making = this.#inviting.get(person) ?? 0;
    const open = making + [...this.#invited.values()].filter(by => by === person).length;
    const devices = [...this.#devices.values()].filter(known => known.person === person).length;
    if (open >= DEVICE_INVITES_MAX || open + devices >= PERSON_DEVICES_MAX) return false;
    this.#inviting.set(person, making + 1);
    return true;
  }

  /** The invite is made, or will not be. */
  endInvite(person: string): void {
    const making = (this.#inviting.get(person) ?? 1) - 1;
    if (making > 0) this.#inviting.set(person, making);
    else this.#inviting.delete(person);
  }

  /** Whoever comes with this invite is the person of this device; give the writes. */
  invited(
    invite: string,
    by: { readonly device: string; readonly person: string; readonly deviceName: string },
  ): readonly DatabaseOperation[] {
    this.#invited.set(invite, by.person);
    const met = this.#meet(by.device, by.person, by.deviceName);
    return [put(INVITED + invite, by.person, ''), ...met];
  }

  /** The person whose further device an invite is for; undefined for a person of its own. */
  invitedBy(invite: string): string | undefined {
    return this.#invited.get(invite);
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
    const name = this.#devices.get(device)?.name;
    const operations: DatabaseOperation[] = [];
    if (this.#devices.delete(device)) operations.push({ kind: 'delete', key: PERSONS + device });
    const last = [...this.#devices.values()].every(other => other.person !== person);
    if (!last && device === person && name !== undefined && !this.#names.has(person)) {
      // The name that they went by outlives the device that it came from.
      const { operations: named, take } = this.rename(person, name);
      take();
      operations.push(...named);
    }
    if (last && this.#names.delete(person)) operations.push({ kind: 'delete', key: NAMES + person });
    return { operations, last };
  }

  /** Remember a device and its name; give the write, if it is news. */
  #meet(device: string, person: string, name: string): readonly DatabaseOperation[] {
    if (this.#devices.get(device)?.name === name) return [];
    this.#devices.set(device, { person, name });
    return [put(PERSONS + device, person, name)];
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
