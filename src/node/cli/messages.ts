/** Prints messages of the history, for people or as JSON. Chapter: spec/11-chat.md. */
import type { ChatContent, Person } from '../../gen/clawchat/v1/chat_pb.ts';
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { actText, roleName } from './acts.ts';
import { hex } from './output.ts';
import { harmless, harmlessLine } from './terminal-text.ts';

/** What a message does, as JSON shows it. */
function actJson(act: ChatContent['act'] | undefined): Readonly<Record<string, unknown>> {
  switch (act?.case) {
    case 'create':
      return { act: 'create', topic: act.value.topic, closed: act.value.closed };
    case 'topic':
      return { act: 'topic', topic: act.value.topic };
    case 'grant':
      return { act: 'grant', to: act.value.personId, role: roleName(act.value.role) };
    case 'keep':
      return { act: 'keep', keep_ms: act.value.keepMs };
    case 'rename':
      return { act: 'rename', new_name: act.value.name };
    case 'delete':
      return { act: 'delete', of: act.value.cursor };
    case 'join':
    case 'leave':
    case 'remove':
      return { act: act.case };
    case undefined:
      return {};
  }
}

/** A message as JSON shows it: the field names are part of the interface. What is not the case is left out. */
export function messageJson(item: ControlItem): Readonly<Record<string, unknown>> {
  const { replyTo = 0n, edits = 0n, act } = item.extra ?? {};
  return {
    cursor: Number(item.cursor),
    room: item.room,
    device: hex(item.deviceId),
    person: hex(item.personId),
    name: item.name,
    id: hex(item.messageId),
    sent_at_ms: Number(item.sentAtMs),
    stored_at_ms: Number(item.storedAtMs),
    text: item.text,
    ...(replyTo > 0n && { reply_to: replyTo }),
    ...(edits > 0n && { edits }),
    ...(item.edited && { edited: true }),
    ...(item.deleted && { deleted: true }),
    ...actJson(act),
  };
}

/** Whether it is the edit of an earlier message, which is shown with this text in its own place. */
export function isEdit({ extra }: ControlItem): boolean {
  return (extra?.edits ?? 0n) > 0n;
}

/** The names of those whom acts are about: as messages tell them, else as the host does, once it is asked. */
export class Names {
  readonly #names = new Map<string, string>();
  readonly #ask: () => Promise<readonly Person[]>;
  #isAsked = false;

  constructor(ask: () => Promise<readonly Person[]>) {
    this.#ask = ask;
  }

  /** Take a message that is about to be shown. */
  async learn({ personId, name, extra }: ControlItem): Promise<void> {
    const act = extra?.act;
    this.#names.set(hex(personId), act?.case === 'rename' ? act.value.name : name);
    if (act?.case !== 'grant' || this.#isAsked || this.#names.has(hex(act.value.personId))) return;
    this.#isAsked = true;
    // An older host does not say: then ids have to do.
    const people = await this.#ask().catch(() => []);
    for (const person of people) this.#names.set(hex(person.personId), person.name);
  }

  /** The name of a person; that of a message as it was then. */
  readonly of = (person: string, name?: string): string =>
    name ?? this.#names.get(person) ?? person.slice(0, 8);
}

/** A message as people see it: `14:03 Ann: text`, outside the lobby with its room, further lines indented. */
export function messageText(item: ControlItem, nameOf: Names['of']): string {
  const time = new Date(Number(item.storedAtMs)).toTimeString().slice(0, 5);
  const room = item.room === 'lobby' ? '' : `[${harmlessLine(item.room)}] `;
  const act = actText(item, nameOf);
  if (act !== undefined) return `${time} ${room}* ${harmlessLine(act)}`;
  const edited = item.edited || isEdit(item) ? ' (edited)' : '';
  const text = item.deleted ? '(taken back)' : `${harmless(item.text)}${edited}`;
  const [first = '', ...rest] = text.split('\n');
  const head = `${time} ${room}${harmlessLine(item.name)}: `;
  return [head + first, ...rest.map(next => ' '.repeat(6) + next)].join('\n');
}
