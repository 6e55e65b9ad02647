/** The commands of `clawchatd` about devices: invite, list, revoke. Chapter: spec/08-devices.md. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { ControlBequest, ControlDevice } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { INVITE_LIFE_MS, INVITE_LIFE_MS_MAX } from '../../gen/constants.ts';
import { failure } from '../failure.ts';
import { refuseUnwritable, writeFileAtomic } from '../files.ts';
import type { OwnerLink } from '../owner.ts';
import { type Call, type Command, duration, usage } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { hostOptions } from './host-options.ts';
import { hex, jsonLine, line, seenText, takesColour, timeText } from './output.ts';
import { drawQr } from './qr.ts';
import { reachExistingHost, reachHost } from './reach-host.ts';
import { harmlessLine } from './terminal-text.ts';
import { shellWord, typedCommand, typedElsewhere, withCommands } from './typed-command.ts';

async function invite(call: Call): Promise<number> {
  const expires = call.text('expires');
  const lifeMs = expires === undefined ? INVITE_LIFE_MS : duration(expires, '--expires');
  if (lifeMs <= 0 || lifeMs > INVITE_LIFE_MS_MAX) throw usage('--expires takes up to 7d');
  const file = call.text('file');
  if (file !== undefined && (call.on('qr') || call.on('qr-light')))
    throw usage('--qr draws the invite alone: leave --file out');
  const { directory } = await hostOptions(call);
  const isNew = !existsSync(directory);
  // Before the invite is made: one that nobody got stays open until it expires.
  if (file !== undefined) await refuseUnwritable(file);
  await reachHost(call, async link => {
    if (isNew) process.stderr.write(newHostText(directory));
    const name = call.text('name') ?? '';
    const value = { name, lifeMs: BigInt(lifeMs), bundle: file !== undefined };
    const made = expectAnswer(await link.call({ case: 'invite', value }), 'invite');
    if (file !== undefined) await writeFileAtomic(file, made.bundle);
    if (call.on('json')) {
      const warnings = made.warnings.map(warning => withCommands(warning));
      const json = { expires_at_ms: made.expiresAtMs, published: made.published, warnings };
      jsonLine(file === undefined ? { invite: made.invite, ...json } : { file, ...json });
      return;
    }
    const isLight = call.on('qr-light');
    if (call.on('qr') || isLight)
      for (const row of drawQr(made.invite, { colour: takesColour() && !isLight, isLight })) line(row);
    // Otherwise the invite alone on standard output, so that it can be piped.
    if (file === undefined) line(made.invite);
    else process.stderr.write(`wrote ${file}: it is a secret until it is used\n`);
    const join = `clawchat join${file === undefined ? '' : ` ${shellWord(basename(file))}`}`;
    process.stderr.write(
      `works once, until ${timeText(made.expiresAtMs)}; to use it: ${typedElsewhere(join)}\n`,
    );
    process.stderr.write(
      'Whoever runs this host can read what is written there: tell those whom you invite.\n',
    );
    for (const warning of made.warnings) process.stderr.write(`${withCommands(warning)}\n`);
    const isTaken = name !== '' && (await listDevices(link)).some(device => device.name === name);
    if (isTaken)
      process.stderr.write(`A device called ${harmlessLine(name)} has joined already: there will be two.\n`);
  });
  return EXIT_OK;
}

/** Nobody who mistyped the directory of their host is to miss it. */
function newHostText(directory: string): string {
  return (
    `NOTE: there was no host in ${directory}: a new one was made there, and the invite is to that one.\n` +
    '      If you meant another host, name its directory with --data, and remove this one.\n'
  );
}

/** Ask for every device, enrolled or pending. */
export async function listDevices(link: OwnerLink): Promise<readonly ControlDevice[]> {
  return expectAnswer(await link.call({ case: 'devices', value: {} }), 'devices').devices;
}

/** The person whose device it is, in hexadecimal: the id of the person's first device. */
export function personOf({ deviceId, personId }: ControlDevice): string {
  return hex(personId.length === 0 ? deviceId : personId);
}

