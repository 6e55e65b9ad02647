/** The commands of `clawchat` about rooms, people and further devices, for scripts. Chapter: spec/11-chat.md, 11.3. */
import { basename, resolve } from 'node:path';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { isFault } from '../../protocol/fault.ts';
import { parseInviteInput } from '../../protocol/invite.ts';
import { refuseUnwritable, writeFileAtomic } from '../files.ts';
import { native } from '../native.ts';
import type { OwnerLink } from '../owner-link.ts';
import {
  type ActInit,
  createAct,
  explained,
  findPerson,
  keepMs,
  keepText,
  renameAct,
  roleName,
  roleNames,
  roleOf,
  sendAct,
  topicAct,
} from './acts.ts';
import { type Call, type Command, type Option, usage, wholeNumber } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { hex, jsonLine, line, takesColour, timeText } from './output.ts';
import { drawQr } from './qr.ts';
import { reachClient, TIMEOUT } from './reach-client.ts';
import { roomName, roomOption, shownRoom } from './room-words.ts';
import { harmlessLine } from './terminal-text.ts';
import { shellWord, typedElsewhere } from './typed-command.ts';

async function rooms(call: Call, link: OwnerLink, signal: AbortSignal): Promise<void> {
  const found = expectAnswer(await link.call({ case: 'rooms', value: {} }, signal), 'rooms').rooms;
  for (const { name, topic, closed, role, keepMs: kept, lastCursor, readCursor } of found) {
    const part = roleName(role);
    if (call.on('json')) {
      const cursors = { last_cursor: lastCursor, read_cursor: readCursor };
      jsonLine({ room: name, topic, closed, role: part, keep_ms: kept, ...cursors });
      continue;
    }
    const about = [part, closed ? 'closed' : '', kept > 0n ? `kept ${keepText(kept)}` : ''].filter(
      text => text !== '',
    );
    const tail = about.length === 0 ? '' : ` (${about.join(', ')})`;
    const shown = shownRoom(
      name,
      found.map(room => room.name),
    );
    line(harmlessLine(`${shown}${topic === '' ? '' : `: ${topic}`}${tail}`));
  }
}

async function peopleOf(
  link: OwnerLink,
  room: string,
  signal: AbortSignal,
): Promise<ReturnType<typeof expectAnswer<'people'>>['people']> {
  const answer = await link.call({ case: 'people', value: { room } }, signal).catch(async error => {
    throw await explained(link, error, room, signal);
  });
  return expectAnswer(answer, 'people').people;
}

async function people(call: Call, link: OwnerLink, signal: AbortSignal): Promise<void> {
  for (const person of await peopleOf(link, roomOption(call, 'lobby'), signal)) {
    const { personId, name, role, online, delivered, read } = person;
    if (call.on('json')) jsonLine({ person: personId, name, role: roleName(role), online, delivered, read });
    else
      line(
        `${hex(personId)}  ${online ? 'here' : 'away'}  ${roleName(role).padEnd(6)}  ${harmlessLine(name)}`,
      );
  }
}

/** The person who is meant, by anything that the lobby or the room knows of them. */
async function personId(
  link: OwnerLink,
  room: string,
  name: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const known = [...(await peopleOf(link, 'lobby', signal)), ...(await peopleOf(link, room, signal))];
  const names = new Map(known.map(person => [hex(person.personId), person.name]));
  return Uint8Array.from(Buffer.from(findPerson(names, name), 'hex'));
}

async function roomAct(call: Call, link: OwnerLink, signal: AbortSignal): Promise<ActInit> {
  const [verb = '', typed = '', ...rest] = call.words;
  const room = roomName(typed);
  const [first, second] = rest;
  const need = (text: string | undefined, what: string): string => {
    if (text === undefined) throw usage(`\`clawchat room ${verb} ${room} ${what}\``);
    return text;
  };
  switch (verb) {
    case 'create':
      return createAct(room, call.text('topic') ?? '', call.on('closed'));
    case 'join':
    case 'leave':
      return { case: verb, value: {} };
    case 'delete':
      return { case: 'remove', value: {} };
    case 'topic':
      return topicAct(need(first, 'TEXT'));
    case 'keep':
      return { case: 'keep', value: { keepMs: BigInt(keepMs(need(first, 'TIME|forever'))) } };
    case 'invite': {
      const who = await personId(link, room, need(first, 'PERSON'), signal);
      return { case: 'grant', value: { personId: who, role: Role.MEMBER } };
    }
    case 'role': {
      const role = roleOf(need(second, `PERSON ${roleNames.join('|')}`));
      if (role === undefined) throw usage(`a role is ${roleNames.join(', ')}, not '${second}'`);
      return { case: 'grant', value: { personId: await personId(link, room, first ?? '', signal), role } };
    }
    default:
      throw usage(`there is no 'room ${verb}': create, join, leave, topic, keep, invite, role, delete`);
  }
}

/** Do it, and say as JSON what was done in the words of the command that asked for it. */
async function done(
  call: Call,
  link: OwnerLink,
  act: ActInit,
  { verb, room }: { readonly verb: string; readonly room: string },
  signal: AbortSignal,
): Promise<void> {
  const cursor = await sendAct(link, act, room, signal);
  if (call.on('json')) jsonLine({ done: verb, room, ...what(act), cursor });
}

/** To whom or what it was done. */
function what(act: ActInit): Readonly<Record<string, unknown>> {
  switch (act.case) {
    case 'grant':
      return { person: act.value.personId, role: roleName(act.value.role ?? Role.UNSPECIFIED) || 'none' };
    case 'delete':
      return { message: act.value.cursor };
    case 'keep':
      return { keep_ms: act.value.keepMs };
    case 'topic':
      return { topic: act.value.topic };
    case 'rename':
      return { name: act.value.name };
    default:
      return {};
  }
}

