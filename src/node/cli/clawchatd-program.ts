/** The commands of `clawchatd`, the host's program. Chapters: spec/08-devices.md, spec/12-control.md. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlHostStatus, ControlRotating } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { HISTORY_NOTES_MAX } from '../../gen/constants.ts';
import { ClawChatError } from '../../protocol/fault.ts';
import { HOST_PLACE, HOST_SETTINGS, STORES_KEY } from '../config/host-settings.ts';
import { oneStartOf } from '../config/one-start.ts';
import type { RequestInit } from '../control.ts';
import { printFindings } from '../doctor/check.ts';
import { examineHost } from '../doctor/host-doctor.ts';
import { systemCode } from '../failure.ts';
import { readStoreConfigs, storeConfigPath } from '../host/stores.ts';
import { exportNextIdentity, type Ready } from '../host-owner.ts';
import type { OwnerLink } from '../owner-link.ts';
import { serveHost } from '../serve-host.ts';
import { VERSION } from '../version.ts';
import { type Call, type Command, duration, type Option, type Program, wholeNumber } from './command-line.ts';
import { completionCommand } from './completion.ts';
import { showConfig } from './config-command.ts';
import { DEVICE_COMMANDS, listDevices } from './device-commands.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_HOST, EXIT_LOCAL, EXIT_OK } from './exit-code.ts';
import { type Health, judgeHealth } from './health.ts';
import { hostOptions, hostOptionsOf, servingOptions } from './host-options.ts';
import { HOST_ROOM_COMMANDS } from './host-room-commands.ts';
import { describeHistory, describeHost } from './host-status.ts';
import { INVITE_COMMANDS } from './invite-commands.ts';
import { mega } from './mega.ts';
import { hex, jsonLine, line, movesText } from './output.ts';
import { passphraseCommand } from './passphrase.ts';
import { commandLog } from './program-log.ts';
import { reachExistingHost, reachHost } from './reach-host.ts';
import { recover, succeed } from './recover.ts';
import { repairCommand } from './repair.ts';
import { runningHost } from './running-host.ts';
import { hostConfigured, optionsOf, sharedOptions } from './settings.ts';
import { typedCommand, withCommands } from './typed-command.ts';

const TRUST = 'trust-database';
const SERVE_OPTIONS: Readonly<Record<string, Option>> = {
  ...optionsOf(Object.values(HOST_SETTINGS)),
  [TRUST]: {
    help: 'this once, serve even when no store can tell whether this data directory is an old backup',
  },
};
/** What every command takes; the rest of the settings is for the host itself. */
const SHARED_OPTIONS = sharedOptions(HOST_PLACE, HOST_SETTINGS, 'warn');

async function serve(call: Call): Promise<number> {
  const { options, beginLog } = await servingOptions(call);
  const waiting = (text: string): void => {
    if (call.on('json')) jsonLine({ waiting: true, why: withCommands(text) });
    else process.stderr.write(`clawchatd: ${withCommands(text)}\n`);
    beginLog();
  };
  const ready = (about: Ready): void => {
    if (call.on('json')) {
      jsonLine({ ready: true, ...about, server: hex(about.serverId), serverId: undefined });
      beginLog();
      return;
    }
    line(`clawchatd ${VERSION} is ready on port ${about.port} (${about.addresses.join(', ')})`);
    if (options.port !== undefined && options.port !== about.port)
      line(
        `  port ${options.port} follows in some minutes; until then people come by the port that they know`,
      );
    if (!isPlaceGiven(call)) line(`  its data directory:  ${options.directory}`);
    line(`  to invite somebody:  ${typedCommand('clawchatd invite')}`);
    line(`  to see how it is:    ${typedCommand('clawchatd status')}`);
    beginLog();
  };
  await serveHost(options, { ready, waiting }).finally(beginLog);
  return EXIT_OK;
}

/** Whoever did not say where the host keeps what it has is told. */
function isPlaceGiven(call: Call): boolean {
  return (call.text('data') ?? process.env[HOST_PLACE.data.variable]) !== undefined;
}

async function status(call: Call): Promise<number> {
  await reachExistingHost(call, async link => {
    const found = expectAnswer(await link.call({ case: 'status', value: {} }), 'hostStatus');
    describeHost(found, await listDevices(link), call.on('json'));
  });
  return EXIT_OK;
}

async function history(call: Call): Promise<number> {
  const limit = wholeNumber(call.text('limit') ?? '512', '--limit', 1, HISTORY_NOTES_MAX);
  await reachExistingHost(call, async link => {
    const found = expectAnswer(await link.call({ case: 'status', value: {} }), 'hostStatus');
    describeHistory(found.history.slice(-limit), call.on('json'));
  });
  return EXIT_OK;
}

/** How long a host may take for its answer. */
const HEALTH_MS = 5000;

