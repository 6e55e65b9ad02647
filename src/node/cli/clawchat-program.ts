/** The commands of `clawchat`, the client's program. Chapters: spec/08-devices.md, spec/11-chat.md. */
import { setMaxListeners } from 'node:events';
import { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { FILE_BYTES_MAX } from '../../gen/constants.ts';
import { fault } from '../../protocol/fault.ts';
import { following } from '../client/following.ts';
import { type ClientOptions, openClientOwner } from '../client-owner.ts';
import { CLIENT_PLACE, CLIENT_SETTINGS } from '../config/client-settings.ts';
import { printFindings } from '../doctor/check.ts';
import { examineClient } from '../doctor/client-doctor.ts';
import { readFileCapped } from '../files.ts';
import type { DirectoryOptions, OwnerLink } from '../owner.ts';
import { VERSION } from '../version.ts';
import { Chat } from './chat.ts';
import { clientOptions } from './client-options.ts';
import { describeBench, describeStatus } from './client-status.ts';
import {
  type Call,
  type Command,
  duration,
  type Program,
  TimeLimitError,
  usage,
  wholeNumber,
} from './command-line.ts';
import { completionCommand } from './completion.ts';
import { showConfig } from './config-command.ts';
import { directoryOptions, expectAnswer, withOwner } from './directory.ts';
import { EXIT_HOST, EXIT_OK } from './exit-code.ts';
import { inspectText } from './inspect.ts';
import { join } from './join.ts';
import { messageJson, messageText } from './messages.ts';
import { jsonLine, line } from './output.ts';
import { passphraseCommand } from './passphrase.ts';
import { repairCommand } from './repair.ts';
import { roomCommands } from './room-commands.ts';
import { sendMessages } from './send.ts';
import { clientConfigured, optionsOf, sharedOptions } from './settings.ts';
import { Waiting } from './waiting.ts';

const TIMEOUT = { value: 'TIME', help: 'give up after this, such as 30s (default: 60s)' };
const TIMEOUT_MS = 60_000;

/** How to reach the owner of a client's directory, or become it. */
function ownerOptions(client: ClientOptions): DirectoryOptions {
  const open = (): ReturnType<typeof openClientOwner> => openClientOwner(client);
  return directoryOptions(ControlProgram.CLIENT, client.directory, client.log, open);
}

/** Work with the owner of the call's directory; `--timeout`, where there is one, bounds it. */
async function reach<T>(
  call: Call,
  work: (link: OwnerLink, signal: AbortSignal) => Promise<T>,
  standardMs = TIMEOUT_MS,
): Promise<T> {
  const client = await clientOptions(call);
  const stop = new AbortController();
  // Every line of `send -` that is on its way listens to it.
  setMaxListeners(0, stop.signal);
  const timeout = call.text('timeout');
  const ms = timeout === undefined ? standardMs : duration(timeout, '--timeout');
  let late = false;
  let waiting: Waiting | undefined;
  const expire = (): void => {
    late = true;
    stop.abort();
  };
  const timer = Number.isFinite(ms) ? setTimeout(expire, ms) : undefined;
  const interrupted = (): void => stop.abort();
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    return await withOwner(ownerOptions(client), async link => {
      waiting = new Waiting(link, call.on('json'));
      return work(link, stop.signal).finally(() => waiting?.stop());
    });
  } catch (error) {
    // People have read the reason already.
    if (late) throw timeLimit(ms, call.on('json') ? (waiting?.reason ?? '') : '', error);
    throw error;
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
}

/** What `--timeout` ended was not refused: say how long it was tried, and what becomes of it. */
function timeLimit(ms: number, reason: string, cause: unknown): TimeLimitError {
  const why = reason === '' ? '' : ` (${reason})`;
  const detail = `no answer within ${ms / 1000} s${why}; what was taken to be sent is kept and goes out with the next command`;
  return new TimeLimitError(fault('time', ErrorCode.TIMEOUT, detail), { cause });
}

async function send(call: Call): Promise<number> {
  await sendMessages(call, work => reach(call, work));
  return EXIT_OK;
}

async function listen(call: Call): Promise<number> {
  const count = call.text('count');
  const from = call.text('from');
  const limit = count === undefined ? Number.POSITIVE_INFINITY : wholeNumber(count, '--count', 1, 1e9);
  const start = from === undefined ? undefined : wholeNumber(from, '--from', 0, Number.MAX_SAFE_INTEGER);
  const forMs = call.text('for') === undefined ? undefined : duration(call.text('for') ?? '', '--for');
  const client = await clientOptions(call);
  const stop = new AbortController();
  const interrupted = (): void => stop.abort();
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  const timer = forMs === undefined ? undefined : setTimeout(() => stop.abort(), forMs);
  try {
    await withOwner(ownerOptions(client), async link => {
      const waiting = new Waiting(link, call.on('json'));
      await follow(link, call, { start, limit, signal: stop.signal }).finally(() => waiting.stop());
    });
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
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
  const room = call.text('room') ?? '';
  const gap = (first: number): void => {
    process.stderr.write(`clawchat: messages before ${first} are no longer kept\n`);
  };
  try {
    for await (const item of following(link, { after: start, room, signal, gap })) {
      if (call.on('json')) jsonLine(messageJson(item));
      else line(messageText(item));
      printed += 1;
      if (printed >= limit) return;
    }
  } catch (error) {
    // The end of --for, or Ctrl-C, is how listening ends.
    if (!signal.aborted) throw error;
  }
}

async function chat(call: Call): Promise<number> {
  const client = await clientOptions(call, 'error');
  const { settings, known } = await clientConfigured(call);
  const [room = 'lobby'] = call.words;
  const [receipts, typing] = [settings.get(known.receipts), settings.get(known.typing)];
  await withOwner(ownerOptions(client), async link => {
    const talk = new Chat(link, { room, receipts, typing });
    const ended = (): void => talk.quit();
    process.once('SIGTERM', ended);
    await talk.run().finally(() => process.off('SIGTERM', ended));
  });
  return EXIT_OK;
}

async function history(call: Call): Promise<number> {
  const from = wholeNumber(call.text('from') ?? '0', '--from', 0, Number.MAX_SAFE_INTEGER);
  const limit = wholeNumber(call.text('limit') ?? '1000000000', '--limit', 1, 1e9);
  const room = call.text('room') ?? '';
  await reach(call, async (link, signal) => {
    let after = from;
    for (let left = limit; left > 0; ) {
      const value = { afterCursor: BigInt(after), limit: Math.min(left, 256), room };
      const page = expectAnswer(await link.call({ case: 'history', value }, signal), 'history');
      for (const item of page.items) {
        after = Number(item.cursor);
        if (call.on('json')) jsonLine(messageJson(item));
        else line(messageText(item));
      }
      left -= page.items.length;
      if (!page.more || page.items.length === 0) return;
    }
  });
  return EXIT_OK;
}

async function ping(call: Call): Promise<number> {
  await reach(call, async (link, signal) => {
    const pong = expectAnswer(await link.call({ case: 'ping', value: {} }, signal), 'pong');
    if (call.on('json')) jsonLine({ round_trip_us: pong.roundTripUs, endpoint: pong.endpoint });
    else line(`${pong.endpoint} answered in ${(pong.roundTripUs / 1000).toFixed(1)} ms`);
  });
  return EXIT_OK;
}

async function status(call: Call): Promise<number> {
  await reach(call, async (link, signal) => {
    const found = expectAnswer(await link.call({ case: 'status', value: {} }, signal), 'clientStatus');
    describeStatus(found, call.on('json'));
  });
  return EXIT_OK;
}

async function benchStream(call: Call): Promise<number> {
  const bytes = wholeNumber(call.text('bytes') ?? '67108864', '--bytes', 1, Number.MAX_SAFE_INTEGER);
  const bytesPerSecond = wholeNumber(call.text('rate') ?? '0', '--rate', 0, 2 ** 32 - 1);
  const value = { bytes: BigInt(bytes), bytesPerSecond };
  const ask = (): { case: 'bench'; value: typeof value } => ({ case: 'bench', value });
  const run = async (link: OwnerLink, signal: AbortSignal): Promise<void> => {
    for await (const answer of link.stream(ask(), ask, signal)) {
      describeBench(expectAnswer(answer, 'bench'), call.on('json'));
    }
  };
  await reach(call, run, Number.POSITIVE_INFINITY);
  return EXIT_OK;
}

async function inspect(call: Call): Promise<number> {
  const [file = ''] = call.words;
  const bytes = await readFileCapped(file, FILE_BYTES_MAX);
  if (bytes === undefined) throw usage(`there is no file ${file}`);
  await reach(call, async (link, signal) => {
    const value = { connectionFile: bytes };
    const found = expectAnswer(await link.call({ case: 'inspect', value }, signal), 'inspected');
    inspectText(found.envelope, { json: call.on('json'), showSecrets: call.on('show-secrets') });
  });
  return EXIT_OK;
}

/** Reading a store twice takes a minute. */
const DOCTOR_MS = 120_000;
/** A host that has not answered by then is told of with what the stores say. */
const PING_MS = 15_000;

/** One owner for all questions, because it remembers its stores; a directory that is not there is not made. */
async function doctor(call: Call): Promise<number> {
  const { directory, constants } = await clientOptions(call);
  const findings = await examineClient({
    directory,
    timeServer: call.text('time-server'),
    lookAgainMs: constants.STORE_READ_AGAIN_MS,
    reach: work =>
      reach(
        call,
        (link, signal) =>
          work({
            status: async () => expectAnswer(await link.call({ case: 'status', value: {} }), 'clientStatus'),
            ping: async () => {
              // Not AbortSignal.timeout: Node 20 collects one that only AbortSignal.any holds, and it never fires.
              const enough = new AbortController();
              const timer = setTimeout(() => enough.abort(), PING_MS);
              try {
                const either = AbortSignal.any([signal, enough.signal]);
                return expectAnswer(await link.call({ case: 'ping', value: {} }, either), 'pong');
              } finally {
                clearTimeout(timer);
              }
            },
          }),
        DOCTOR_MS,
      ),
  });
  return printFindings(findings, call.on('json')) ? EXIT_OK : EXIT_HOST;
}

async function config(call: Call): Promise<number> {
  const { settings, directory, file } = await clientConfigured(call);
  const all = Object.values(CLIENT_SETTINGS);
  return showConfig(call, { settings, all, directory, path: file?.path, lists: [] });
}

const COMMANDS: readonly Command[] = [
  {
    name: 'join',
    words: '[INVITE|FILE|-]',
    count: [0, 1],
    summary: 'join a host with an invite; - (the default) reads it from standard input',
    details: [
      'An invite on the command line shows in the list of processes; standard input does not.',
      'Joining can be repeated with the same invite until it has worked, also after a crash.',
    ],
    options: { name: { value: 'NAME', help: 'the name you would like; the host decides' }, timeout: TIMEOUT },
    run: join,
  },
  {
    name: 'chat',
    words: '[ROOM]',
    count: [0, 1],
    summary: 'talk: what others say, and a line to type in; also in a pipe',
    details: ['/help lists what can be typed. What is shown in the room that you are in counts as read.'],
    options: optionsOf([CLIENT_SETTINGS.receipts, CLIENT_SETTINGS.typing]),
    run: chat,
  },
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
    words: '',
    count: [0, 0],
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
    words: '',
    count: [0, 0],
    summary: 'print what the host has stored, oldest first',
    options: {
      from: { value: 'CURSOR', help: 'begin behind this cursor (default: 0)' },
      limit: { value: 'N', help: 'at most N messages' },
      room: { value: 'ROOM', help: 'only this room' },
      timeout: TIMEOUT,
    },
    run: history,
  },
  ...roomCommands(reach, TIMEOUT),
  {
    name: 'ping',
    words: '',
    count: [0, 0],
    summary: 'connect to the host and measure one round trip',
    options: { timeout: TIMEOUT },
    run: ping,
  },
  {
    name: 'status',
    words: '',
    count: [0, 0],
    summary: 'show how this device stands',
    options: { timeout: TIMEOUT },
    run: status,
  },
  {
    name: 'bench-stream',
    words: '',
    count: [0, 0],
    summary: 'send a bulk stream to a host that runs with --bench, and measure',
    details: ['The host throws it away and says what came; every answer is checked. A move does not end it.'],
    options: {
      bytes: { value: 'N', help: 'how much to send (default: 64 MiB)' },
      rate: { value: 'N', help: 'bytes a second at most (default: as much as goes)' },
      timeout: { value: 'TIME', help: 'give up after this (default: never)' },
    },
    run: benchStream,
  },
  {
    name: 'doctor',
    words: '',
    count: [0, 0],
    summary: 'check what stands between this device and its host, and say what to do',
    options: {
      'time-server': {
        value: 'SERVER',
        help: 'ask this server for the time: HOST, HOST:PORT (SNTP) or an https URL',
      },
      timeout: TIMEOUT,
    },
    run: doctor,
  },
  {
    name: 'config',
    words: '[check|show]',
    count: [0, 1],
    summary: 'say whether the configuration is right, or show every setting and where it comes from',
    options: optionsOf([CLIENT_SETTINGS.receipts, CLIENT_SETTINGS.typing]),
    run: config,
  },
  {
    name: 'inspect',
    words: 'FILE',
    count: [1, 1],
    summary: 'open a connection file with the keys of this device and print it',
    options: { 'show-secrets': { help: 'print access keys too' }, timeout: TIMEOUT },
    run: inspect,
  },
  passphraseCommand('client'),
  repairCommand('client'),
  completionCommand(() => CLAWCHAT),
];

/** The client's program. */
export const CLAWCHAT: Program = {
  name: 'clawchat',
  version: VERSION,
  summary: 'talk to a ClawChat host',
  commands: COMMANDS,
  shared: { ...sharedOptions(CLIENT_PLACE, CLIENT_SETTINGS), ...optionsOf([CLIENT_SETTINGS.proxy]) },
};
