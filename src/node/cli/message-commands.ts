/** The commands of `clawchat` that send and show messages, for scripts. Chapter: spec/11-chat.md. */
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { following } from '../client/following.ts';
import type { OwnerLink } from '../owner-link.ts';
import { clientOptions } from './client-options.ts';
import { type Call, type Command, duration, wholeNumber } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { isEdit, messageJson, messageText, Names } from './messages.ts';
import { jsonLine, line } from './output.ts';
import { reachClient, sayWaiting, stoppable, TIMEOUT, withClientOwner } from './reach-client.ts';
import { roomOption } from './room-words.ts';
import { send } from './send.ts';
import { harmlessLine } from './terminal-text.ts';
import { Waiting } from './waiting.ts';

async function listen(call: Call): Promise<number> {
  const count = call.text('count');
  const from = call.text('from');
  const time = call.text('for');
  const limit = count === undefined ? Number.POSITIVE_INFINITY : wholeNumber(count, '--count', 1, 1e9);
  const start = from === undefined ? undefined : wholeNumber(from, '--from', 0, Number.MAX_SAFE_INTEGER);
  const forMs = time === undefined ? Number.POSITIVE_INFINITY : duration(time, '--for');
  const client = await clientOptions(call);
  await stoppable(forMs, signal =>
    withClientOwner(client, async link => {
      const waiting = new Waiting(link, { say: sayWaiting(call) });
      await follow(link, call, { start, limit, signal }).finally(() => waiting.stop());
    }),
  );
  return EXIT_OK;
}

interface Following {
  readonly start: number | undefined;
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** Print messages from a cursor on. */
async function follow(link: OwnerLink, call: Call, { start, limit, signal }: Following): Promise<void> {
  let printed = 0;
  const room = roomOption(call, '');
  const gap = (first: number, of: string): void => {
    const which = of === '' ? 'messages' : `messages of ${harmlessLine(of)}`;
    process.stderr.write(`clawchat: ${which} before ${first} are no longer kept\n`);
  };
  const show = shower(call, link, signal);
  try {
    for await (const item of following(link, { after: start, room, signal, gap })) {
      await show(item);
      printed += 1;
      if (printed >= limit) return;
    }
  } catch (error) {
    // The end of --for, or Ctrl-C, is how listening ends.
    if (!signal.aborted) throw error;
  }
}

/** What shows messages, one behind the other. */
function shower(call: Call, link: OwnerLink, signal: AbortSignal): (item: ControlItem) => Promise<void> {
  const names = new Names(async () => {
    const answer = await link.call({ case: 'people', value: { room: 'lobby' } }, signal);
    return expectAnswer(answer, 'people').people;
  });
  return async item => {
    if (call.on('json')) {
      jsonLine(messageJson(item));
      return;
    }
    await names.learn(item);
    line(messageText(item, names.of));
  };
}

/** Messages that are asked for at once. */
const PAGE = 256;

interface Wanted {
  readonly limit: number;
  readonly room: string;
}

/** The cursor behind which the newest messages begin: so many, or all there are. */
async function behindNewest(link: OwnerLink, { limit, room }: Wanted, signal: AbortSignal): Promise<number> {
  let before = Number.MAX_SAFE_INTEGER;
  for (let left = limit; left > 0; ) {
    const value = { beforeCursor: BigInt(before), limit: Math.min(left, PAGE), room };
    const page = expectAnswer(await link.call({ case: 'history', value }, signal), 'history');
    if (!page.more) return 0;
    before = Number(page.fromCursor);
    left -= page.items.length;
  }
  return before - 1;
}

async function history(call: Call): Promise<number> {
  const begin = call.text('from');
  const most = call.text('limit');
  const from = begin === undefined ? 0 : wholeNumber(begin, '--from', 0, Number.MAX_SAFE_INTEGER);
  const limit = most === undefined ? Number.POSITIVE_INFINITY : wholeNumber(most, '--limit', 1, 1e9);
  const room = roomOption(call, '');
  await reachClient(call, async (link, signal) => {
    const show = shower(call, link, signal);
    const isNewest = begin === undefined && most !== undefined;
    let after = isNewest ? await behindNewest(link, { limit, room }, signal) : from;
    for (let left = limit; left > 0; ) {
      const value = { afterCursor: BigInt(after), limit: Math.min(left, PAGE), room };
      const page = expectAnswer(await link.call({ case: 'history', value }, signal), 'history');
      for (const item of page.items) {
        after = Number(item.cursor);
        // An edit is shown in its place; a script gets every message.
        if (call.on('json') || !isEdit(item)) await show(item);
      }
      left -= page.items.length;
      if (!page.more || page.items.length === 0) return;
    }
  });
  return EXIT_OK;
}

/** To send, to listen, to read again. */
export const MESSAGE_COMMANDS: readonly Command[] = [
  {
    name: 'send',
    words: '[TEXT|-]',
    count: [0, 1],
    summary: 'send a message, or each line of standard input; ends when the host has stored it',
    details: [
      'With -, each line of standard input is a message; with --multiline all of it is one. With --json each line is',
      '{"text": "...", "room": "...", "id": "...", "reply_to": 123, "edits": 123}, of which only text has to be there,',
      'and each answer is a line too. A number names a message by its cursor.',
    ],
    options: {
      room: { value: 'ROOM', help: 'which room (default: lobby)' },
      'reply-to': { value: 'CURSOR', help: 'the message that this one replies to' },
      edits: { value: 'CURSOR', help: 'the message of yours whose text this one replaces' },
      multiline: { help: 'standard input is one message, line breaks and all' },
      id: {
        value: 'HEX',
        help: 'the id of the message, 32 hexadecimal digits: sent again with the same id and text, it is stored once',
      },
      timeout: TIMEOUT,
    },
    run: send,
  },
  {
    name: 'listen',
    summary: 'print messages as they come',
    options: {
      count: { value: 'N', help: 'end after N messages' },
      for: { value: 'TIME', help: 'end after this, such as 10s' },
      from: {
        value: 'CURSOR',
        help: 'begin behind this cursor; 0 for everything (default: what comes from now on)',
      },
      room: { value: 'ROOM', help: 'only this room' },
    },
    run: listen,
  },
  {
    name: 'history',
    summary: 'print what the host has stored, oldest first',
    options: {
      from: { value: 'CURSOR', help: 'begin behind this cursor (default: 0)' },
      limit: { value: 'N', help: 'the newest N messages; with --from, the first N behind it' },
      room: { value: 'ROOM', help: 'only this room' },
      timeout: TIMEOUT,
    },
    run: history,
  },
];
