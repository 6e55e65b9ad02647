/** The commands of `clawchatd` about rooms. Chapter: spec/11-chat.md, 11.3. */
import type { ControlHostRoom, ControlRoomPerson } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { RequestInit } from '../control.ts';
import { failure } from '../failure.ts';
import type { OwnerLink } from '../owner-link.ts';
import { keepMs, keepText } from './acts.ts';
import { Asker } from './asker.ts';
import { type Call, type Command, usage } from './command-line.ts';
import { fitting, listDevices, personOf } from './device-commands.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { countText, fromNow, hex, jsonLine, line } from './output.ts';
import { reachExistingHost } from './reach-host.ts';
import { columns, harmlessLine } from './terminal-text.ts';
import { shellWord } from './typed-command.ts';

const LOBBY = 'lobby';

async function listRooms(link: OwnerLink, counts: boolean): Promise<readonly ControlHostRoom[]> {
  const value = { counts };
  return expectAnswer(await link.call({ case: 'rooms', value }), 'hostRooms').rooms;
}

/** An owner, for people. */
function ownerText({ personId, name }: ControlRoomPerson): string {
  return name === '' ? `${hex(personId).slice(0, 8)}, who is gone` : name;
}

/** How many people and messages there are in a room. */
function amount({ people, messages }: ControlHostRoom): string {
  const persons = people === 1 ? '1 person' : `${people} people`;
  return `${persons}, ${countText(Number(messages), 'message')}`;
}

/** What else there is to say about a room, for people. */
function about(room: ControlHostRoom): string {
  const { name, topic, closed, owners, lost } = room;
  if (lost) return 'nobody sees it: its record is lost; room owner gives it to somebody, room delete ends it';
  const owner = owners.length === 0 ? 'no owner' : `owner ${owners.map(ownerText).join(' and ')}`;
  return [
    name === LOBBY ? '' : owner,
    closed ? 'closed' : '',
    room.keepMs > 0n ? `kept ${keepText(room.keepMs)}` : '',
    topic === '' ? '' : `"${topic}"`,
  ]
    .filter(text => text !== '')
    .join(', ');
}

/** Lay rooms out as lines, one for each. */
function roomLines(rooms: readonly ControlHostRoom[], now: number): readonly string[] {
  const cells = rooms.map(room => {
    const last = room.lastMessageAtMs === 0n ? '' : `last ${fromNow(room.lastMessageAtMs, now)}`;
    return [harmlessLine(room.name), amount(room), last];
  });
  const widths = [0, 1, 2].map(i => Math.max(...cells.map(row => columns(row[i] ?? ''))));
  return cells.map((row, i) => {
    const padded = row.map((cell, j) => cell + ' '.repeat((widths[j] ?? 0) - columns(cell)));
    const room = rooms[i];
    return `${padded.join('  ')}  ${room === undefined ? '' : harmlessLine(about(room))}`.trimEnd();
  });
}

async function rooms(call: Call, link: OwnerLink): Promise<void> {
  const found = await listRooms(link, true);
  if (!call.on('json')) {
    for (const text of roomLines(found, Date.now())) line(text);
    return;
  }
  for (const { name, topic, closed, people, owners, messages, lost, ...numbers } of found) {
    jsonLine({
      room: name,
      topic,
      closed,
      people,
      owners: owners.map(({ personId, name: called }) => ({ person: personId, name: called })),
      messages,
      last_message_at_ms: numbers.lastMessageAtMs,
      last_cursor: numbers.lastCursor,
      keep_ms: numbers.keepMs,
      lost,
    });
  }
}

/** The person whom a device or a name means. @throws ClawChatError `DEVICE_UNKNOWN` for nobody or several */
async function person(
  link: OwnerLink,
  wanted: string,
): Promise<{ readonly id: string; readonly name: string }> {
  const all = await listDevices(link);
  const fits = fitting(all, wanted);
  const ids = [...new Set(fits.map(personOf))];
  const [id] = ids;
  if (id === undefined || ids.length > 1) {
    const what = ids.length > 1 ? `fits ${ids.length} people; give an id` : 'is nobody';
    throw failure(ErrorCode.DEVICE_UNKNOWN, `'${wanted}' ${what} (see: \`clawchatd devices\`)`);
  }
  const [device] = fits;
  return { id, name: device?.personName || (device?.name ?? '') };
}