async function inviteDevice(call: Call, link: OwnerLink, signal: AbortSignal): Promise<void> {
  const named = call.text('file');
  const file = named === undefined ? undefined : resolve(named);
  if (file !== undefined && call.on('qr')) throw usage('--qr draws the invite alone: leave --file out');
  // Before the invite is made: one that cannot be handed over is open for nothing.
  if (file !== undefined) await refuseUnwritable(file);
  const value = { name: call.text('name') ?? '' };
  const made = expectAnswer(await link.call({ case: 'deviceInvite', value }, signal), 'deviceInvite');
  const invite = harmlessLine(made.invite);
  const isLocal = namesFilesOnly(made.invite);
  if (file !== undefined) await writeBundle(link, file, made.invite);
  if (call.on('json')) {
    const form = file === undefined ? { invite, local_stores_only: isLocal } : { file };
    jsonLine({ ...form, expires_at_ms: made.expiresAtMs });
    return;
  }
  if (call.on('qr')) for (const row of drawQr(invite, { colour: takesColour(), isLight: false })) line(row);
  if (file === undefined) line(invite);
  else process.stderr.write(`wrote ${file}: it is a secret until it is used\n`);
  const join = `clawchat join${file === undefined ? '' : ` ${shellWord(basename(file))}`}`;
  const said = [
    `works once, until ${timeText(made.expiresAtMs)}; on the other device: ${typedElsewhere(join)}`,
  ];
  if (file === undefined && isLocal)
    said.push('For a device on another machine add --file: the host has no store that both reach.');
  process.stderr.write(`${said.join('\n')}\n`);
}

/** Whether whoever holds this invite finds the host on one machine only. */
function namesFilesOnly(text: string): boolean {
  const parsed = parseInviteInput(native, new TextEncoder().encode(text));
  return !isFault(parsed) && parsed.invite.stores.every(({ kind }) => kind === 'local');
}

/** The invite is handed over in any case: as text when the file cannot be written after all. */
async function writeBundle(link: OwnerLink, file: string, invite: string): Promise<void> {
  try {
    const { bundle } = expectAnswer(await link.call({ case: 'bundle', value: { invite } }), 'bundled');
    await writeFileAtomic(file, bundle);
  } catch (error) {
    line(harmlessLine(invite));
    throw error;
  }
}

type Work = (call: Call, link: OwnerLink, signal: AbortSignal) => Promise<void>;

function run(work: Work): Command['run'] {
  return async call => {
    await reachClient(call, (link, signal) => work(call, link, signal));
    return EXIT_OK;
  };
}

const ROOM: Option = { value: 'ROOM', help: 'which room (default: lobby)' };

/** About rooms, people, and what was sent. */
export const ROOM_COMMANDS: readonly Command[] = [
  {
    name: 'rooms',
    summary: 'list the rooms that this person sees',
    options: { timeout: TIMEOUT },
    run: run(rooms),
  },
  {
    name: 'people',
    summary: 'list the people of a room',
    options: { room: ROOM, timeout: TIMEOUT },
    run: run(people),
  },
  {
    name: 'room',
    words: 'create|join|leave|topic|keep|invite|role|delete ROOM ...',
    count: [2, 4],
    summary:
      'make a room, join or leave it, say what it is about, who is in it, how long messages are kept; delete it',
    details: [
      'room create ROOM [--topic TEXT] [--closed]   room join ROOM   room leave ROOM   room topic ROOM TEXT',
      `room keep ROOM 30d|forever   room invite ROOM PERSON   room role ROOM PERSON ${roleNames.join('|')}`,
      'room delete ROOM   deletes the room with all its messages, for everybody',
      'A person is named by name, or by the id that "people" shows: all of it, or its first 4 digits and more.',
    ],
    options: {
      topic: { value: 'TEXT', help: 'with create: what the room is about' },
      closed: { help: 'with create: only its people see it' },
      timeout: TIMEOUT,
    },
    run: run(async (call, link, signal) => {
      const act = await roomAct(call, link, signal);
      const [verb = '', room = ''] = call.words;
      await done(call, link, act, { verb, room: roomName(room) }, signal);
    }),
  },
  {
    name: 'rename',
    words: 'NAME',
    count: [1, 1],
    summary: 'take another name, on all devices of this person',
    options: { timeout: TIMEOUT },
    run: run((call, link, signal) => {
      return done(call, link, renameAct(call.words[0] ?? ''), { verb: 'rename', room: 'lobby' }, signal);
    }),
  },
  {
    name: 'delete',
    words: 'CURSOR',
    count: [1, 1],
    summary: 'take back a message: its text is gone for everybody',
    options: { room: ROOM, timeout: TIMEOUT },
    run: run((call, link, signal) => {
      const cursor = wholeNumber(call.words[0] ?? '', 'CURSOR', 1, Number.MAX_SAFE_INTEGER);
      const act: ActInit = { case: 'delete', value: { cursor: BigInt(cursor) } };
      return done(call, link, act, { verb: 'delete', room: roomOption(call, 'lobby') }, signal);
    }),
  },
  {
    name: 'invite-device',
    summary: 'make an invite for another device of yours, and print it alone on standard output',
    details: [
      'The device that joins with it is the same person: one name, and what one has read all have read.',
    ],
    options: {
      name: { value: 'NAME', help: 'name of the device' },
      qr: { help: 'draw it as a QR code too, for the camera of the other device' },
      file: {
        value: 'OUT',
        help: 'write a file with the invite and the address of the host instead, for joining without a store',
      },
      timeout: TIMEOUT,
    },
    run: run(inviteDevice),
  },
];
