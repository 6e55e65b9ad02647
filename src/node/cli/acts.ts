/** What is done to rooms and messages, in words and by name. Chapter: spec/11-chat.md, 11.3. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ChatContentSchema, Role } from '../../gen/clawchat/v1/chat_pb.ts';
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { DEVICE_NAME_BYTES_MAX, TOPIC_BYTES_MAX } from '../../gen/constants.ts';
import { ClawChatError, fault } from '../../protocol/fault.ts';
import { checkContent, ID_BYTES } from '../../services/chat/content.ts';
import { isNewRoomName } from '../../services/chat/room-names.ts';
import { LOBBY } from '../../services/chat/rooms.ts';
import { isZero } from '../../wire/bytes.ts';
import { native } from '../native.ts';
import type { OwnerLink } from '../owner-link.ts';
import { duration, usage } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { hex } from './output.ts';
import { meantRoom } from './room-words.ts';

/** Reply, edit or act of a message. */
export type Extra = MessageInitShape<typeof ChatContentSchema>;
/** One act. */
export type ActInit = NonNullable<Extra['act']>;

const ROLES: ReadonlyMap<string, Role> = new Map([
  ['owner', Role.OWNER],
  ['member', Role.MEMBER],
  ['guest', Role.GUEST],
  ['bot', Role.BOT],
  ['none', Role.UNSPECIFIED],
]);

/** What `roleOf` takes. */
export const roleNames: readonly string[] = [...ROLES.keys()];

/** The name of a role, empty for none. */
export function roleName(role: Role): string {
  if (role === Role.UNSPECIFIED) return '';
  return [...ROLES].find(([, known]) => known === role)?.[0] ?? '';
}

/** The role of a name; "none" is none. */
export function roleOf(name: string): Role | undefined {
  return ROLES.get(name);
}

