/** What a host does with an invite and the device that comes of it (spec/08-devices.md, 8.2). */
import {
  CLAIM_LIFE_MS,
  DEVICE_NAME_BYTES_MAX,
  DEVICES_MAX,
  INVITE_LIFE_MS,
} from '../../../src/gen/constants.ts';
import {
  activate,
  type Decision,
  enrol,
  expire,
  makeInvite,
  type RegistryOutput,
  revoke,
  withdraw,
} from '../../../src/protocol/enrolment.ts';
import { codeName } from '../../../src/protocol/fault.ts';
import { NOW_MS, named } from '../../../src/protocol/fixtures.ts';
import {
  applyChanges,
  EMPTY_REGISTRY,
  memberId,
  type Registry,
  registerDevice,
} from '../../../src/protocol/registry.ts';
import { cellOf, grid, host, must, suite } from './grid.ts';

const K = named(suite, 'key of the device');
const OTHER = named(suite, 'key of somebody else');
const MEMBER = named(suite, 'key of a member');
const terms = { identity: host.identity(0), serverId: host.serverId, stores: [], name: '', lifeMs: 0 };
const made = must(
  makeInvite(suite, withDevice(EMPTY_REGISTRY, MEMBER), { ...terms, secret: named(suite, 'i') }, NOW_MS),
);
const [INVITE] = [...made.registry.invites.values()];
const inviteId = INVITE?.id ?? '';
const deviceId = memberId(suite, K);

function withDevice(registry: Registry, publicKey: Uint8Array): Registry {
  const about = {
    secret: publicKey,
    name: 'ada',
    pending: false,
    enrolledAtMs: NOW_MS,
    lastSeenAtMs: NOW_MS,
  };
  const device = registerDevice(suite, { ...about, publicKey });
  return applyChanges(registry, [{ kind: 'putDevice', device }]);
}

/** A registry that has no room for another device. */
function full(registry: Registry): Registry {
  const [some] = [...registry.devices.values()];
  if (some === undefined) throw new Error('nobody is there');
  const devices = new Map(registry.devices);
  while (devices.size < DEVICES_MAX) devices.set(`${devices.size}`, { ...some, id: `${devices.size}` });
  return { ...registry, devices };
}

type Input = (registry: Registry, nowMs: number) => Decision;

const asks =
  (deviceKey: Uint8Array, name = 'ada'): Input =>
  (registry, nowMs) =>
    enrol(suite, registry, { inviteId, deviceKey, name, freshSecret: named(suite, 'device secret') }, nowMs);

interface State {
  readonly registry: Registry;
  readonly nowMs: number;
}

const open: State = { registry: made.registry, nowMs: NOW_MS };
// Claimed at the last moment, so that the claim outlives the invite.
const LATE_MS = NOW_MS + INVITE_LIFE_MS - 1000;
const claimed: State = { nowMs: LATE_MS, registry: asks(K)(open.registry, LATE_MS)[0] };
const STATES: readonly (readonly [string, State])[] = [
  ['OPEN', open],
  ['OPEN, past its expiry', { ...open, nowMs: NOW_MS + INVITE_LIFE_MS + 1 }],
  ['CLAIMED by K', claimed],
  ['no invite, K is a device', { ...claimed, registry: activate(claimed.registry, deviceId, NOW_MS)[0] }],
  ['no invite, K is unknown', { ...open, registry: withdraw(open.registry, inviteId)[0] }],
];

const INPUTS: readonly (readonly [string, Input])[] = [
  ['Enrol{K}', asks(K)],
  ['Enrol{K} while `DEVICES_MAX` devices exist', (registry, nowMs) => asks(K)(full(registry), nowMs)],
  ['Enrol{another key}', asks(OTHER)],
  ['Enrol{the key of another device}', asks(MEMBER)],
  ['Enrol{the key of the invite}', asks(INVITE?.publicKey ?? K)],
  ['Enrol{32 zero bytes}', asks(new Uint8Array(32))],
  ['Enrol{31 bytes}', asks(K.subarray(1))],
  ['Enrol{K}, the name too long', asks(K, 'a'.repeat(DEVICE_NAME_BYTES_MAX + 1))],
  ['message 3 of device K', (registry, nowMs) => activate(registry, deviceId, nowMs)],
  [
    'the time of its expiry passes',
    (registry, nowMs) => expire(registry, Math.max(nowMs, NOW_MS + INVITE_LIFE_MS + 1), new Set()),
  ],
  [
    '`CLAIM_LIFE_MS` pass, and its expiry',
    (registry, nowMs) => expire(registry, nowMs + CLAIM_LIFE_MS + 1, new Set()),
  ],
  ['the operator withdraws the invite', registry => withdraw(registry, inviteId)],
  ['the operator revokes K', registry => revoke(registry, deviceId)],
];

function nameOf({ invites, devices }: Registry): string {
  const invite = invites.get(inviteId);
  if (invite?.claim !== undefined) return `CLAIMED by ${devices.has(deviceId) ? 'K' : 'that key'}`;
  if (invite !== undefined) return 'OPEN';
  return devices.has(deviceId) ? 'no invite, K is a device' : 'no invite, K is unknown';
}

function cell({ registry, nowMs }: State, input: Input): string {
  const [next, outputs] = input(registry, nowMs);
  return cellOf(nameOf(registry), nameOf(next), [...new Set(outputs.map(word))]);
}

function word(output: RegistryOutput): string {
  switch (output.kind) {
    case 'commit':
      return output.changes.length === 0 ? 'awaits earlier commits' : 'commits';
    case 'enrolled':
      return 'Enrolled';
    case 'close':
      return `Close{\`${codeName(output.code)}\`}`;
    case 'alarm':
      return 'alarm';
    case 'endPaths':
      return `ends the paths of ${output.id === inviteId ? 'the invite' : 'K'} with \`${codeName(output.code)}\``;
    case 'publish':
      return 'publishes';
  }
}

/** Make the table. */
export function enrolmentTable(): string {
  return grid(STATES, INPUTS, cell);
}