async function health(call: Call): Promise<number> {
  const timeout = call.text('timeout');
  const timeoutMs = timeout === undefined ? HEALTH_MS : duration(timeout, '--timeout');
  const wait = call.text('wait');
  const deadline = performance.now() + (wait === undefined ? 0 : duration(wait, '--wait'));
  for (;;) {
    const found = await examined(call, timeoutMs);
    if (found.well || performance.now() >= deadline) {
      if (call.on('json')) jsonLine(found);
      else line(`${found.well ? 'ok' : 'not well'}: ${found.text}`);
      return found.well ? EXIT_OK : EXIT_HOST;
    }
    await sleep(HEALTH_AGAIN_MS);
  }
}

const HEALTH_AGAIN_MS = 200;

/** Ask the host itself; that it does not answer is an answer, too. */
async function examined(call: Call, timeoutMs: number): Promise<Health> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const ask = async (link: OwnerLink): Promise<Health> => {
      const found = expectAnswer(await link.call({ case: 'status', value: {} }, signal), 'hostStatus');
      return judgeHealth(found, Date.now());
    };
    return await reachHost(call, ask, 'attach', timeoutMs);
  } catch (error) {
    if (!(error instanceof ClawChatError) || error.code === ErrorCode.USAGE) throw error;
    const isSilent = signal.aborted && error.code !== ErrorCode.OWNER_LOST;
    return { well: false, text: isSilent ? `no answer within ${timeoutMs} ms` : withCommands(error.message) };
  }
}

async function stop(call: Call): Promise<number> {
  await reachHost(
    call,
    async link => {
      const pid = link.ownerPid;
      expectAnswer(await link.call({ case: 'stop', value: {} }), 'stopping');
      const say = (): void =>
        void process.stderr.write('What is under way comes to its end; this waits for it.\n');
      const timer = call.on('json') ? undefined : setTimeout(say, STOP_SAID_MS);
      await link.gone();
      clearTimeout(timer);
      if (pid !== undefined) await ended(pid);
      const { directory } = await hostOptions(call);
      if (call.on('json')) jsonLine({ stopped: true, data: directory, pid });
      else line(`Stopped the host on ${directory}${pid === undefined ? '' : ` (process ${pid})`}.`);
    },
    'attach',
  );
  return EXIT_OK;
}

/** After so long somebody wonders what a stop waits for. */
const STOP_SAID_MS = 1500;
/** How long a process may take to end that has let go of its clients; one that embeds a host goes on. */
const ENDED_MS = 1000;

async function ended(pid: number): Promise<void> {
  const deadline = performance.now() + ENDED_MS;
  while (performance.now() < deadline) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      if (systemCode(error) === 'ESRCH') return;
    }
    await sleep(20);
  }
}

async function identity(call: Call): Promise<number> {
  const file = resolve(call.words[0] ?? '');
  const options = await hostOptions(call);
  await exportNextIdentity(options, file);
  if (call.on('json')) jsonLine({ exported: file });
  else {
    line(`The next identity key is in ${file} and no longer on this machine's data directory.`);
    line('Keep it offline: it is the only way to replace a stolen identity key.');
  }
  return EXIT_OK;
}

async function doctor(call: Call): Promise<number> {
  const options = await hostOptions(call);
  const { directory, listen, timeServer, tls } = options;
  const status = (): Promise<ControlHostStatus> =>
    reachHost(call, async link => expectAnswer(await link.call({ case: 'status', value: {} }), 'hostStatus'));
  const found = await examineHost({ directory, listen, timeServer, tls, status });
  return printFindings(found, call.on('json')) ? EXIT_OK : EXIT_LOCAL;
}

/** When a move comes that was just asked for. */
function comingText({ phase, movesAtMs }: ControlRotating, { case: asked }: RequestInit): string {
  const when = movesAtMs === 0n ? '' : `: it ${movesText(movesAtMs, Date.now())}`;
  if (asked === 'emergency')
    return 'Under way: earlier addresses end after a minute, once a store has the new one';
  if (phase === 'emergency') return 'Nothing to do: an emergency moves the host just now';
  return phase === 'grace' ? `It begins when the port before has ended${when}` : `Under way${when}`;
}

async function move(call: Call, body: RequestInit): Promise<number> {
  await reachHost(
    call,
    async link => {
      const rotating = expectAnswer(await link.call(body), 'rotating');
      const { phase, movesAtMs } = rotating;
      if (call.on('json')) jsonLine({ rotating: true, phase, moves_at_ms: movesAtMs });
      else line(`${comingText(rotating, body)}; to see how it goes: ${typedCommand('clawchatd status')}`);
    },
    'attach',
  );
  return EXIT_OK;
}

