/** What can be typed behind a slash in `clawchat chat`. Chapter: spec/11-chat.md. */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { LOBBY } from '../../services/chat/rooms.ts';
import { createAct, findPerson, keepMs, renameAct, roleName, roleNames, roleOf } from './acts.ts';
import type { Chat } from './chat.ts';
import { noteLines } from './chat-lines.ts';
import { expectAnswer } from './directory.ts';
import { timeText } from './output.ts';
import { drawQr } from './qr.ts';
import { meantRoom, roomName } from './room-words.ts';
import { harmlessLine } from './terminal-text.ts';
import { typedElsewhere } from './typed-command.ts';

interface ChatCommand {
  readonly words: string;
  readonly help: string;
  /** Nothing can be done without what `words` names. */
  readonly needsWords?: true;
  readonly run: (chat: Chat, rest: string) => Promise<unknown> | undefined;
}

/** Split off `#123`, which names a message by its number. */
function numbered(rest: string): { readonly number: number | undefined; readonly text: string } {
  const match = /^#(\d+)\s*/.exec(rest);
  return {
    number: match?.[1] === undefined ? undefined : Number(match[1]),
    text: rest.slice(match?.[0].length ?? 0),
  };
}

/** Turn a switch; without a word say how it is. */
function toggle(chat: Chat, what: 'receipts' | 'typing' | 'numbers', rest: string): undefined {
  const target = what === 'numbers' ? chat.view : chat;
  const known: { receipts: boolean; typing: boolean; numbers: boolean } = {
    receipts: chat.receipts,
    typing: chat.typing,
    numbers: chat.view.numbers,
  };
  if (rest === 'on' || rest === 'off') {
    known[what] = rest === 'on';
    Object.assign(target, { [what]: known[what] });
  }
  chat.note(`${what} ${known[what] ? 'on' : 'off'}`);
}

/** The person who is meant, as the host wants it. @throws ClawChatError `USAGE` for nobody or several */
function personOf(chat: Chat, name: string): Uint8Array<ArrayBuffer> {
  const shown = new Map([...chat.model.names.keys()].map(id => [id, chat.model.nameOf(id)]));
  const exact = [...shown].find(([, called]) => called === name)?.[0];
  return Uint8Array.from(Buffer.from(exact ?? findPerson(chat.model.names, name), 'hex'));
}

async function about(chat: Chat, rest: string, act: 'edit' | 'delete' | 'reply'): Promise<void> {
  const { number, text } = numbered(rest);
  // Whoever is no person at a keyboard cannot see when it is sent.
  if (act !== 'reply' && !chat.screen.isTerminal) await chat.allSent();
  const entry = chat.model.find(act === 'reply' ? 'other' : 'own', number);
  if (entry === undefined) chat.note(`there is no message to ${act}`);
  else if (entry.cursor === 0) chat.note(`your last message is still on its way: ${act} it once it is sent`);
  else if (act === 'delete') {
    await chat.act({ case: 'delete', value: { cursor: BigInt(entry.cursor) } }, entry.room);
  } else if (text === '') chat.note(`use: /${act} [#NUMBER] TEXT`);
  else if (act === 'edit') chat.edit(entry, text);
  else chat.send(text, { replyTo: BigInt(entry.cursor) });
}

async function people(chat: Chat): Promise<void> {
  await chat.view.refreshPeople(chat.room);
  const shown = [...chat.model.room(chat.room).people].map(([person, { name, role, online }]) => {
    const what = role === Role.MEMBER ? '' : ` ${roleName(role)}`;
    return `${chat.model.nameOf(person, name)}${what}${online ? '' : ' (away)'}`;
  });
  chat.note(shown.length === 0 ? 'nobody' : shown.join(', '));
}

async function rooms(chat: Chat): Promise<void> {
  await chat.view.refresh();
  for (const { name, topic, role, unread } of chat.model.rooms.values()) {
    const part = roleName(role);
    const tail = `${part === '' ? '' : ` (${part})`}${unread && name !== chat.room ? ' - new' : ''}`;
    chat.note(`${chat.model.roomName(name)}${topic === '' ? '' : `: ${topic}`}${tail}`);
  }
}

async function device(chat: Chat, name: string): Promise<void> {
  const made = expectAnswer(await chat.ask({ case: 'deviceInvite', value: { name } }), 'deviceInvite');
  chat.note(
    `works once, until ${timeText(made.expiresAtMs)}; on the other device run ${typedElsewhere('clawchat join')} and paste it`,
  );
  // An invite may be copied with line breaks in it.
  chat.screen.print(({ width }) => {
    const text = harmlessLine(made.invite);
    const pieces = Number.isFinite(width) ? new RegExp(`.{1,${width}}`, 'gu') : /.+/gu;
    return text.match(pieces) ?? [];
  });
  if (chat.screen.isTerminal) showQr(chat, made.invite);
}

/** Show a QR code as long as all of it fits on the screen. */
function showQr({ screen }: Chat, text: string): void {
  const [plain, coloured] = [false, true].map(colour => drawQr(text, { colour, isLight: false }));
  const [rows, columns] = [plain?.length ?? 0, plain?.[0]?.length ?? 0];
  screen.print(look => {
    if (rows <= screen.room && columns <= look.width) return (look.colour ? coloured : plain) ?? [];
    const needed = `${columns} columns and ${rows + screen.rows - screen.room} rows`;
    return noteLines([`a terminal of ${needed} shows it as a QR code`], look);
  });
}

