/** Enrolment: what a host does with an invite, and what a client does with the answer (spec/08-devices.md, 8.2 and 8.3). */

import { CLAIM_LIFE_MS, DEVICE_NAME_BYTES_MAX, DEVICES_MAX } from '../../src/gen/constants.ts';
import { equal, hex, utf8 } from './bytes.ts';
import { closeBody, encodeFrame, readFrame } from './frame.ts';
import { deviceId } from './labels.ts';
import { type Accepted, type Reader, readEnvelope } from './record.ts';
import { attempt, demand, type ErrorName, Refusal } from './refusal.ts';

/** What a host knows of one invite and its device. */
export interface HostState {
  readonly phase: 'OPEN' | 'CLAIMED' | 'ENDED';
  readonly device: 'none' | 'pending' | 'active';
  readonly claim?: {
    readonly key: Uint8Array;
    readonly atMs: number;
    readonly secret: Uint8Array;
    readonly name: string;
  };
}

export const OPEN: HostState = { phase: 'OPEN', device: 'none' };

/** What does not change while a vector plays. */
export interface HostSetting {
  readonly inviteKey: Uint8Array;
  readonly expiresAtMs: number;
  /** The name that the invite was made with, or empty. */
  readonly inviteName: string;
  /** Keys of other devices and invites. */
  readonly otherKeys: readonly Uint8Array[];
  /** Other devices, enrolled and pending. */
  readonly otherDevices: number;
  /** The secret that the host draws for the device. */
  readonly deviceSecret: Uint8Array;
}

export type HostEvent =
  | {
      readonly kind: 'frame';
      readonly path: 'invite' | 'device';
      readonly frame: Uint8Array;
      readonly envelope: Uint8Array;
    }
  | {
      readonly kind:
        | 'clock'
        | 'message 3 of the device'
        | 'revoke'
        | 'token of the invite'
        | 'token of the device';
    };

/** What a host does in one step. */
export interface HostStep {
  readonly state: HostState;
  readonly reply?: Uint8Array;
  readonly closes: boolean;
  readonly commits: boolean;
  readonly alarms: boolean;
  readonly publishes: boolean;
  readonly closesInvitePaths: boolean;
  readonly accepts?: boolean;
}

const NOTHING = { closes: false, commits: false, alarms: false, publishes: false, closesInvitePaths: false };
const CHANGE = { ...NOTHING, commits: true, publishes: true, closesInvitePaths: true };

/** Let time pass, then do what the event asks for. */
export function hostStep(setting: HostSetting, before: HostState, nowMs: number, event: HostEvent): HostStep {
  const passed = timePasses(setting, before, nowMs);
  const then = happens(setting, passed.state, nowMs, event);
  return {
    ...then,
    commits: passed.commits || then.commits,
    publishes: passed.publishes || then.publishes,
    closesInvitePaths: passed.closesInvitePaths || then.closesInvitePaths,
  };
}

function timePasses(setting: HostSetting, state: HostState, nowMs: number): HostStep {
  const openIsOver = state.phase === 'OPEN' && nowMs > setting.expiresAtMs;
  const claimIsOver = state.phase === 'CLAIMED' && nowMs > (state.claim?.atMs ?? 0) + CLAIM_LIFE_MS;
  if (!openIsOver && !claimIsOver) return { ...NOTHING, state };
  return { ...CHANGE, state: { phase: 'ENDED', device: 'none' } };
}

function happens(setting: HostSetting, state: HostState, nowMs: number, event: HostEvent): HostStep {
  switch (event.kind) {
    case 'clock':
      return { ...NOTHING, state };
    case 'frame':
      return frameArrives(setting, state, nowMs, event);
    case 'token of the invite':
      return { ...NOTHING, state, accepts: state.phase !== 'ENDED' };
    case 'token of the device':
      return { ...NOTHING, state, accepts: state.device !== 'none' };
    case 'message 3 of the device':
      return state.device === 'pending'
        ? { ...CHANGE, state: { ...state, phase: 'ENDED', device: 'active' } }
        : { ...NOTHING, state };
    case 'revoke':
      return {
        ...CHANGE,
        closesInvitePaths: state.phase !== 'ENDED',
        state: { phase: 'ENDED', device: 'none' },
      };
  }
}