/** The devices that an id, the beginning of one, or a name can mean. */
export function fitting(all: readonly ControlDevice[], wanted: string): readonly ControlDevice[] {
  const id = wanted.toLowerCase();
  const named = all.filter(({ deviceId, name }) => hex(deviceId) === id || name === wanted);
  if (named.length > 0) return named;
  return all.filter(({ deviceId }) => id.length >= 4 && hex(deviceId).startsWith(id));
}

/** Whose further device it is, and what they call themselves, for people. */
function aside(all: readonly ControlDevice[], device: ControlDevice): string {
  const { personId, personName } = device;
  const first = all.find(({ deviceId }) => hex(deviceId) === personOf(device))?.name;
  const of = personId.length === 0 ? '' : `of ${first ?? personOf(device).slice(0, 8)}`;
  const called = personName === '' || personName === first ? '' : `called ${personName}`;
  const about = [of, called].filter(text => text !== '').join(', ');
  return about === '' ? '' : ` (${harmlessLine(about)})`;
}

function stateOf({ pending, connected }: ControlDevice): 'pending' | 'connected' | 'away' {
  if (pending) return 'pending';
  return connected ? 'connected' : 'away';
}

async function devices(call: Call): Promise<number> {
  await reachExistingHost(call, async link => {
    const found = await listDevices(link);
    for (const device of found) {
      const state = stateOf(device);
      if (call.on('json')) {
        jsonLine({
          device: device.deviceId,
          name: device.name,
          state,
          enrolled_at_ms: device.enrolledAtMs,
          last_seen_at_ms: device.lastSeenAtMs,
          words: device.words,
          ...(device.personId.length > 0 && { person: device.personId }),
          ...(device.personName !== '' && { person_name: device.personName }),
        });
        continue;
      }
      const seen = seenText(device.lastSeenAtMs, Date.now());
      const about = `${harmlessLine(device.name)}${aside(found, device)}`;
      line(`${hex(device.deviceId)}  ${state.padEnd(9)}  ${seen.padEnd(20)}  ${device.words}  ${about}`);
    }
    if (found.length === 0 && !call.on('json')) line(`No devices yet: ${typedCommand('clawchatd invite')}`);
  });
  return EXIT_OK;
}

/** What becomes of a room that has lost its last owner. @impl CH-051~2 */
function bequestText({ room, heir }: ControlBequest): string {
  const name = harmlessLine(room);
  if (heir !== undefined) return `${name} belongs to ${harmlessLine(heir.name)} now.`;
  const [owner, gone] = [`owner ${shellWord(name)} PERSON`, `delete ${shellWord(name)}`];
  return withCommands(
    `${name} belongs to nobody now: \`clawchatd room ${owner}\`, or \`clawchatd room ${gone}\``,
  );
}

async function revoke(call: Call): Promise<number> {
  const [wanted = ''] = call.words;
  await reachExistingHost(call, async link => {
    const fits = fitting(await listDevices(link), wanted);
    const [device] = fits;
    if (device === undefined || fits.length > 1) {
      const what = fits.length > 1 ? `fits ${fits.length} devices; give the id` : 'is no device';
      throw failure(ErrorCode.DEVICE_UNKNOWN, `'${wanted}' ${what} (see: \`clawchatd devices\`)`);
    }
    const value = { deviceId: device.deviceId };
    const { bequests } = expectAnswer(await link.call({ case: 'revoke', value }), 'revoked');
    if (call.on('json')) {
      const rooms = bequests.map(({ room, heir }) => ({ room, owner: heir?.personId ?? null }));
      jsonLine({ revoked: true, device: device.deviceId, name: device.name, rooms });
      return;
    }
    line(`Revoked ${harmlessLine(device.name)} (${hex(device.deviceId)}).`);
    for (const bequest of bequests) line(bequestText(bequest));
  });
  return EXIT_OK;
}

/** To let devices in, and out again. */
export const DEVICE_COMMANDS: readonly Command[] = [
  {
    name: 'invite',
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
  { name: 'devices', summary: 'list the devices', run: devices },
  {
    name: 'revoke',
    words: 'DEVICE',
    count: [1, 1],
    summary: 'remove a device, by its id, the beginning of its id, or its name',
    details: [
      'What was said with it stays. With the last device of a person their rooms go to the first member of each;',
      'a room without one belongs to nobody: see "rooms" and "room".',
    ],
    run: revoke,
  },
];