async function config(call: Call): Promise<number> {
  const configured = await hostConfigured(call);
  const { settings, directory, file, stores } = configured;
  // What does not go together is an error here, too.
  const options = hostOptionsOf(configured, commandLog(configured));
  const listed = await readStoreConfigs(options);
  if (call.on(TRUST)) process.stderr.write(`clawchatd: ${oneStartOf(TRUST)}\n`);
  const own = storeConfigPath(directory);
  const listing = stores === undefined ? existsSync(own) && own : file?.path;
  const lists = listing ? [[STORES_KEY, listed.length, listing] as const] : [];
  const all = Object.values(HOST_SETTINGS);
  return showConfig(
    call,
    { settings, all, directory, path: file?.path, lists },
    await runningHost(directory),
  );
}

const COMMANDS: readonly Command[] = [
  {
    name: '',
    summary: 'run a host; makes what it needs on its first start',
    options: SERVE_OPTIONS,
    run: serve,
  },
  ...INVITE_COMMANDS,
  ...DEVICE_COMMANDS,
  ...HOST_ROOM_COMMANDS,
  { name: 'status', summary: 'show how the host stands', run: status },
  {
    name: 'history',
    summary: 'show what happened to the address: moves, holds, emergencies, ports and clocks',
    options: { limit: { value: 'N', help: `at most so many, the newest (default: ${HISTORY_NOTES_MAX})` } },
    run: history,
  },
  {
    name: 'doctor',
    summary: 'check clock, ports, stores, modes and what else a host needs, and say what to do',
    options: optionsOf([
      HOST_SETTINGS.listen,
      HOST_SETTINGS.port,
      HOST_SETTINGS.timeServer,
      HOST_SETTINGS.tlsCertificate,
      HOST_SETTINGS.tlsKey,
    ]),
    run: doctor,
  },
  {
    name: 'health',
    summary: 'say in one line whether the host is well; ends with 0 only if it is',
    options: {
      timeout: { value: 'TIME', help: 'how long the host may take to answer (default: 5s)' },
      wait: { value: 'TIME', help: 'wait so long for a host that is only just starting (default: 0s)' },
    },
    run: health,
  },
  {
    name: 'config',
    words: '[check|show]',
    count: [0, 1],
    summary: 'say whether the configuration is right, or show every setting and where it comes from',
    options: SERVE_OPTIONS,
    run: config,
  },
  {
    name: 'rotate',
    summary: 'move to another port as soon as the rules allow',
    run: call => move(call, { case: 'rotate', value: {} }),
  },
  {
    name: 'emergency',
    summary: 'leave every earlier address now, with new keys',
    details: [
      'For when the address is attacked or known. People inside stay; people outside find the host again through a store.',
      'Earlier addresses end after a minute, but not before a store has the new one - unless --hard.',
    ],
    options: { hard: { help: 'end them after a minute whether or not a store has the new address' } },
    run: call => move(call, { case: 'emergency', value: { hard: call.on('hard') } }),
  },
  { name: 'stop', summary: 'stop the running host, and wait until it has stopped', run: stop },
  {
    name: 'mega',
    words: 'login|check',
    count: [1, 1],
    summary: 'log in to a Mega account once, or look whether its folder works (while the host is stopped)',
    run: async call => mega(call, await hostOptions(call)),
  },
  {
    name: 'export-next-identity',
    words: 'FILE',
    count: [1, 1],
    summary: 'move the next identity key into a file that you then keep offline',
    run: identity,
  },
  passphraseCommand('host'),
  repairCommand('host'),
  {
    name: 'succeed',
    words: 'FILE',
    count: [1, 1],
    summary: 'replace the identity key by the next one, from its file (while the host is stopped)',
    details: [
      'For when the identity key may have been stolen. Devices follow by themselves at their next look into a store.',
      'The host begins anew on another port with new keys. It can be done 16 times.',
    ],
    run: async call => succeed(call, await hostOptions(call)),
  },
  {
    name: 'recover',
    summary: 'go on with a data directory that was restored from a backup (while the host is stopped)',
    details: [
      'Voids every open invite, asks for each device whether it still belongs to somebody you know, and goes on above the',
      'highest record that the stores hold. What happened since the backup is gone; devices enrolled since join anew.',
    ],
    options: {
      keep: {
        value: 'DEVICE',
        multiple: true,
        help: 'keep this device, by id or name, and remove the others; no questions',
      },
      'keep-all': { help: 'keep every device; no questions' },
      above: {
        value: 'N',
        help: 'go on above record N as well: the highest number that "clawchat status" shows on a device',
      },
    },
    run: async call => recover(call, await hostOptions(call)),
  },
  completionCommand(() => CLAWCHATD),
];

/** The host's program. */
export const CLAWCHATD: Program = {
  name: 'clawchatd',
  version: VERSION,
  summary: 'a private chat host whose address moves',
  commands: COMMANDS,
  shared: SHARED_OPTIONS,
};
