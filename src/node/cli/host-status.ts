/** Prints how a host stands. */
import type {
  ControlDevice,
  ControlHostStatus,
  ControlNote,
  ControlPlace,
  ControlStore,
} from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { personOf } from './device-commands.ts';
import { judgeHealth } from './health.ts';
import { countText, endsText, fromNow, hex, jsonLine, line, movesText, seenText } from './output.ts';
import { happenedText, phaseText } from './rotation-words.ts';
import { troubleText } from './store-trouble.ts';
import { harmlessLine } from './terminal-text.ts';
import { withCommands } from './typed-command.ts';

/** How much of the history people see here; `history` and JSON have all of it. */
const HISTORY_SHOWN = 8;
const PEOPLE_SHOWN = 12;
/** Digits of an id that tell two people of one name apart. */
const ID_SHOWN = 8;

const ROLES: ReadonlyMap<string, string> = new Map([['primary', 'in use']]);

/** Print what happened to the rotation, oldest first. */
export function describeHistory(notes: readonly ControlNote[], json: boolean): void {
  for (const note of notes) {
    if (json) jsonLine(noteJson(note));
    else line(happenedText(note));
  }
  if (notes.length === 0 && !json) line('Nothing has happened yet.');
}

function noteJson({ atMs, what, detail, times, lastAtMs }: ControlNote): Readonly<Record<string, unknown>> {
  return {
    at_ms: atMs,
    what,
    detail,
    times: Math.max(times, 1),
    last_at_ms: lastAtMs === 0n ? atMs : lastAtMs,
  };
}

/** Print it for people, or as one JSON value whose names are part of the interface. */
export function describeHost(
  status: ControlHostStatus,
  devices: readonly ControlDevice[],
  json: boolean,
): void {
  if (json) jsonLine(hostJson(status));
  else printHost(status, devices, Date.now());
}

function hostJson(status: ControlHostStatus): Readonly<Record<string, unknown>> {
  return {
    server: status.serverId,
    serving: status.serving,
    started_at_ms: status.startedAtMs,
    epoch: status.epoch,
    sequence: status.sequence,
    port: status.port,
    addresses: status.addresses,
    next_rotation_ms: status.nextRotationAtMs,
    valid_until_ms: status.validUntilMs,
    devices: status.devices,
    connected: status.connected,
    invites: status.invites,
    stores: status.stores.map(storeJson),
    next_identity_exported: status.nextIdentityExported,
    phase: status.phase,
    places: status.places.map(placeJson),
    history: status.history.map(noteJson),
    warnings: status.warnings.map(warning => withCommands(warning)),
  };
}

function placeJson(place: ControlPlace): unknown {
  const { port, epoch, role, open, paths, listedUntilMs, endsAtMs, waitsForStore } = place;
  return {
    port,
    epoch,
    role,
    open,
    paths,
    listed_until_ms: listedUntilMs,
    ends_at_ms: endsAtMs,
    waits_for_store: waitsForStore,
  };
}

function storeJson(store: ControlStore): unknown {
  return {
    name: store.name,
    error: store.code === ErrorCode.UNSPECIFIED ? null : codeName(store.code),
    state: store.trouble === '' ? null : store.trouble,
    detail: store.detail === '' ? null : withCommands(store.detail),
    verified_sequence: store.verifiedSequence,
    verified_at_ms: store.verifiedAtMs,
  };
}

