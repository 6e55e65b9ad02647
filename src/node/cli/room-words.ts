/** Which room is meant by what somebody typed. Chapter: spec/11-chat.md, 11.3. */
import { ROOM_NAME_BYTES_MAX } from '../../gen/constants.ts';
import { foldRoomName } from '../../services/chat/room-names.ts';
import { type Call, usage } from './command-line.ts';
import { named, skeleton } from './terminal-text.ts';

/** A name as rooms have them, in whatever form it was typed or pasted. @throws ClawChatError `USAGE` for one that is too long */
export function roomName(typed: string): string {
  const name = typed.normalize('NFC');
  if (Buffer.byteLength(name) <= ROOM_NAME_BYTES_MAX) return name;
  throw usage(`the name of a room has at most ${ROOM_NAME_BYTES_MAX} bytes`);
}

/** A name as it is shown among others: one that can be taken for another room's has what is not plain ASCII as numbers. */
export function shownRoom(name: string, names: Iterable<string>): string {
  const looks = skeleton(name);
  const isAlone = [...names].every(other => other === name || skeleton(other) !== looks);
  return isAlone ? name : name.replace(/[^ -~]/gu, named);
}

/** The name that `--room` gives, or another one. */
export function roomOption(call: Call, otherwise: string): string {
  return roomName(call.text('room') ?? otherwise);
}

/** The room that is meant: the one of this name, or the only one whose name reads the same. @impl CH-061~1 */
export function meantRoom(typed: string, names: readonly string[]): string {
  if (names.includes(typed)) return typed;
  const folded = foldRoomName(typed.trim());
  const [like, ...others] = names.filter(name => foldRoomName(name) === folded);
  return like !== undefined && others.length === 0 ? like : roomName(typed);
}

/** A name as a line of a chat takes it: with blanks it stands in quotes. */
export function quotedName(name: string): string {
  return /\s/.test(name) ? `"${name}"` : name;
}

/** Part a line of a chat into a name, in quotes when it has blanks, and the words behind it. @throws ClawChatError `USAGE` */
export function nameAndWords(line: string): { readonly name: string; readonly words: readonly string[] } {
  const [, quoted, plain = '', rest = ''] = /^(?:"([^"]*)"(?=\s|$)|(\S+))\s*([\s\S]*)$/.exec(line) ?? [];
  if (quoted === undefined && plain.startsWith('"')) {
    throw usage(`a name in quotes ends with one: ${line}`);
  }
  return { name: roomName(quoted ?? plain), words: rest.split(/\s+/).filter(word => word !== '') };
}

/** The room that a whole line names, with quotes or without. */
export function wholeName(line: string): string {
  return roomName(/^"([^"]+)"$/.exec(line)?.[1] ?? line);
}
