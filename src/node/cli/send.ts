/** `clawchat send`: one message, or what standard input holds, with ids that cannot double. Chapter: spec/11-chat.md. */
import { createInterface } from 'node:readline';
import { TEXT_BYTES_MAX } from '../../gen/constants.ts';
import { LOBBY } from '../../services/chat/rooms.ts';
import { native } from '../native.ts';
import { explained } from './acts.ts';
import { type Call, usage, wholeNumber } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { jsonLine, sayReading } from './output.ts';
import { reachClient } from './reach-client.ts';
import { roomName, roomOption } from './room-words.ts';

/** Lines of `send -` that are on their way at once. */
const SENDS_MAX = 256;
const MESSAGE_ID_BYTES = 16;
const INPUT_BYTES_MAX = 1024 * 1024;
const JSON_FIELDS: readonly string[] = ['text', 'room', 'id', 'reply_to', 'edits'];

/** A message that somebody wants to send; the id is 16 bytes. */
export interface Draft {
  readonly text: string;
  readonly room: string;
  readonly id: Uint8Array;
  /** Cursors; 0 for none. */
  readonly replyTo: number;
  readonly edits: number;
}

type About = Pick<Draft, 'replyTo' | 'edits'>;
const ABOUT_NOTHING: About = { replyTo: 0, edits: 0 };

/** Send what the call says; resolves when the host has stored all of it. @throws ClawChatError `USAGE` */
export async function send(call: Call): Promise<number> {
  const [text = '-'] = call.words;
  const [json, multiline] = [call.on('json'), call.on('multiline')];
  const room = roomOption(call, '');
  const given = call.text('id');
  const about = { replyTo: cursorOption(call, 'reply-to'), edits: cursorOption(call, 'edits') };
  const id = given === undefined ? undefined : parseId(given, '--id');
  if (text === '') throw usage('there is no text to send');
  if (multiline && text !== '-')
    throw usage('--multiline is for standard input: `clawchat send - --multiline`');
  if (id !== undefined && text === '-' && !multiline) {
    throw usage('--id names one message; in lines of --json each may have its own "id"');
  }
  if (about.replyTo + about.edits > 0 && text === '-' && !multiline) {
    throw usage('--reply-to and --edits are for one message; lines of --json have "reply_to" and "edits"');
  }
  await reachClient(call, async (link, signal) => {
    const sendOne = async (draft: Draft): Promise<void> => {
      const { id: messageId, replyTo, edits } = draft;
      const extra = { replyTo: BigInt(replyTo), edits: BigInt(edits) };
      const value = { messageId, room: draft.room, text: draft.text, sentAtMs: BigInt(Date.now()), extra };
      const answer = await link.call({ case: 'send', value }, signal).catch(async error => {
        throw await explained(link, error, draft.room || LOBBY, signal);
      });
      const sent = expectAnswer(answer, 'sent');
      if (json) jsonLine({ sent: true, cursor: sent.cursor, id: draft.id });
    };
    if (text === '-' && !multiline) {
      sayReading('Each line is a message; Ctrl-D ends.', json);
      const count = await sendLines(
        signal,
        line => (json ? parseJson(line, room) : draftOf(line, room)),
        sendOne,
      );
      // Whoever writes the "-" means what comes, be it nothing.
      if (count === 0 && call.words.length === 0) {
        throw usage('there is no text to send: give it behind the command, or lines on standard input');
      }
      return;
    }
    if (text === '-') sayReading('Type or paste the message, then press Enter and Ctrl-D.', json);
    const whole = text === '-' ? await readWhole() : text;
    await sendOne({ ...draftOf(whole, room, id), ...about });
  });
  return EXIT_OK;
}

/** Send each line of standard input; some are on their way at once, in order. Gives how many there were. */
async function sendLines(
  signal: AbortSignal,
  parse: (line: string) => Draft,
  sendOne: (draft: Draft) => Promise<void>,
): Promise<number> {
  let count = 0;
  const underWay = new Set<Promise<void>>();
  let failed: unknown;
  const input = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of input) {
    if (failed !== undefined || signal.aborted) break;
    if (line === '') continue;
    count += 1;
    if (Buffer.byteLength(line) > INPUT_BYTES_MAX) throw usage('a line is too long');
    const sending: Promise<void> = Promise.resolve()
      .then(() => sendOne(parse(line)))
      .catch((error: unknown) => {
        failed ??= error;
      })
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
    while (underWay.size >= SENDS_MAX) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  if (failed !== undefined) throw failed;
  return count;
}

/** All of standard input as one text, without the line break at its end. */
async function readWhole(): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > TEXT_BYTES_MAX + 2) throw usage(`a message is at most ${TEXT_BYTES_MAX} bytes`);
  }
  const text = Buffer.concat(pieces).toString('utf8').replaceAll('\r\n', '\n');
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}

function draftOf(text: string, room: string, id: Uint8Array = native.randomBytes(MESSAGE_ID_BYTES)): Draft {
  return { text, room, id, ...ABOUT_NOTHING };
}

function cursorOption(call: Call, name: string): number {
  const given = call.text(name);
  return given === undefined ? 0 : wholeNumber(given, `--${name}`, 1, Number.MAX_SAFE_INTEGER);
}

function cursorField(fields: Readonly<Record<string, unknown>>, name: string, shown: string): number {
  const value = fields[name];
  if (value === undefined) return 0;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  throw usage(`"${name}" is the cursor of a message: ${shown}`);
}

/** Read one line of `send - --json`. @throws ClawChatError `USAGE` */
export function parseJson(line: string, room: string): Draft {
  const shown = line.length > 60 ? `${line.slice(0, 60)}...` : line;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw usage(`with --json each line is a JSON object, not: ${shown}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usage(`with --json each line is a JSON object, not: ${shown}`);
  }
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const odd = Object.keys(fields).find(name => !JSON_FIELDS.includes(name));
  if (odd !== undefined)
    throw usage(`a message has text, room, id, reply_to and edits, and no "${odd}": ${shown}`);
  const { text, id } = fields;
  const given = fields['room'] ?? room;
  if (typeof text !== 'string') throw usage(`a message has a "text": ${shown}`);
  if (typeof given !== 'string') throw usage(`a "room" is a name: ${shown}`);
  if (id !== undefined && typeof id !== 'string') throw usage(`an "id" is 32 hexadecimal digits: ${shown}`);
  return {
    ...draftOf(text, roomName(given), id === undefined ? undefined : parseId(id, '"id"')),
    replyTo: cursorField(fields, 'reply_to', shown),
    edits: cursorField(fields, 'edits', shown),
  };
}

/** Read a message's id. @throws ClawChatError `USAGE` */
export function parseId(text: string, what: string): Uint8Array {
  if (/^[0-9a-f]{32}$/i.test(text)) return Uint8Array.from(Buffer.from(text, 'hex'));
  throw usage(`${what} is 32 hexadecimal digits, not '${text.slice(0, 64)}'`);
}