function printHost(status: ControlHostStatus, devices: readonly ControlDevice[], now: number): void {
  const { well, text } = judgeHealth(status, now);
  const failing = status.stores.filter(({ code }) => code !== ErrorCode.UNSPECIFIED).length;
  const but =
    failing === 0
      ? ''
      : withCommands(`, but ${failing} of ${status.stores.length} stores fail: \`clawchatd doctor\``);
  line(`state      ${well ? `well${but}` : `not well: ${text}`}`);
  line(`host       ${hex(status.serverId)}`);
  line(
    `serving    ${status.serving ? `on port ${status.port}; started ${fromNow(status.startedAtMs, now)}` : 'no'}`,
  );
  if (status.addresses.length > 0) line(`addresses  ${status.addresses.join(', ')}`);
  if (status.sequence === 0n) line('record     none yet');
  else {
    const doing = phaseText(status);
    const next = status.serving
      ? `${movesText(status.nextRotationAtMs, now)}${doing === '' ? '' : `; ${doing}`}`
      : endsText(status.validUntilMs, now);
    line(`record     number ${status.sequence}, ${next}`);
  }
  for (const place of status.places) {
    const until = place.role === 'old' ? `, ${oldEndsText(place, now)}` : '';
    const isSame = place.role !== 'primary' && place.port === status.port;
    const role = `${ROLES.get(place.role) ?? place.role}${isSame ? ' keys on the same port' : ''}`;
    const open = place.open ? 'open' : 'cannot be opened';
    line(`port       ${place.port}: ${role}, ${open}, ${countText(place.paths, 'connection')}${until}`);
  }
  const seeInvites = status.invites === 0 ? '' : withCommands(': `clawchatd invites`');
  const invites = `${countText(status.invites, 'invite')} open${seeInvites}`;
  line(`devices    ${status.devices}, ${status.connected} connected; ${invites}`);
  for (const [name, state] of people(devices, now)) line(`person     ${harmlessLine(name)}: ${state}`);
  for (const store of status.stores) {
    const unread = status.serving ? 'not read back yet' : 'read while the host runs';
    const fine = store.verifiedAtMs === 0n ? unread : `verified ${fromNow(store.verifiedAtMs, now)}`;
    line(`store      ${store.name}: ${troubleText(store) ?? fine}`);
  }
  for (const note of status.history.slice(-HISTORY_SHOWN)) line(`history    ${happenedText(note)}`);
  for (const warning of status.warnings) line(`warning    ${harmlessLine(withCommands(warning))}`);
}

/** When an old port ends; an emergency may also wait for a store. */
function oldEndsText({ endsAtMs, listedUntilMs, waitsForStore }: ControlPlace, now: number): string {
  const at = endsAtMs === 0n ? listedUntilMs : endsAtMs;
  if (!waitsForStore) return endsText(at, now);
  const first = Number(at) > now ? `, and not before ${fromNow(at, now).slice(3)} have passed` : '';
  return `ends when a store has the new address${first}`;
}

/** Who is here, and who was here last: as many as fit on a screen. Several devices of one person are one line. */
function people(devices: readonly ControlDevice[], now: number): (readonly [name: string, state: string])[] {
  const byPerson = new Map<string, ControlDevice[]>();
  for (const device of devices) {
    const person = personOf(device);
    byPerson.set(person, [...(byPerson.get(person) ?? []), device]);
  }
  const names = new Map([...byPerson].map(([person, all]) => [person, nameOf(person, all)]));
  const called = (person: string): string => {
    const name = names.get(person) ?? '';
    const isShared = [...names.values()].filter(other => other === name).length > 1;
    return isShared ? `${name} (${person.slice(0, ID_SHOWN)})` : name;
  };
  const seen = (all: readonly ControlDevice[]): number =>
    Math.max(...all.map(({ lastSeenAtMs }) => Number(lastSeenAtMs)));
  const here = (all: readonly ControlDevice[]): number => all.filter(({ connected }) => connected).length;
  const sorted = [...byPerson].sort(([, a], [, b]) => here(b) - here(a) || seen(b) - seen(a));
  const shown = sorted.slice(0, PEOPLE_SHOWN).map(([person, all]) => {
    const several = all.length > 1 ? `, ${all.length} devices` : '';
    const away = seen(all) === 0 ? 'never seen' : `away, ${seenText(seen(all), now)}`;
    return [called(person), `${here(all) > 0 ? 'here' : away}${several}`] as const;
  });
  const more = sorted.length - shown.length;
  return more > 0
    ? [...shown, [`${more} more`, withCommands('listed by `clawchatd devices`')] as const]
    : shown;
}

/** What a person goes by: the name that they took, else that of their first device. */
function nameOf(person: string, all: readonly ControlDevice[]): string {
  const first = all.find(({ deviceId }) => hex(deviceId) === person) ?? all[0];
  return all.find(({ personName }) => personName !== '')?.personName ?? first?.name ?? '';
}
