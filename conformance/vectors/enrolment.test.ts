/** The reference implementation, host and client, against enrolment.json. */
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { EnrolledSchema } from '../../src/gen/clawchat/v1/enrolment_pb.ts';
import type { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { native } from '../../src/node/native.ts';
import type { ConnectionRecord } from '../../src/protocol/connection-record.ts';
import {
  activate,
  type Decision,
  enrol,
  expire,
  type RegistryOutput,
  revoke,
} from '../../src/protocol/enrolment.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { type Held, trusting } from '../../src/protocol/freshness.ts';
import { Gate } from '../../src/protocol/gate.ts';
import { encodeInvite, type Invite, parseInvite } from '../../src/protocol/invite.ts';
import {
  dialKeys,
  dialsAs,
  type JoinInput,
  type JoinOutput,
  type Member,
  stepJoin,
} from '../../src/protocol/join.ts';
import {
  applyChanges,
  applyToGate,
  EMPTY_REGISTRY,
  memberId,
  type RegisteredDevice,
  type RegisteredInvite,
  type Registry,
  registerDevice,
} from '../../src/protocol/registry.ts';
import { decodeMember, encodeMember } from '../../src/protocol/storage.ts';
import { words } from '../../src/protocol/words.ts';
import { decodeFrame, encodeFrame } from '../../src/wire/frame.ts';
import {
  bytes,
  type Fields,
  fields,
  hex,
  type Json,
  list,
  loadFamily,
  manyBytes,
  number,
  text,
} from './load.ts';

const { vectors } = loadFamily('enrolment');
const BLANK = new Uint8Array(32).fill(1);

class Host {
  readonly inviteId: string;
  readonly secret: Uint8Array;
  readonly gate = new Gate(native);
  registry: Registry = EMPTY_REGISTRY;
  deviceId: string | undefined;

  constructor(input: Fields) {
    this.secret = bytes(input['device_secret']);
    const keys = { psk: BLANK, gateKey: BLANK, fileKey: BLANK };
    const invite = (publicKey: Uint8Array, name: string): RegisteredInvite => ({
      ...keys,
      id: memberId(native, publicKey),
      publicKey,
      name,
      madeAtMs: 0,
      expiresAtMs: number(input['expires_at_ms']),
      isBundled: false,
      claim: undefined,
    });
    const own = invite(bytes(input['invite_key']), text(input['invite_name']));
    this.inviteId = own.id;
    const [deviceKey = BLANK, inviteKey = BLANK] = manyBytes(input['other_keys']);
    const active = {
      secret: BLANK,
      name: 'other',
      pending: false,
      enrolledAtMs: Number.MAX_SAFE_INTEGER,
      lastSeenAtMs: 0,
    };
    const known = registerDevice(native, { ...active, publicKey: deviceKey });
    const others = Array.from(
      { length: number(input['other_devices']) },
      (_, i): RegisteredDevice => (i === 0 ? known : { ...known, id: `other ${i}` }),
    );
    const later = { ...invite(inviteKey, ''), expiresAtMs: Number.MAX_SAFE_INTEGER };
    this.decide([
      applyChanges(EMPTY_REGISTRY, [
        { kind: 'putInvite', invite: own },
        { kind: 'putInvite', invite: later },
        ...others.map(device => ({ kind: 'putDevice', device }) as const),
      ]),
      [{ kind: 'commit', changes: [{ kind: 'putInvite', invite: own }] }],
    ]);
  }

  decide([registry, outputs]: Decision): readonly RegistryOutput[] {
    this.registry = registry;
    for (const output of outputs) if (output.kind === 'commit') applyToGate(this.gate, output.changes);
    return outputs;
  }

  /** Time that has passed counts first; then what the step brings. */
  step(step: Fields): {
    readonly does: readonly string[];
    readonly reply: string | undefined;
    readonly accepts?: boolean;
  } {
    const atMs = number(step['at_ms']);
    const outputs = [...this.decide(expire(this.registry, atMs, new Set()))];
    const has = (id: string | undefined): boolean =>
      id !== undefined && this.gate.has(id, { wall: atMs, mono: 0 });
    let accepts: boolean | undefined;
    let malformed: ErrorCode | undefined;
    switch (step['event']) {
      case 'token of the invite':
        accepts = has(this.inviteId);
        break;
      case 'token of the device':
        accepts = has(this.deviceId);
        break;
      case 'message 3 of the device':
        outputs.push(...this.decide(activate(this.registry, this.deviceId ?? '', atMs)));
        break;
      case 'revoke':
        outputs.push(...this.decide(revoke(this.registry, this.deviceId ?? '')));
        break;
      case 'clock':
        break;
      default: {
        const frame = decodeFrame(bytes(step['frame']));
        if (isFault(frame)) malformed = frame.code;
        else if (frame.kind !== 'enrol') throw new Error(`not an Enrol: ${frame.kind}`);
        else {
          const { deviceKey, name } = frame.enrol;
          const request = { inviteId: this.inviteId, deviceKey, name, freshSecret: this.secret };
          outputs.push(...this.decide(enrol(native, this.registry, request, atMs)));
        }
      }
    }
    if (malformed !== undefined) outputs.push({ kind: 'close', code: malformed });
    const said = { does: this.does(outputs), reply: this.reply(outputs, step['envelope']) };
    return accepts === undefined ? said : { ...said, accepts };
  }

  does(outputs: readonly RegistryOutput[]): readonly string[] {
    const does = new Set<string>();
    for (const output of outputs) {
      if (output.kind === 'commit' && output.changes.length > 0) does.add('commit');
      else if (output.kind === 'publish' || output.kind === 'alarm') does.add(output.kind);
      else if (output.kind === 'close') does.add('close this path');
      else if (output.kind === 'endPaths' && output.id === this.inviteId)
        does.add('close the paths of the invite');
    }
    return [...does].sort();
  }

  reply(outputs: readonly RegistryOutput[], envelope: Json | undefined): string | undefined {
    for (const output of outputs) {
      if (output.kind === 'close')
        return hex(encodeFrame({ kind: 'close', code: output.code, resumable: false }));
      if (output.kind !== 'enrolled') continue;
      this.deviceId = output.deviceId;
      const { deviceSecret, name } = output;
      const enrolled = create(EnrolledSchema, { deviceSecret, envelope: bytes(envelope), name });
      return hex(encodeFrame({ kind: 'enrolled', enrolled }));
    }
    return undefined;
  }

  state(): Fields {
    const invite = this.registry.invites.get(this.inviteId);
    const device = this.registry.devices.get(this.deviceId ?? '');
    return {
      invite: invite === undefined ? 'ENDED' : invite.claim === undefined ? 'OPEN' : 'CLAIMED',
      device: device === undefined ? 'none' : device.pending ? 'pending' : 'active',
    };
  }
}

function sorted(value: Json | undefined): readonly Json[] {
  return [...(value as readonly string[])].sort();
}

function inviteOf(client: Fields): Invite {
  const invite = parseInvite(
    native,
    encodeInvite(native, {
      secret: bytes(client['file_key']),
      identity: bytes(client['identity']),
      serverId: bytes(client['server_id']),
      expiresAtS: 2 ** 32 - 1,
      stores: [],
    }),
  );
  if (isFault(invite)) throw new Error(invite.detail);
  return invite;
}

function heldBy(client: Fields, invite: Invite): Held {
  const { next_identity_hash: next, highest } = client;
  const nextIdentityHash = typeof next === 'string' ? bytes(next) : undefined;
  const held = trusting({ ...invite.trust, nextIdentityHash });
  if (highest === null || highest === undefined) return held;
  const { sequence, hash } = fields(highest);
  const newest = {
    sequence: number(sequence),
    hash: bytes(hash),
    record: {} as ConnectionRecord,
    envelope: new Uint8Array(0),
  };
  return { ...held, newest };
}

class Client {
  member: Member | undefined;

  constructor(input: Fields) {
    const client = fields(input['client']);
    const invite = inviteOf(client);
    const devicePrivateKey = bytes(input['device_secret_key']);
    this.member = { stage: 'keyed', invite, devicePrivateKey, name: '', held: heldBy(client, invite) };
  }

  step(step: Fields): { readonly does: readonly string[]; readonly error: string | undefined } {
    if (step['event'] === 'crash') {
      if (this.member !== undefined) {
        const again = decodeMember(native, encodeMember(this.member));
        expect(again).toEqual(this.member);
      }
      return { does: [], error: undefined };
    }
    const input = this.input(step);
    if (typeof input === 'string') return { does: [], error: input };
    const before = this.member;
    const [member, outputs] = stepJoin(native, before, input, number(step['at_ms']));
    this.member = member;
    return { does: does(outputs), error: errorOf(outputs) };
  }

  input(step: Fields): JoinInput | string {
    if (step['join'] !== undefined) {
      const { client, device_secret_key: key } = fields(step['join']);
      return { kind: 'join', invite: inviteOf(fields(client)), devicePrivateKey: bytes(key), name: '' };
    }
    if (step['path'] === 'device') return { kind: 'heard' };
    const frame = decodeFrame(bytes(step['frame']));
    if (isFault(frame)) return codeName(frame.code);
    if (frame.kind === 'close') return codeName(frame.code);
    if (frame.kind !== 'enrolled') throw new Error(`not an answer: ${frame.kind}`);
    const { deviceSecret, envelope, name } = frame.enrolled;
    return { kind: 'enrolled', deviceSecret, envelope, name };
  }

  granted(): Fields | undefined {
    const { member } = this;
    if (member === undefined || member.stage === 'keyed') return undefined;
    const { held, name } = member;
    const { privateKey, psk, gateKey, fileKey } = dialKeys(native, member);
    const deviceKey = native.x25519Public(privateKey);
    return {
      name,
      identity: hex(held.trust.identity),
      sequence: held.newest?.sequence ?? 0,
      hash: hex(held.newest?.hash ?? new Uint8Array(0)),
      device_key: hex(deviceKey),
      psk: hex(psk),
      gate_key: hex(gateKey),
      file_key: hex(fileKey),
      words: words(native, held.trust.identity, deviceKey),
    };
  }
}

function does(outputs: readonly JoinOutput[]): readonly string[] {
  const STORED = {
    keyed: 'store the new invite and device key',
    granted: 'store the reply',
    device: 'erase the invite',
  } as const;
  const list: string[] = [];
  for (const output of outputs) {
    if (output.kind === 'commit') list.push(STORED[output.member.stage]);
    if (output.kind === 'dial' && output.as === 'device') list.push('dial as the device');
  }
  return list;
}

function errorOf(outputs: readonly JoinOutput[]): string | undefined {
  for (const output of outputs) {
    if (output.kind === 'refuse' || output.kind === 'warn') return codeName(output.fault.code);
  }
  return undefined;
}

describe('host', () => {
  // Frames other than Enrol, and Enrol on a path of a device: enrolment-frames.test.ts.
  const of = vectors.filter(
    ({ id, input }) => input['what'] === 'host' && !id.startsWith('enrolment/host/frame/'),
  );
  it.each(of.map(vector => [vector.id, vector] as const))('%s', (_, { input, output }) => {
    const host = new Host(input);
    const wanted = list(output['steps']);
    for (const [i, step] of list(input['steps']).entries()) {
      const { does: done, ...said } = host.step(step);
      const { does: wantedDoes, ...rest } = wanted[i] ?? {};
      expect(done).toEqual(sorted(wantedDoes));
      expect(JSON.parse(JSON.stringify({ ...host.state(), ...said }))).toEqual(rest);
    }
  });
});

describe('client', () => {
  const of = vectors.filter(({ input }) => input['what'] === 'client');
  it.each(of.map(vector => [vector.id, vector] as const))('%s', (_, { input, output }) => {
    const client = new Client(input);
    const wanted = list(output['steps']);
    for (const [i, step] of list(input['steps']).entries()) {
      const said = client.step(step);
      if (client.member === undefined) throw new Error('no member');
      const { stage } = client.member;
      const is = { state: stage.toUpperCase(), dials_as: dialsAs(client.member), granted: client.granted() };
      expect(JSON.parse(JSON.stringify({ ...is, ...said }))).toEqual(wanted[i]);
    }
  });
});
