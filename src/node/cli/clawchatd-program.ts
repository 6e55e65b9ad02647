/** The commands of `clawchatd`, the host's program. Chapters: spec/08-devices.md, spec/12-control.md. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ControlDevice,
  type ControlHostStatus,
  ControlProgram,
} from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { HISTORY_NOTES_MAX, INVITE_LIFE_MS, INVITE_LIFE_MS_MAX } from '../../gen/constants.ts';
import { ClawChatError } from '../../protocol/fault.ts';
import { HOST_PLACE, HOST_SETTINGS, STORES_KEY } from '../config/host-settings.ts';
import type { RequestInit } from '../control.ts';
import { printFindings } from '../doctor/check.ts';
import { examineHost } from '../doctor/host-doctor.ts';
import { failure } from '../failure.ts';
import { writeFileAtomic } from '../files.ts';
import { readStoreConfigs } from '../host/stores.ts';
import { exportNextIdentity, openHostOwner, type Ready, serveHost } from '../host-owner.ts';
import type { OwnerLink, Wish } from '../owner.ts';
import { VERSION } from '../version.ts';
import { type Call, type Command, duration, type Program, usage, wholeNumber } from './command-line.ts';
import { completionCommand } from './completion.ts';
import { showConfig } from './config-command.ts';
import { directoryOptions, expectAnswer, withOwner } from './directory.ts';
import { EXIT_HOST, EXIT_LOCAL, EXIT_OK } from './exit-code.ts';
import { type Health, judgeHealth } from './health.ts';
import { hostOptions, hostOptionsOf, servingOptions } from './host-options.ts';
import { describeHistory, describeHost } from './host-status.ts';
import { mega } from './mega.ts';
import { hex, jsonLine, line, seenText, timeText } from './output.ts';
import { passphraseCommand } from './passphrase.ts';
import { drawQr } from './qr.ts';
import { recover, succeed } from './recover.ts';
import { repairCommand } from './repair.ts';
import { commandLog, hostConfigured, optionsOf, sharedOptions } from './settings.ts';
import { harmlessLine } from './terminal-text.ts';

const SERVE_OPTIONS = {
  ...optionsOf(Object.values(HOST_SETTINGS)),
  'trust-database': {
    help: 'serve even when no store can tell whether this data directory is an old backup',
  },
};
/** What every command takes; the rest of the settings is for the host itself. */
const SHARED_OPTIONS = sharedOptions(HOST_PLACE, HOST_SETTINGS);

async function serve(call: Call): Promise<number> {
  const options = await servingOptions(call);
  const waiting = (text: string): void => {
    if (call.on('json')) jsonLine({ waiting: true, why: text });
    else process.stderr.write(`clawchatd: ${text}\n`);
  };
  const ready = (about: Ready): void => {
    if (call.on('json')) {
      jsonLine({ ready: true, ...about, server: hex(about.serverId), serverId: undefined });
      return;
    }
    line(`clawchatd ${VERSION} is ready on port ${about.port} (${about.addresses.join(', ')})`);
    line(`  to invite somebody:  npx clawchatd invite --data ${options.directory}`);
    line(`  to see how it is:    npx clawchatd status --data ${options.directory}`);
  };
  await serveHost(options, { ready, waiting });
  return EXIT_OK;
}

async function reach<T>(
  call: Call,
  work: (link: OwnerLink) => Promise<T>,
  wish: Wish = 'either',
  timeoutMs?: number,
): Promise<T> {
  const options = await hostOptions(call);
  const open = (): ReturnType<typeof openHostOwner> => openHostOwner(options);
  const about = directoryOptions(ControlProgram.HOST, options.directory, options.log, open);
  return withOwner(timeoutMs === undefined ? about : { ...about, timeoutMs }, work, wish);
}

async function invite(call: Call): Promise<number> {
  const expires = call.text('expires');
  const lifeMs = expires === undefined ? INVITE_LIFE_MS : duration(expires, '--expires');
  if (lifeMs <= 0 || lifeMs > INVITE_LIFE_MS_MAX) throw usage('--expires takes up to 7d');
  const file = call.text('file');
  if (file !== undefined && (call.on('qr') || call.on('qr-light')))
    throw usage('--qr draws the invite alone: leave --file out');
  const { directory } = await hostOptions(call);
  const isNew = !existsSync(directory);
  await reach(call, async link => {
    if (isNew) process.stderr.write(`There was no host in ${directory}: a new one is made there.\n`);
    const value = { name: call.text('name') ?? '', lifeMs: BigInt(lifeMs), bundle: file !== undefined };
    const made = expectAnswer(await link.call({ case: 'invite', value }), 'invite');
    if (file !== undefined) await writeFileAtomic(file, made.bundle);
    if (call.on('json')) {
      const json = { expires_at_ms: made.expiresAtMs, published: made.published, warnings: made.warnings };
      jsonLine(file === undefined ? { invite: made.invite, ...json } : { file, ...json });
      return;
    }
    const isTerminal = process.stdout.isTTY === true && process.env['TERM'] !== 'dumb';
    const colour = isTerminal && (process.env['NO_COLOR'] ?? '') === '';
    const isLight = call.on('qr-light');
    if (call.on('qr') || isLight)
      for (const row of drawQr(made.invite, { colour: colour && !isLight, isLight })) line(row);
    // Otherwise the invite alone on standard output, so that it can be piped.
    if (file === undefined) line(made.invite);
    else process.stderr.write(`wrote ${file}: it is a secret until it is used\n`);
    process.stderr.write(
      `works once, until ${timeText(made.expiresAtMs)}; to use it: clawchat join${file === undefined ? '' : ` ${basename(file)}`}\n`,
    );
    process.stderr.write(
      'Whoever runs this host can read what is written there: tell those whom you invite.\n',
    );
    for (const warning of made.warnings) process.stderr.write(`${warning}\n`);
  });
  return EXIT_OK;
}

