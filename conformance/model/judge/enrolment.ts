/** Judges vectors of `enrolment`: plays the steps against the model of a host or a client. */
import { hex } from '../bytes.ts';
import {
  type HostEvent,
  type HostSetting,
  type HostStep,
  hostStep,
  judgeEnrolled,
  OPEN,
} from '../enrolment.ts';
import { readerOf } from '../file-cases.ts';
import { codeName, readFrame } from '../frame.ts';
import { array, bytes, bytesOf, has, number, object, objects, text } from '../json.ts';
import { deviceKeys } from '../labels.ts';
import type { Reader } from '../record.ts';
import { attempt, type ErrorName } from '../refusal.ts';
import type { JsonObject } from '../vector.ts';
import { words } from '../words.ts';
import type { Judge, Outcome } from './judge.ts';

/** Judge a vector of `enrolment`. */
export const judgeEnrolment: Judge = input => (text(input, 'what') === 'host' ? host(input) : client(input));

function host(input: JsonObject): Outcome {
  const setting: HostSetting = {
    inviteKey: bytes(input, 'invite_key'),
    expiresAtMs: number(input, 'expires_at_ms'),
    inviteName: text(input, 'invite_name'),
    otherKeys: array(input, 'other_keys').map(bytesOf),
    otherDevices: number(input, 'other_devices'),
    deviceSecret: bytes(input, 'device_secret'),
  };
  let state = OPEN;
  let error: ErrorName | undefined;
  const steps = objects(input, 'steps').map(given => {
    const step = hostStep(setting, state, number(given, 'at_ms'), eventOf(given));
    state = step.state;
    const reply = step.reply === undefined ? undefined : readFrame(step.reply);
    if (reply?.case === 'close') error = codeName(reply.value.code) as ErrorName;
    return shownStep(step);
  });
  return error === undefined ? { output: { steps } } : { output: { steps }, error };
}

function eventOf(given: JsonObject): HostEvent {
  if (!has(given, 'frame')) {
    return { kind: text(given, 'event') } as Exclude<HostEvent, { kind: 'frame' }>;
  }
  const path = text(given, 'path') === 'device' ? 'device' : 'invite';
  return { kind: 'frame', path, frame: bytes(given, 'frame'), envelope: bytes(given, 'envelope') };
}

function shownStep(step: HostStep): JsonObject {
  const does = [
    ...(step.commits ? ['commit'] : []),
    ...(step.publishes ? ['publish'] : []),
    ...(step.alarms ? ['alarm'] : []),
    ...(step.closesInvitePaths ? ['close the paths of the invite'] : []),
    ...(step.closes ? ['close this path'] : []),
  ];
  return {
    invite: step.state.phase,
    device: step.state.device,
    does,
    ...(step.reply === undefined ? {} : { reply: hex(step.reply) }),
    ...(step.accepts === undefined ? {} : { accepts: step.accepts }),
  };
}

/** What a client holds while it enrols. */
interface ClientState {
  readonly phase: 'KEYED' | 'GRANTED' | 'DEVICE';
  readonly reader: Reader;
  readonly secretKey: Uint8Array;
  readonly granted?: JsonObject;
}

function client(input: JsonObject): Outcome {
  let state: ClientState = {
    phase: 'KEYED',
    reader: readerOf(object(input, 'client')),
    secretKey: bytes(input, 'device_secret_key'),
  };
  let error: ErrorName | undefined;
  const steps = objects(input, 'steps').map(given => {
    const step = clientStep(state, given);
    state = step.state;
    error = step.error ?? error;
    return {
      state: state.phase,
      dials_as: state.phase === 'KEYED' ? 'invite' : 'device',
      does: step.does,
      ...(step.error === undefined ? {} : { error: step.error }),
      ...(state.granted === undefined ? {} : { granted: state.granted }),
    };
  });
  return error === undefined ? { output: { steps } } : { output: { steps }, error };
}

interface ClientStep {
  readonly state: ClientState;
  readonly does: readonly string[];
  readonly error?: ErrorName;
}

function clientStep(state: ClientState, given: JsonObject): ClientStep {
  if (has(given, 'join')) {
    if (state.phase === 'DEVICE') return { state, does: [], error: 'ALREADY_JOINED' };
    const join = object(given, 'join');
    const fresh = {
      phase: 'KEYED',
      reader: readerOf(object(join, 'client')),
      secretKey: bytes(join, 'device_secret_key'),
    } as const;
    return { state: fresh, does: ['store the new invite and device key'] };
  }
  if (!has(given, 'frame')) return { state, does: [] };
  const frame = bytes(given, 'frame');
  if (text(given, 'path') === 'device') {
    if (state.phase !== 'GRANTED') return { state, does: [] };
    return { state: { ...state, phase: 'DEVICE' }, does: ['erase the invite'] };
  }
  const body = attempt(() => readFrame(frame));
  if ('refusal' in body) return { state, does: [], error: body.refusal.code };
  if (body.value.case === 'close') {
    return { state, does: [], error: codeName(body.value.value.code) as ErrorName };
  }
  return enrolled(state, frame, number(given, 'at_ms'));
}

function enrolled(state: ClientState, frame: Uint8Array, nowMs: number): ClientStep {
  const outcome = attempt(() => judgeEnrolled(frame, state.reader, nowMs));
  if ('refusal' in outcome) return { state, does: [], error: outcome.refusal.code };
  const { accepted, deviceSecret, name } = outcome.value;
  const keys = deviceKeys(state.secretKey, deviceSecret);
  const granted = {
    name,
    identity: hex(accepted.identity),
    sequence: Number(accepted.record.sequence),
    hash: hex(accepted.hash),
    device_key: hex(keys.publicKey),
    psk: hex(keys.psk),
    gate_key: hex(keys.gateKey),
    file_key: hex(keys.fileKey),
    words: words(accepted.identity, keys.publicKey),
  };
  const step = {
    state: { ...state, phase: 'GRANTED', granted },
    does: ['store the reply', 'dial as the device'],
  } as const;
  return accepted.clockSuspect ? { ...step, error: 'CLOCK_SUSPECT' } : step;
}
