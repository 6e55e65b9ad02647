/** What can be typed behind a slash in `clawchat chat`. Chapter: spec/11-chat.md. */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import type { Chat } from './chat.ts';
import { roleName, roleOf } from './chat-model.ts';
import { expectAnswer } from './directory.ts';
import { timeText } from './output.ts';

interface ChatCommand {
  readonly words: string;
  readonly help: string;
  readonly run: (chat: Chat, rest: string) => Promise<unknown> | undefined;
}

const DAY_MS = 86_400_000;

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
  if (rest === 'on' || rest === 'off') chat[what] = rest === 'on';
  chat.note(`${what} ${chat[what] ? 'on' : 'off'}`);
  if (what === 'numbers') chat.redrawAll();
}

/** Find somebody by name and do something, or say that there is nobody. */
function withPerson(chat: Chat, name: string, work: (person: Uint8Array) => void): undefined {
  const person = chat.model.findPerson(name);
  if (person === undefined) chat.note(`no one person here is called ${name}: /people lists them`);
  else work(Uint8Array.from(Buffer.from(person, 'hex')));
}

function about(chat: Chat, rest: string, act: 'edit' | 'delete' | 'reply'): undefined {
  const { number, text } = numbered(rest);
  const entry = chat.find(act === 'reply' ? 'other' : 'own', number);
  if (entry === undefined) chat.note(`there is no message to ${act}`);
  else if (act === 'delete') {
    chat.send('', { act: { case: 'delete', value: { cursor: BigInt(entry.cursor) } } }, entry.room);
  } else if (text === '') chat.note(`/${act} [#NUMBER] TEXT`);
  else if (act === 'edit') chat.send(text, { edits: BigInt(entry.cursor) }, entry.room);
  else chat.send(text, { replyTo: BigInt(entry.cursor) }, entry.room);
}

async function people(chat: Chat): Promise<void> {
  await chat.refreshPeople(chat.room);
  const shown = [...chat.model.room(chat.room).people].map(([person, { name, role, online }]) => {
    const what = role === Role.MEMBER ? '' : ` ${roleName(role)}`;
    return `${chat.model.nameOf(person, name)}${what}${online ? '' : ' (away)'}`;
  });
  chat.note(shown.length === 0 ? 'nobody' : shown.join(', '));
}

async function rooms(chat: Chat): Promise<void> {
  await chat.refreshRooms();
  for (const { name, topic, role, unread } of chat.model.rooms.values()) {
    const part = roleName(role);
    chat.note(
      `${name}${topic === '' ? '' : `: ${topic}`}${part === '' ? '' : ` (${part})`}${unread > 0 ? ' new' : ''}`,
    );
  }
}

async function device(chat: Chat, name: string): Promise<void> {
  const made = expectAnswer(await chat.ask({ case: 'deviceInvite', value: { name } }), 'deviceInvite');
  chat.note(`on the other device, until ${timeText(made.expiresAtMs)}: clawchat join, and give it`);
  chat.note(made.invite);
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
  more: { words: '', help: 'what was before', run: chat => chat.more() },
  search: {
    words: 'TEXT',
    help: 'find messages of this room',
    run: (chat, rest) => chat.search(rest || undefined),
  },
  rooms: { words: '', help: 'list the rooms', run: rooms },
  join: {
    words: 'ROOM',
    help: 'go to a room, as one of its people',
    run: async (chat, rest) => {
      await chat.refreshRooms();
      const room = chat.model.rooms.get(rest);
      if (room !== undefined && room.role === Role.UNSPECIFIED) {
        chat.send('', { act: { case: 'join', value: {} } }, rest);
      }
      await chat.enter(rest || 'lobby');
    },
  },
  leave: {
    words: '',
    help: 'leave this room for the lobby',
    run: async chat => {
      if (chat.room === 'lobby') {
        chat.note('the lobby is always there; /quit ends the chat');
        return;
      }
      await chat.act({ case: 'leave', value: {} });
      await chat.enter('lobby');
    },
  },
  create: {
    words: 'ROOM [closed]',
    help: 'make a room; a closed one is seen by its people only',
    run: async (chat, rest) => {
      const [name = '', how = ''] = rest.split(' ');
      await chat.act({ case: 'create', value: { topic: '', closed: how === 'closed' } }, name);
      await chat.enter(name);
    },
  },
  topic: {
    words: 'TEXT',
    help: 'say what this room is about',
    run: (chat, rest) => chat.act({ case: 'topic', value: { topic: rest } }),
  },
  rename: {
    words: 'NAME',
    help: 'take another name',
    run: (chat, rest) => chat.act({ case: 'rename', value: { name: rest } }),
  },
  people: { words: '', help: 'who is in this room', run: people },
  invite: {
    words: 'PERSON',
    help: 'let somebody into this room',
    run: (chat, rest) =>
      withPerson(chat, rest, personId => {
        chat.send('', { act: { case: 'grant', value: { personId, role: Role.MEMBER } } });
      }),
  },
  role: {
    words: 'PERSON owner|member|guest|bot|none',
    help: 'say what somebody is in this room',
    run: (chat, rest) => {
      const at = rest.lastIndexOf(' ');
      const named = rest.slice(at + 1);
      const role = named === 'none' ? Role.UNSPECIFIED : roleOf(named);
      if (at < 0 || role === undefined) {
        chat.note('/role PERSON owner|member|guest|bot|none');
        return undefined;
      }
      return withPerson(chat, rest.slice(0, at), personId => {
        chat.send('', { act: { case: 'grant', value: { personId, role } } });
      });
    },
  },
  keep: {
    words: 'DAYS',
    help: 'keep messages of this room for so long; 0 for ever',
    run: (chat, rest) => {
      const days = /^\d+(\.\d+)?$/.test(rest) ? Number(rest) : undefined;
      if (days !== undefined) {
        return chat.act({ case: 'keep', value: { keepMs: BigInt(Math.round(days * DAY_MS)) } });
      }
      chat.note('/keep DAYS');
      return undefined;
    },
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
  device: { words: '[NAME]', help: 'an invite for another device of yours', run: device },
  quit: { words: '', help: 'end the chat', run: async chat => chat.quit() },
};

/** Their names, for completion. */
export const commandNames: readonly string[] = Object.keys(COMMANDS);

/** Do what was typed. */
export async function chatCommand(chat: Chat, name: string, rest: string): Promise<void> {
  const near = commandNames.filter(known => known.startsWith(name));
  const command = COMMANDS[name] ?? (near.length === 1 ? COMMANDS[near[0] ?? ''] : undefined);
  if (command === undefined) chat.note(`there is no /${name}; /help lists what there is`);
  else await command.run(chat, rest);
}