/** The room of this name, or the one that is shown so: what nobody can type has to go as well. */
async function named(link: OwnerLink, wanted: string, counts: boolean): Promise<ControlHostRoom | undefined> {
  const all = await listRooms(link, counts);
  const shown = all.filter(({ name }) => harmlessLine(name) === wanted);
  return all.find(({ name }) => name === wanted) ?? (shown.length === 1 ? shown[0] : undefined);
}

/** Have a deletion confirmed. @throws ClawChatError `USAGE` when it was not */
async function confirm(room: ControlHostRoom): Promise<void> {
  const asker = new Asker();
  const what = `${harmlessLine(room.name)} (${amount(room)})`;
  try {
    for (;;) {
      const question = `Delete ${what} with everything in it, for everybody? [y/n] `;
      const answer = (await asker.ask(question, true))?.toLowerCase();
      if (answer === 'y' || answer === 'yes') return;
      if (answer === undefined) throw usage('nothing was deleted: answer the question, or give --yes');
      if (answer === 'n' || answer === 'no') throw usage('nothing was deleted');
    }
  } finally {
    asker.close();
  }
}

async function room(call: Call, link: OwnerLink): Promise<void> {
  const [verb = '', wanted = '', rest] = call.words;
  if (!['delete', 'owner', 'keep'].includes(verb))
    throw usage(`there is no 'room ${verb}': delete, owner, keep`);
  const isAsked = verb === 'delete' && !call.on('yes');
  const need = (what: string): string => {
    if (rest === undefined) throw usage(`use: \`clawchatd room ${verb} ${shellWord(wanted)} ${what}\``);
    return rest;
  };
  if (verb !== 'delete' && call.on('yes')) throw usage('--yes is for room delete');
  if (verb === 'delete' && rest !== undefined) throw usage('room delete takes one room');
  const found = await named(link, wanted, isAsked);
  const name = found?.name ?? wanted;
  const shown = harmlessLine(name);
  switch (verb) {
    case 'delete':
      // What is not there, and the lobby, the host refuses.
      if (isAsked && found !== undefined && name !== LOBBY) await confirm(found);
      await done(call, link, { case: 'roomDelete', value: { room: name } }, {}, `Deleted ${shown}.`);
      break;
    case 'owner': {
      const { id, name: called } = await person(link, need('PERSON'));
      const personId = Buffer.from(id, 'hex');
      const request = { case: 'roomOwner' as const, value: { room: name, personId } };
      const text = `${harmlessLine(called)} is an owner of ${shown} now.`;
      await done(call, link, request, { person: id }, text);
      break;
    }
    default: {
      const kept = keepMs(need('TIME|forever'));
      const request = { case: 'roomKeep' as const, value: { room: name, keepMs: BigInt(kept) } };
      const text = `Messages of ${shown} are kept ${keepText(kept)} now.`;
      await done(call, link, request, { keep_ms: kept }, text);
    }
  }
}

/** Ask for it, and say that it is done. */
async function done(
  call: Call,
  link: OwnerLink,
  request: Extract<RequestInit, { case: 'roomDelete' | 'roomOwner' | 'roomKeep' }>,
  what: Readonly<Record<string, unknown>>,
  text: string,
): Promise<void> {
  const { cursor } = expectAnswer(await link.call(request), 'roomDone');
  if (call.on('json')) jsonLine({ done: call.words[0], room: request.value?.room, ...what, cursor });
  else line(cursor > 0n ? text : `${text.replace(/ now\.$/, '')} already.`);
}

function run(work: (call: Call, link: OwnerLink) => Promise<void>): Command['run'] {
  return async call => {
    await reachExistingHost(call, link => work(call, link));
    return EXIT_OK;
  };
}

/** For an operator to look after rooms. */
export const HOST_ROOM_COMMANDS: readonly Command[] = [
  {
    name: 'rooms',
    summary: 'list the rooms: how much was said in them, by how many, and whose they are',
    run: run(rooms),
  },
  {
    name: 'room',
    words: 'delete|owner|keep ROOM ...',
    count: [2, 3],
    summary: 'delete a room, give it an owner, or say how long it keeps its messages',
    details: [
      'room delete ROOM         deletes it with all its messages, for everybody; asks before, unless --yes',
      'room owner ROOM PERSON   makes somebody an owner of it, beside those that it has; for a room whose owner is gone',
      'room keep ROOM 30d       how long messages are kept, also those of the lobby; "forever" for no end',
      'A person is named by name, or by a device of theirs as "devices" shows it. The people of the room see what was done.',
    ],
    options: { yes: { help: 'with delete: do not ask' } },
    run: run(room),
  },
];