const COMMANDS: Readonly<Record<string, ChatCommand>> = {
  help: {
    words: '',
    help: 'this list',
    run: chat => {
      for (const [name, { words, help }] of Object.entries(COMMANDS)) {
        chat.note(`/${name}${words === '' ? '' : ` ${words}`}: ${help}`);
      }
    },
  },
  more: { words: '', help: 'what was before', run: chat => chat.view.more() },
  search: {
    words: 'TEXT',
    help: 'find messages of this room',
    run: (chat, rest) => chat.view.search(rest || undefined),
  },
  rooms: { words: '', help: 'list the rooms', run: rooms },
  join: {
    words: 'ROOM',
    help: 'go to a room, as one of its people',
    run: async (chat, rest) => {
      await chat.view.refresh();
      const name = meantRoom(rest || LOBBY, [...chat.model.rooms.keys()]);
      const room = chat.model.rooms.get(name);
      if (room !== undefined && room.role === Role.UNSPECIFIED) {
        await chat.act({ case: 'join', value: {} }, name);
      }
      await chat.view.enter(name);
    },
  },
  leave: {
    words: '',
    help: 'leave this room for the lobby',
    run: async chat => {
      if (chat.room === LOBBY) {
        chat.note('the lobby is always there; /quit ends the chat');
        return;
      }
      await chat.act({ case: 'leave', value: {} });
      await chat.view.enter(LOBBY);
    },
  },
  create: {
    words: 'ROOM [closed]',
    help: 'make a room; a closed one is seen by its people only',
    needsWords: true,
    run: async (chat, rest) => {
      const [typed = '', how = ''] = rest.split(/ +(?=closed$)/);
      const name = roomName(typed);
      await chat.act(createAct(name, '', how === 'closed'), name);
      await chat.view.enter(name);
    },
  },
  topic: {
    words: 'TEXT',
    help: 'say what this room is about',
    run: (chat, rest) => {
      if (rest !== '') return chat.act({ case: 'topic', value: { topic: rest } });
      const topic = chat.model.rooms.get(chat.room)?.topic ?? '';
      chat.note(`${topic === '' ? 'there is no topic' : `the topic is: ${topic}`}; /topic TEXT sets it`);
      return undefined;
    },
  },
  rename: {
    words: 'NAME',
    help: 'take another name',
    needsWords: true,
    run: async (chat, rest) => chat.act(renameAct(rest)),
  },
  people: { words: '', help: 'who is in this room', run: people },
  invite: {
    words: 'PERSON',
    help: 'let somebody into this room',
    needsWords: true,
    run: (chat, rest) =>
      chat.act({ case: 'grant', value: { personId: personOf(chat, rest), role: Role.MEMBER } }),
  },
  role: {
    words: `PERSON ${roleNames.join('|')}`,
    help: 'say what somebody is in this room',
    run: (chat, rest) => {
      const at = rest.lastIndexOf(' ');
      const role = roleOf(rest.slice(at + 1));
      if (at < 0 || role === undefined) {
        chat.note(`use: /role PERSON ${roleNames.join('|')}`);
        return undefined;
      }
      return chat.act({ case: 'grant', value: { personId: personOf(chat, rest.slice(0, at)), role } });
    },
  },
  keep: {
    words: '30d|12h|forever',
    help: 'keep messages of this room for so long',
    needsWords: true,
    run: (chat, rest) => chat.act({ case: 'keep', value: { keepMs: BigInt(keepMs(rest)) } }),
  },
  'delete-room': {
    words: 'ROOM',
    help: 'delete a room of yours with all its messages, for everybody',
    needsWords: true,
    run: (chat, rest) => chat.act({ case: 'remove', value: {} }, roomName(rest)),
  },
  reply: {
    words: '[#N] TEXT',
    help: 'reply to the last message',
    run: (chat, rest) => about(chat, rest, 'reply'),
  },
  edit: {
    words: '[#N] TEXT',
    help: 'change your last message',
    run: (chat, rest) => about(chat, rest, 'edit'),
  },
  delete: {
    words: '[#N]',
    help: 'take back your last message',
    run: (chat, rest) => about(chat, rest, 'delete'),
  },
  numbers: {
    words: 'on|off',
    help: 'show the numbers of messages',
    run: (chat, rest) => toggle(chat, 'numbers', rest),
  },
  receipts: {
    words: 'on|off',
    help: 'tell others what you have read',
    run: (chat, rest) => toggle(chat, 'receipts', rest),
  },
  typing: {
    words: 'on|off',
    help: 'tell others that you write',
    run: (chat, rest) => toggle(chat, 'typing', rest),
  },
  'invite-device': { words: '[NAME]', help: 'an invite for another device of yours', run: device },
  quit: { words: '', help: 'end the chat', run: async chat => chat.quit() },
};

const NAMES: readonly string[] = Object.keys(COMMANDS);

/** What a line can be completed to. */
export function completeCommand(line: string, rooms: readonly string[]): readonly string[] {
  const [, join, name] = /^(\/join )(.*)$/.exec(line) ?? [];
  if (join !== undefined) return rooms.filter(room => room.startsWith(name ?? '')).map(room => join + room);
  return line.startsWith('/') ? NAMES.map(known => `/${known} `).filter(known => known.startsWith(line)) : [];
}

/** Do what was typed. A beginning that only one command has will do. */
export async function chatCommand(chat: Chat, name: string, rest: string): Promise<void> {
  const [near = '', ...others] = NAMES.filter(known => known.startsWith(name));
  const known = NAMES.includes(name) || others.length > 0 ? name : near;
  const command = COMMANDS[known];
  if (command === undefined) chat.note(`there is no /${name}; /help lists what there is`);
  else if (command.needsWords && rest === '') chat.note(`use: /${known} ${command.words}`);
  else await command.run(chat, rest);
}
