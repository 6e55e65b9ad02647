/** Which room is meant by what somebody typed. Chapter: spec/11-chat.md, 11.3. */
import { foldRoomName } from '../../services/chat/room-names.ts';
import type { Call } from './command-line.ts';
import { named, skeleton } from './terminal-text.ts';

/** A name as rooms have them, in whatever form it was typed or pasted. */
export function roomName(typed: string): string {
  return typed.normalize('NFC');
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
