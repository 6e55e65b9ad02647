/** What can be typed behind a slash in `clawchat chat`. Chapter: spec/11-chat.md. */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, fault } from '../../protocol/fault.ts';
import { LOBBY } from '../../services/chat/rooms.ts';
import { failure } from '../failure.ts';
import {
  createAct,
  findPerson,
  keepMs,
  likeText,
  renameAct,
  roleName,
  roleNames,
  roleOf,
  topicAct,
} from './acts.ts';
import type { Chat } from './chat.ts';
import { noteLines } from './chat-lines.ts';
import { usage } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { timeText } from './output.ts';
import { drawQr } from './qr.ts';
import { meantRoom, nameAndWords, quotedName, wholeName } from './room-words.ts';
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
  if (rest !== '' && rest !== 'on' && rest !== 'off') throw usage(`use: /${what} on|off`);
  if (rest !== '') {
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
  if (entry === undefined) throw failure(ErrorCode.MESSAGE_UNKNOWN, `there is no message to ${act}`);
  if (entry.cursor === 0) throw usage(`your last message is still on its way: ${act} it once it is sent`);
  chat.view.present();
  if (act === 'delete') {
    await chat.act({ case: 'delete', value: { cursor: BigInt(entry.cursor) } }, entry.room);
  } else if (text === '') throw usage(`use: /${act} [#NUMBER] TEXT`);
  else if (act === 'edit') chat.edit(entry, text);
  else chat.send(text, { replyTo: BigInt(entry.cursor) });
}

/** Say of what could not be done where one is still. */
function stillHere(chat: Chat, error: unknown, hint = ''): unknown {
  if (!(error instanceof ClawChatError)) return error;
  const text = `${error.message.replace(/^\[\w+\] /, '')}${hint}; ${chat.view.where}`;
  return new ClawChatError(fault(error.by, error.code, text), { cause: error });
}

/** Go to a room, as one of its people. @throws ClawChatError; then one is where one was */
async function join(chat: Chat, rest: string): Promise<void> {
  const typed = wholeName(rest || LOBBY);
  try {
    await chat.view.refresh();
    const name = meantRoom(typed, chat.model.listed);
    if (chat.model.isListed(name) && chat.model.room(name).role === Role.UNSPECIFIED) {
      await chat.act({ case: 'join', value: {} }, name);
    }
    await chat.view.enter(name);
  } catch (error) {
    const isUnknown = error instanceof ClawChatError && error.code === ErrorCode.ROOM_UNKNOWN;
    const hint = `: /rooms lists those that there are, /create ${quotedName(typed)} makes it`;
    throw stillHere(chat, error, isUnknown ? hint : '');
  }
}

async function leave(chat: Chat): Promise<void> {
  const { room } = chat;
  if (room === LOBBY) throw usage('the lobby is always there; /quit ends the chat');
  if (!chat.view.isGone) {
    chat.view.leaving(room);
    await chat.act({ case: 'leave', value: {} }).catch(error => {
      chat.view.stayed(room);
      throw error;
    });
  }
  await chat.view.leave(room, `you left ${room}`);
}

/** Make a room and go there; a word that says nothing is no part of the name, and no reason to make it open. */
async function create(chat: Chat, rest: string): Promise<void> {
  const { name, words } = nameAndWords(rest);
  const odd = words.find(word => word !== 'closed' && word !== 'open');
  if (odd !== undefined || words.length > 1) {
    const kinds = 'behind the name of a room stands closed, open (as without a word), or nothing';
    const whole = [name, ...words].join(' ');
    throw usage(
      `${kinds}, not '${words.join(' ')}'; a name with blanks stands in quotes: /create ${quotedName(whole)}`,
    );
  }
  await chat.act(createAct(name, '', words[0] === 'closed'), name);
  await chat.view.enter(name);
}

async function deleteRoom(chat: Chat, rest: string): Promise<void> {
  const [, typed = rest, sure] = /^(.*\S)\s+(--yes)$/s.exec(rest) ?? [];
  await chat.view.refresh();
  const room = wholeName(typed);
  if (!chat.model.isListed(room)) {
    const near = meantRoom(room, chat.model.listed);
    const text = near === room ? `there is no room '${room}'` : likeText(ErrorCode.ROOM_UNKNOWN, room, near);
    throw failure(ErrorCode.ROOM_UNKNOWN, text);
  }
  const how = `/delete-room ${quotedName(room)} --yes`;
  if (sure === undefined && !chat.screen.isTyped) {
    throw usage(
      `nothing was deleted, because nobody can be asked here: ${how} deletes it without a question`,
    );
  }
  const question = `delete ${room} with everything in it, for everybody?`;
  if (sure === undefined && !(await chat.confirm(question))) {
    chat.note('nothing was deleted');
    return;
  }
  chat.view.leaving(room);
  await chat.act({ case: 'remove', value: {} }, room).catch(error => {
    chat.view.stayed(room);
    throw error;
  });
  await chat.view.leave(room, `you deleted ${room} with everything in it`);
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
    run: join,
  },
  leave: {
    words: '',
    help: 'leave this room for the lobby',
    run: leave,
  },
  create: {
    words: 'ROOM [closed]',
    help: 'make a room; a closed one is seen by its people only, an open one by everybody',
    needsWords: true,
    run: create,
  },
  topic: {
    words: 'TEXT',
    help: 'say what this room is about',
    run: (chat, rest) => {
      if (rest !== '') return chat.act(topicAct(rest));
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
      if (at < 0 || role === undefined) throw usage(`use: /role PERSON ${roleNames.join('|')}`);
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
    words: 'ROOM [--yes]',
    help: 'delete a room of yours with all its messages, for everybody; asks before, unless --yes',
    needsWords: true,
    run: deleteRoom,
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

/** Do what was typed. A beginning that only one command has will do. @throws ClawChatError as the command does */
export async function chatCommand(chat: Chat, name: string, rest: string): Promise<void> {
  const near = NAMES.filter(known => known.startsWith(name));
  const known = NAMES.includes(name) || near.length !== 1 ? name : (near[0] ?? name);
  const command = COMMANDS[known];
  if (command === undefined) {
    const fits = name === '' ? [] : near.map(other => `/${other}`);
    throw usage(
      fits.length > 0
        ? `/${name} could be ${fits.slice(0, -1).join(', ')} or ${fits.at(-1)}`
        : `there is no /${name}; /help lists what there is, //${name} says it`,
    );
  }
  if (command.needsWords && rest === '') throw usage(`use: /${known} ${command.words}`);
  // Whoever types /leave ROOM does not mean the room that they are in.
  if (command.words === '' && rest !== '') throw usage(`/${known} takes no words: ${command.help}`);
  await command.run(chat, rest);
}