/** Close a path for a reason. */
export function closeFrame(code: ErrorName): Uint8Array {
  return encodeFrame(closeBody(code));
}

function frameArrives(
  setting: HostSetting,
  state: HostState,
  nowMs: number,
  { path, frame, envelope }: Extract<HostEvent, { kind: 'frame' }>,
): HostStep {
  const refuse = (code: ErrorName): HostStep => ({
    ...NOTHING,
    state,
    reply: closeFrame(code),
    closes: true,
    alarms: code === 'INVITE_USED',
  });
  const body = attempt(() => readFrame(frame));
  if ('refusal' in body) return refuse(body.refusal.code);
  const { value } = body;
  switch (value.case) {
    case undefined:
    case 'pong':
      return { ...NOTHING, state };
    case 'ping':
      return { ...NOTHING, state, reply: encodeFrame({ case: 'pong', value: { id: value.value.id } }) };
    case 'close':
      return { ...NOTHING, state, closes: true };
    case 'hello':
      return refuse('FRAME_UNEXPECTED');
    case 'enrol': {
      if (path === 'device') return refuse('NOT_PERMITTED');
      const granted = attempt(() => enrol(setting, state, nowMs, value.value));
      if ('refusal' in granted) return refuse(granted.refusal.code);
      const { claim } = granted.value;
      if (claim === undefined) throw new Error('a grant is a claim');
      const reply = encodeFrame({
        case: 'enrolled',
        value: { deviceSecret: claim.secret, envelope, name: claim.name },
      });
      const first = state.phase === 'OPEN';
      return { ...NOTHING, state: granted.value, reply, commits: first, publishes: first };
    }
    default:
      return refuse(path === 'invite' ? 'NOT_PERMITTED' : 'FRAME_UNEXPECTED');
  }
}

/** The checks of an Enrol, in their order. */
function enrol(
  setting: HostSetting,
  state: HostState,
  nowMs: number,
  asked: { readonly deviceKey: Uint8Array; readonly name: string },
): HostState {
  const { deviceKey: key } = asked;
  demand(state.phase !== 'ENDED', 'INVITE_EXPIRED', 'no such invite');
  demand(key.length === 32 && key.some(byte => byte !== 0), 'ENROL_INVALID', 'device key');
  demand(utf8(asked.name).length <= DEVICE_NAME_BYTES_MAX, 'ENROL_INVALID', 'name');
  if (state.claim !== undefined) {
    demand(equal(state.claim.key, key), 'INVITE_USED', 'claimed by another key');
    return state;
  }
  const taken = [setting.inviteKey, ...setting.otherKeys].some(one => equal(one, key));
  demand(!taken, 'ENROL_INVALID', 'the key is that of somebody else');
  demand(setting.otherDevices < DEVICES_MAX, 'DEVICE_LIMIT', 'no room');
  const name = deviceName(setting.inviteName, asked.name, key);
  return {
    phase: 'CLAIMED',
    device: 'pending',
    claim: { key, atMs: nowMs, secret: setting.deviceSecret, name },
  };
}

/** The name that a host gives (8.3). */
function deviceName(inviteName: string, asked: string, key: Uint8Array): string {
  const clean = asked.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '');
  return inviteName || clean || `device-${hex(deviceId(key).slice(0, 4))}`;
}

/** What an Enrolled is worth to a client (EN-013~2). */
export function judgeEnrolled(
  frame: Uint8Array,
  reader: Reader,
  nowMs: number,
): { readonly accepted: Accepted; readonly deviceSecret: Uint8Array; readonly name: string } {
  const body = readFrame(frame);
  if (body.case !== 'enrolled') throw new Refusal('FRAME_UNEXPECTED', 'no Enrolled');
  const { deviceSecret, envelope, name } = body.value;
  demand(deviceSecret.length === 32, 'FRAME_MALFORMED', 'device secret');
  const bytes = utf8(name).length;
  demand(bytes >= 1 && bytes <= DEVICE_NAME_BYTES_MAX, 'FRAME_MALFORMED', 'name');
  return { accepted: readEnvelope(envelope, reader, nowMs), deviceSecret, name };
}
