/** The line above the one that is typed: where one is, what is new elsewhere, who writes. Chapter: spec/11-chat.md. */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import type { ChatModel } from './chat-model.ts';

/** Lay it out for the room that is shown. */
export function statusLine(
  model: ChatModel,
  shown: string,
  link: 'online' | 'connecting' | 'reconnecting',
  now: number,
): string {
  const here = [...(model.rooms.get(shown)?.people.values() ?? [])].filter(({ online }) => online).length;
  const others = [...model.rooms.values()].filter(
    ({ name, unread, role }) => unread && role !== Role.UNSPECIFIED && name !== shown,
  );
  const waiting = model.pending.size === 0 ? '' : `, ${model.pending.size} waiting`;
  const parts = [
    model.roomName(shown),
    link === 'online' ? `${here} here` : `${link} ...${waiting}`,
    others.length === 0 ? '' : `new in ${others.map(({ name }) => model.roomName(name)).join(', ')}`,
    link === 'online' ? writing(model.typing(shown, now)) : '',
  ];
  return parts.filter(part => part !== '').join(' | ');
}

function writing(names: readonly string[]): string {
  if (names.length === 0) return '';
  return `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} writing`;
}