/** Reach the owner of a directory that is there: to ask about a mistyped one would make a host in it. */
async function reachExisting(call: Call, work: (link: OwnerLink) => Promise<void>): Promise<void> {
  const { directory } = await hostOptions(call);
  if (!existsSync(directory))
    throw usage(`there is no ${directory}: name the host's data directory with --data, or start it once`);
  await reach(call, work);
}

async function status(call: Call): Promise<number> {
  await reachExisting(call, async link => {
    const found = expectAnswer(await link.call({ case: 'status', value: {} }), 'hostStatus');
    describeHost(found, await listDevices(link), call.on('json'));
  });
  return EXIT_OK;
}

async function history(call: Call): Promise<number> {
  const limit = wholeNumber(call.text('limit') ?? '512', '--limit', 1, HISTORY_NOTES_MAX);
  await reachExisting(call, async link => {
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
    return await reach(call, ask, 'attach', timeoutMs);
  } catch (error) {
    if (!(error instanceof ClawChatError) || error.code === ErrorCode.USAGE) throw error;
    const isSilent = signal.aborted && error.code !== ErrorCode.OWNER_LOST;
    return { well: false, text: isSilent ? `no answer within ${timeoutMs} ms` : error.message };
  }
}

async function listDevices(link: OwnerLink): Promise<readonly ControlDevice[]> {
  return expectAnswer(await link.call({ case: 'devices', value: {} }), 'devices').devices;
}

/** Whose further device it is, for people. */
function inviter(all: readonly ControlDevice[], { personId }: ControlDevice): string {
  if (personId.length === 0) return '';
  const first = all.find(({ deviceId }) => hex(deviceId) === hex(personId));
  return ` (of ${first === undefined ? hex(personId).slice(0, 8) : harmlessLine(first.name)})`;
}

async function devices(call: Call): Promise<number> {
  await reachExisting(call, async link => {
    const found = await listDevices(link);
    for (const device of found) {
      const state = device.pending ? 'pending' : device.connected ? 'connected' : 'away';
      if (call.on('json')) {
        jsonLine({
          device: device.deviceId,
          name: device.name,
          state,
          enrolled_at_ms: device.enrolledAtMs,
          last_seen_at_ms: device.lastSeenAtMs,
          words: device.words,
          ...(device.personId.length > 0 && { person: device.personId }),
        });
      } else {
        const seen = seenText(device.lastSeenAtMs, Date.now());
        line(
          `${hex(device.deviceId)}  ${state.padEnd(9)}  ${seen.padEnd(20)}  ${device.words}  ${harmlessLine(device.name)}${inviter(found, device)}`,
        );
      }
    }
    if (found.length === 0 && !call.on('json')) line('No devices yet: clawchatd invite');
  });
  return EXIT_OK;
}

async function revoke(call: Call): Promise<number> {
  const [wanted = ''] = call.words;
  await reachExisting(call, async link => {
    const found = await listDevices(link);
    const id = wanted.toLowerCase();
    const named = found.filter(device => hex(device.deviceId) === id || device.name === wanted);
    const fits =
      named.length > 0
        ? named
        : found.filter(device => id.length >= 4 && hex(device.deviceId).startsWith(id));
    const [device] = fits;
    if (device === undefined || fits.length > 1) {
      const what = fits.length > 1 ? `fits ${fits.length} devices; give the id` : 'is no device';
      throw failure(ErrorCode.DEVICE_UNKNOWN, `'${wanted}' ${what} (see: clawchatd devices)`);
    }
    const value = { deviceId: device.deviceId };
    expectAnswer(await link.call({ case: 'revoke', value }), 'revoked');
    if (call.on('json')) jsonLine({ revoked: true, device: device.deviceId, name: device.name });
    else line(`Revoked ${harmlessLine(device.name)} (${hex(device.deviceId)}).`);
  });
  return EXIT_OK;
}

async function stop(call: Call): Promise<number> {
  await reach(
    call,
    async link => {
      expectAnswer(await link.call({ case: 'stop', value: {} }), 'stopping');
    },
    'attach',
  );
  if (call.on('json')) jsonLine({ stopping: true });
  return EXIT_OK;
}

async function identity(call: Call): Promise<number> {
  const [file = ''] = call.words;
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
  const { directory, listen, timeServer } = options;
  const status = (): Promise<ControlHostStatus> =>
    reach(call, async link => expectAnswer(await link.call({ case: 'status', value: {} }), 'hostStatus'));
  const found = await examineHost({ directory, listen, timeServer, status });
  return printFindings(found, call.on('json')) ? EXIT_OK : EXIT_LOCAL;
}

async function move(call: Call, body: RequestInit): Promise<number> {
  await reach(
    call,
    async link => {
      const { phase } = expectAnswer(await link.call(body), 'rotating');
      if (call.on('json')) jsonLine({ rotating: true, phase });
      else line(`Under way (${phase}); to see how it goes: clawchatd status`);
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
  if (call.words[0] === 'check') await readStoreConfigs(options);
  const lists = stores === undefined ? [] : [[STORES_KEY, stores.length] as const];
  return showConfig(call, {
    settings,
    all: Object.values(HOST_SETTINGS),
    directory,
    path: file?.path,
    lists,
  });
}

const COMMANDS: readonly Command[] = [
  {
    name: '',
    words: '',
    count: [0, 0],
    summary: 'run a host; makes what it needs on its first start',
    options: SERVE_OPTIONS,
    run: serve,
  },
  {
    name: 'invite',
    words: '',
    count: [0, 0],
    summary: 'make an invite for one device and print it alone on standard output',
    details: [
      'Works also while no host runs. Whoever reads the invite first can use it: pass it on in private.',
    ],
    options: {
      name: { value: 'NAME', help: 'name of the device' },
      expires: { value: 'TIME', help: 'how long it works, such as 30m or 24h, up to 7d (default: 24h)' },
      qr: { help: 'draw it as a QR code as well, for a phone that looks at this terminal' },
      'qr-light': { help: 'the same without colours, for a terminal with dark letters on a light ground' },
      file: {
        value: 'OUT',
        help: 'write a file with the invite and the connection file, for joining without a store',
      },
    },
    run: invite,
  },
  { name: 'status', words: '', count: [0, 0], summary: 'show how the host stands', options: {}, run: status },
  {
    name: 'history',
    words: '',
    count: [0, 0],
    summary: 'show what happened to the address: moves, holds, emergencies, ports and clocks',
    options: { limit: { value: 'N', help: `at most so many, the newest (default: ${HISTORY_NOTES_MAX})` } },
    run: history,
  },
  { name: 'devices', words: '', count: [0, 0], summary: 'list the devices', options: {}, run: devices },
  {
    name: 'revoke',
    words: 'DEVICE',
    count: [1, 1],
    summary: 'remove a device, by its id, the beginning of its id, or its name',
    options: {},
    run: revoke,
  },
  {
    name: 'doctor',
    words: '',
    count: [0, 0],
    summary: 'check clock, ports, stores, modes and what else a host needs, and say what to do',
    options: optionsOf([HOST_SETTINGS.listen, HOST_SETTINGS.timeServer]),
    run: doctor,
  },
  {
    name: 'health',
    words: '',
    count: [0, 0],
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
    words: '',
    count: [0, 0],
    summary: 'move to another port as soon as the rules allow',
    options: {},
    run: call => move(call, { case: 'rotate', value: {} }),
  },
  {
    name: 'emergency',
    words: '',
    count: [0, 0],
    summary: 'leave every earlier address now, with new keys',
    details: [
      'For when the address is attacked or known. People inside stay; people outside find the host again through a store.',
      'Earlier addresses end after a minute, but not before a store has the new one - unless --hard.',
    ],
    options: { hard: { help: 'end them after a minute whether or not a store has the new address' } },
    run: call => move(call, { case: 'emergency', value: { hard: call.on('hard') } }),
  },
  { name: 'stop', words: '', count: [0, 0], summary: 'stop the running host', options: {}, run: stop },
  {
    name: 'mega',
    words: 'login|check',
    count: [1, 1],
    summary: 'log in to a Mega account once, or look whether its folder works (while the host is stopped)',
    options: {},
    run: async call => mega(call, await hostOptions(call)),
  },
  {
    name: 'export-next-identity',
    words: 'FILE',
    count: [1, 1],
    summary: 'move the next identity key into a file that you then keep offline',
    options: {},
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
    options: {},
    run: async call => succeed(call, await hostOptions(call)),
  },
  {
    name: 'recover',
    words: '',
    count: [0, 0],
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
