/** The commands of `clawchat`, the client's program. Chapters: spec/08-devices.md, spec/11-chat.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { FILE_BYTES_MAX } from '../../gen/constants.ts';
import { ClawChatError, fault } from '../../protocol/fault.ts';
import { CLIENT_PLACE, CLIENT_SETTINGS } from '../config/client-settings.ts';
import { printFindings } from '../doctor/check.ts';
import { examineClient } from '../doctor/client-doctor.ts';
import { readFileCapped } from '../files.ts';
import type { OwnerLink } from '../owner-link.ts';
import { VERSION } from '../version.ts';
import { Chat } from './chat.ts';
import { clientOptions } from './client-options.ts';
import { describeBench, describeStatus } from './client-status.ts';
import { type Call, type Command, type Program, usage, wholeNumber } from './command-line.ts';
import { completionCommand } from './completion.ts';
import { showConfig } from './config-command.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_HOST, EXIT_OK } from './exit-code.ts';
import { inspectText } from './inspect.ts';
import { join } from './join.ts';
import { MESSAGE_COMMANDS } from './message-commands.ts';
import { jsonLine, line } from './output.ts';
import { passphraseCommand } from './passphrase.ts';
import { reachClient, TIMEOUT, withClientOwner } from './reach-client.ts';
import { repairCommand } from './repair.ts';
import { ROOM_COMMANDS } from './room-commands.ts';
import { clientConfigured, optionsOf, sharedOptions } from './settings.ts';

const CHAT_LOG_LEVEL = 'error';

async function chat(call: Call): Promise<number> {
  const client = await clientOptions(call, CHAT_LOG_LEVEL);
  const { settings, known } = await clientConfigured(call);
  const [room = 'lobby'] = call.words;
  const [receipts, typing] = [settings.get(known.receipts), settings.get(known.typing)];
  await withClientOwner(client, async link => {
    const talk = new Chat(link, { room, receipts, typing });
    const ended = (): void => talk.quit();
    process.once('SIGTERM', ended);
    await talk.run().finally(() => process.off('SIGTERM', ended));
  });
  return EXIT_OK;
}

async function ping(call: Call): Promise<number> {
  await reachClient(call, async (link, signal) => {
    const pong = expectAnswer(await link.call({ case: 'ping', value: {} }, signal), 'pong');
    if (call.on('json')) jsonLine({ round_trip_us: pong.roundTripUs, endpoint: pong.endpoint });
    else line(`${pong.endpoint} answered in ${(pong.roundTripUs / 1000).toFixed(1)} ms`);
  });
  return EXIT_OK;
}

async function status(call: Call): Promise<number> {
  await reachClient(call, async (link, signal) => {
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
    try {
      for await (const answer of link.stream(ask(), ask, signal)) {
        describeBench(expectAnswer(answer, 'bench'), call.on('json'));
      }
    } catch (error) {
      if (!(error instanceof ClawChatError) || error.code !== ErrorCode.SERVICE_UNKNOWN) throw error;
      const why = 'this host takes no bulk stream: its operator has to start it with --bench';
      throw new ClawChatError(fault(error.by, error.code, why), { cause: error });
    }
  };
  await reachClient(call, run, Number.POSITIVE_INFINITY);
  return EXIT_OK;
}

async function inspect(call: Call): Promise<number> {
  const [file = ''] = call.words;
  const bytes = await readFileCapped(file, FILE_BYTES_MAX);
  if (bytes === undefined) throw usage(`there is no file ${file}`);
  await reachClient(call, async (link, signal) => {
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
      reachClient(
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
    noJson:
      'a chat is for people; with --json there are `clawchat listen --json` and `clawchat send - --json`',
    details: ['/help lists what can be typed. What is shown in the room that you are in counts as read.'],
    options: optionsOf([
      CLIENT_SETTINGS.receipts,
      CLIENT_SETTINGS.typing,
      // Lines of a log would stand in the middle of the talk.
      { ...CLIENT_SETTINGS.logLevel, standard: `${CHAT_LOG_LEVEL}, warn in a file` },
    ]),
    run: chat,
  },
  ...MESSAGE_COMMANDS,
  ...ROOM_COMMANDS,
  {
    name: 'ping',
    summary: 'connect to the host and measure one round trip',
    options: { timeout: TIMEOUT },
    run: ping,
  },
  {
    name: 'status',
    summary: 'show how this device stands',
    options: { timeout: TIMEOUT },
    run: status,
  },
  {
    name: 'bench-stream',
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

const { logFile, logSize, logFiles, proxy } = CLIENT_SETTINGS;

/** The client's program. */
export const CLAWCHAT: Program = {
  name: 'clawchat',
  version: VERSION,
  summary: 'talk to a ClawChat host',
  commands: COMMANDS,
  shared: {
    ...sharedOptions(CLIENT_PLACE, CLIENT_SETTINGS, 'warn'),
    ...optionsOf([logFile, logSize, logFiles, proxy]),
  },
};
