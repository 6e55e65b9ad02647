/** The commands of `clawchatd` about devices: list, revoke. Chapter: spec/08-devices.md. */
import type { ControlBequest, ControlDevice, ControlOpenInvite } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { failure } from '../failure.ts';
import type { OwnerLink } from '../owner-link.ts';
import type { Call, Command } from './command-line.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { countText, hex, jsonLine, line, seenText } from './output.ts';
import { reachExistingHost } from './reach-host.ts';
import { harmlessLine } from './terminal-text.ts';
import { shellWord, typedCommand, withCommands } from './typed-command.ts';

/** Ask for every device, enrolled or pending. */
export async function listDevices(link: OwnerLink): Promise<readonly ControlDevice[]> {
  return expectAnswer(await link.call({ case: 'devices', value: {} }), 'devices').devices;
}

/** Ask for every invite that is open or claimed. */
export async function listInvites(link: OwnerLink): Promise<readonly ControlOpenInvite[]> {
  return expectAnswer(await link.call({ case: 'invites', value: {} }), 'invites').invites;
}

/** The person whose device it is, in hexadecimal: the id of the person's first device. */
export function personOf({ deviceId, personId }: ControlDevice): string {
  return hex(personId.length === 0 ? deviceId : personId);
}

/** The devices that an id, the beginning of one, its name, or the name that its person took can mean. */
export function fitting(all: readonly ControlDevice[], wanted: string): readonly ControlDevice[] {
  const called = wanted === '' ? [] : all.filter(({ personName }) => personName === wanted);
  const others = meant(all, ({ deviceId }) => deviceId, wanted).filter(device => !called.includes(device));
  return [...called, ...others];
}

/** The ones of a list that an id, the beginning of one, or a name can mean. */
export function meant<T extends { readonly name: string }>(
  all: readonly T[],
  idOf: (one: T) => Uint8Array,
  wanted: string,
): readonly T[] {
  const id = wanted.toLowerCase();
  const named = all.filter(one => hex(idOf(one)) === id || (one.name === wanted && wanted !== ''));
  if (named.length > 0) return named;
  return all.filter(one => id.length >= 4 && hex(idOf(one)).startsWith(id));
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
    if (call.on('json')) return;
    const open = (await listInvites(link)).length;
    if (found.length === 0 && open === 0) line(`No devices yet: ${typedCommand('clawchatd invite')}`);
    else if (open > 0) line(`${countText(open, 'invite')} open: ${typedCommand('clawchatd invites')}`);
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

/** Whoever has not joined yet has an invite. */
async function noDevice(link: OwnerLink, wanted: string): Promise<string> {
  const invited = meant(await listInvites(link), ({ inviteId }) => inviteId, wanted);
  return invited.length === 0
    ? 'is no device'
    : `has not joined: to withdraw the invite: \`clawchatd withdraw ${shellWord(wanted)}\``;
}

async function revoke(call: Call): Promise<number> {
  const [wanted = ''] = call.words;
  await reachExistingHost(call, async link => {
    const all = await listDevices(link);
    const fits = fitting(all, wanted);
    const [device] = fits;
    if (device === undefined || fits.length > 1) {
      const what =
        fits.length > 1 ? `fits ${fits.length} devices; give the id` : await noDevice(link, wanted);
      throw failure(ErrorCode.DEVICE_UNKNOWN, `'${wanted}' ${what} (see: \`clawchatd devices\`)`);
    }
    const value = { deviceId: device.deviceId };
    const { bequests } = expectAnswer(await link.call({ case: 'revoke', value }), 'revoked');
    if (call.on('json')) {
      const rooms = bequests.map(({ room, heir }) => ({ room, owner: heir?.personId ?? null }));
      jsonLine({ revoked: true, device: device.deviceId, name: device.name, rooms });
      return;
    }
    line(`Revoked ${harmlessLine(device.name)}${aside(all, device)}: ${hex(device.deviceId)}.`);
    for (const bequest of bequests) line(bequestText(bequest));
  });
  return EXIT_OK;
}

/** To see devices, and put them out. */
export const DEVICE_COMMANDS: readonly Command[] = [
  { name: 'devices', summary: 'list the devices', run: devices },
  {
    name: 'revoke',
    words: 'DEVICE',
    count: [1, 1],
    summary:
      'remove a device, by its id, the beginning of its id, its name, or the name that its person took',
    details: [
      'What was said with it stays. With the last device of a person their rooms go to the first member of each;',
      'a room without one belongs to nobody: see "rooms" and "room".',
    ],
    run: revoke,
  },
];