function withArticle(word: string): string {
  return `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
}

/** The act that makes a room. @throws ClawChatError `USAGE` for a name that no room may be made with */
export function createAct(room: string, topic: string, closed: boolean): ActInit {
  if (isNewRoomName(room)) return { case: 'create', value: { topic, closed } };
  throw usage(
    "a room's name has letters that can be seen, no blanks around it, and nothing that moves or hides other letters",
  );
}

/** The act that says what a room is about. @throws ClawChatError `USAGE` for more than there is room for */
export function topicAct(topic: string): ActInit {
  if (Buffer.byteLength(topic) <= TOPIC_BYTES_MAX) return { case: 'topic', value: { topic } };
  throw usage(`a topic has at most ${TOPIC_BYTES_MAX} bytes`);
}

/** The act that takes another name. @throws ClawChatError `USAGE` for what is no name */
export function renameAct(name: string): ActInit {
  const act = { kind: 'rename', name } as const;
  const about = { messageId: new Uint8Array(ID_BYTES), room: LOBBY, text: '', sentAtMs: 0, act };
  if (checkContent(about) === undefined) return { case: 'rename', value: { name } };
  throw usage(
    `a name has 1 to ${DEVICE_NAME_BYTES_MAX} bytes, and nothing that moves or hides other letters`,
  );
}

const DAY_MS = 86_400_000;

/** How long something is kept, for people. */
export function keepText(ms: number | bigint): string {
  const value = Number(ms);
  if (value === 0) return 'for ever';
  if (value % DAY_MS === 0) return value === DAY_MS ? 'for a day' : `for ${value / DAY_MS} days`;
  if (value % 3_600_000 === 0) return `for ${value / 3_600_000} h`;
  return `for ${value / 1000} s`;
}

/** Read how long: `30d`, `12h`, `forever`. @throws ClawChatError `USAGE` */
export function keepMs(text: string): number {
  return text === 'forever' || text === '0' ? 0 : duration(text, 'keep');
}

/** Whether a message is the operator's, who is none of the people (CH-054). */
export function isOperators({ deviceId }: ControlItem): boolean {
  return deviceId.length > 0 && isZero(deviceId);
}

/**
 * Say what a message does, for people; undefined when it says something. The result is not harmless yet.
 * `nameOf` gives the name of a person, or makes the one that a message carries plain.
 */
export function actText(
  item: ControlItem,
  nameOf: (person: string, name?: string) => string,
): string | undefined {
  const { extra, room } = item;
  const name = isOperators(item) ? 'the operator' : nameOf(hex(item.personId), item.name);
  const act = extra?.act;
  switch (act?.case) {
    case 'create':
      return `${name} made ${room}${act.value.closed ? ', which only its people see' : ''}`;
    case 'join':
      return `${name} joined ${room}`;
    case 'leave':
      return `${name} left ${room}`;
    case 'remove':
      return `${name} deleted ${room}`;
    case 'topic':
      return act.value.topic === ''
        ? `${name} removed the topic`
        : `${name} set the topic: ${act.value.topic}`;
    case 'keep':
      return `${name}: messages here are kept ${keepText(act.value.keepMs)}`;
    case 'grant': {
      const who = nameOf(hex(act.value.personId));
      const role = roleName(act.value.role);
      return role === '' ? `${name} sent ${who} away` : `${name} made ${who} ${withArticle(role)}`;
    }
    case 'rename':
      return `${name} is now called ${act.value.name}`;
    case 'delete':
      return `${name} took back a message`;
    case undefined:
      return undefined;
  }
}

/** The person whom a name, or the beginning of an id, means. @throws ClawChatError `USAGE` for nobody or several */
export function findPerson(names: ReadonlyMap<string, string>, text: string): string {
  const wanted = text.toLowerCase();
  const ids = [...names.keys()].filter(id => wanted.length >= 4 && id.startsWith(wanted));
  const named = [...names].filter(([, name]) => name.toLowerCase() === wanted).map(([id]) => id);
  const found = ids.length > 0 ? ids : named;
  const [person] = found;
  if (person === undefined)
    throw usage(`nobody here is called '${text.slice(0, 64)}'; people count once they have opened a chat`);
  if (found.length > 1) throw usage(`'${text}' fits ${found.length} people: ${found.join(', ')}`);
  return person;
}

/** Send what a message does; resolves with its cursor when the host has done it. @throws ClawChatError as the host says */
export async function sendAct(
  link: OwnerLink,
  act: ActInit,
  room: string,
  signal: AbortSignal,
): Promise<bigint> {
  const messageId = native.randomBytes(16);
  const value = { messageId, room, text: '', sentAtMs: BigInt(Date.now()), extra: { act } };
  try {
    return expectAnswer(await link.call({ case: 'send', value }, signal), 'sent').cursor;
  } catch (error) {
    throw await explained(link, error, room, signal, act);
  }
}

/** Say of a refusal what the host does not: what one is in the room and who may do it, or which room has such a name. */
export async function explained(
  link: OwnerLink,
  error: unknown,
  room: string,
  signal: AbortSignal,
  act?: ActInit,
): Promise<unknown> {
  if (!(error instanceof ClawChatError)) return error;
  const text = await moreAbout(link, error.code, room, signal, act).catch(() => undefined);
  if (text === undefined) return error;
  return new ClawChatError(fault(error.by, error.code, text), { cause: error });
}

async function moreAbout(
  link: OwnerLink,
  code: ErrorCode,
  room: string,
  signal: AbortSignal,
  act: ActInit | undefined,
): Promise<string | undefined> {
  const isForbidden = code === ErrorCode.ROOM_FORBIDDEN && act !== undefined;
  if (!isForbidden && code !== ErrorCode.ROOM_UNKNOWN && code !== ErrorCode.ROOM_EXISTS) return undefined;
  const { rooms } = expectAnswer(await link.call({ case: 'rooms', value: {} }, signal), 'rooms');
  if (isForbidden) {
    const found = rooms.find(({ name }) => name === room);
    return found && forbiddenText(act, room, found.role);
  }
  const names = rooms.map(({ name }) => name);
  const near = meantRoom(room, names);
  if (near !== room && names.includes(near)) return likeText(code, room, near);
  if (code === ErrorCode.ROOM_EXISTS || names.includes(room)) return undefined;
  return `there is no room '${room}', or it is closed to you: \`clawchat rooms\` lists those that you see`;
}

/** Say which room is there in the place of another one. */
export function likeText(code: ErrorCode, room: string, near: string): string {
  return code === ErrorCode.ROOM_EXISTS
    ? `'${room}' would be taken for '${near}', which is there`
    : `there is no room '${room}'; there is '${near}'`;
}

const LAST_OWNER = 'the last owner stays one until there is another';
/** Who may do what a role can be too small for. Chapter: spec/11-chat.md, 11.3. */
const WHO_MAY: Readonly<Partial<Record<NonNullable<ActInit['case']>, string>>> = {
  topic: 'an owner or a member sets the topic',
  keep: 'an owner says how long messages are kept',
  remove: 'an owner deletes the room',
  leave: LAST_OWNER,
  grant: `an owner says what others are, a member lets in who is not in it, and ${LAST_OWNER}`,
};

/** Say why an act was refused: what one is in the room, and who may do it. */
function forbiddenText(act: ActInit, room: string, role: Role): string {
  const isWhat = role === Role.UNSPECIFIED ? 'you have no role' : `you are ${withArticle(roleName(role))}`;
  const who =
    room === LOBBY
      ? 'it has no owner, nobody leaves it, and its operator decides'
      : (act.case !== undefined && WHO_MAY[act.case]) || 'that is not enough';
  return `${isWhat} in ${room}: ${who}`;
}
