/** The client's side of enrolment: KEYED, GRANTED, DEVICE, each stored before it is acted on (spec/08-devices.md, 8.2). */
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { sameBytes } from '../wire/bytes.ts';
import { type Envelope, parseEnvelope } from './envelope.ts';
import { type Fault, fault, isFault } from './fault.ts';
import { type Acceptance, acceptEnvelope, type Held, type Refusal, trusting } from './freshness.ts';
import { type Invite, inviteExpired } from './invite.ts';
import { deviceKeys, inviteKeys, type MemberKeys, SECRET_BYTES } from './keys.ts';
import { isNameLength } from './registry.ts';
import { words } from './words.ts';

/** It has an invite and a device key of its own, and may have sent its Enrol. */
export interface Keyed {
  readonly stage: 'keyed';
  readonly invite: Invite;
  readonly devicePrivateKey: Uint8Array;
  /** What to ask for; may be empty. */
  readonly name: string;
  readonly held: Held;
}

/** The host has let it in. */
export interface Granted {
  readonly stage: 'granted';
  readonly invite: Invite;
  readonly devicePrivateKey: Uint8Array;
  readonly deviceSecret: Uint8Array;
  readonly name: string;
  readonly held: Held;
}

/** The host has answered it as a device. */
export interface Device {
  readonly stage: 'device';
  readonly devicePrivateKey: Uint8Array;
  readonly deviceSecret: Uint8Array;
  readonly name: string;
  readonly held: Held;
}

/** What a client is to its host; it is one stored value, so that a stage changes in one step. */
export type Member = Keyed | Granted | Device;

/** Something happened to a client. */
export type JoinInput =
  /** The person gave an invite. `devicePrivateKey`: 32 fresh random bytes, used when this begins anew. */
  | {
      readonly kind: 'join';
      readonly invite: Invite;
      readonly devicePrivateKey: Uint8Array;
      readonly name: string;
    }
  /** The process has started: go on where the last one stopped. */
  | { readonly kind: 'resume' }
  /** A record came, opened from a file or a bundle, or with a notice. */
  | { readonly kind: 'record'; readonly envelope: Envelope }
  /** The answer to Enrol. */
  | {
      readonly kind: 'enrolled';
      readonly deviceSecret: Uint8Array;
      readonly envelope: Uint8Array;
      readonly name: string;
    }
  /** The first frame on a path that was opened as the device. */
  | { readonly kind: 'heard' };

/**
 * What the driver does, in this order.
 *
 * `commit`: make the member durable before anything behind it. `dial`: open a path as this, now or when a record is
 * there. `endPath`: close the path of the invite. `show`: words for the person. `refuse`: nothing changed, and why.
 * `warn`: the record is stored, but the clock is suspect.
 */
export type JoinOutput =
  | { readonly kind: 'commit'; readonly member: Member }
  | { readonly kind: 'dial'; readonly as: 'invite' | 'device' }
  | { readonly kind: 'endPath' }
  | { readonly kind: 'show'; readonly words: string }
  | { readonly kind: 'refuse'; readonly fault: Fault | Refusal }
  | { readonly kind: 'warn'; readonly fault: Fault };

/** Take one step; undefined is the state of a client that has joined nobody. Total: it never throws on what a peer sent. */
export function stepJoin(
  suite: Suite,
  member: Member | undefined,
  input: JoinInput,
  wallMs: number,
): readonly [Member | undefined, readonly JoinOutput[]] {
  switch (input.kind) {
    case 'join':
      return join(member, input, wallMs);
    case 'resume':
      return [member, member === undefined ? [] : [{ kind: 'dial', as: dialsAs(member) }]];
    case 'record':
      return takeRecord(suite, member, input.envelope, wallMs);
    case 'enrolled':
      return takeReply(suite, member, input, wallMs);
    case 'heard':
      return heard(member);
  }
}

/** As whom a client dials. @impl EN-008~1 */
export function dialsAs({ stage }: Member): 'invite' | 'device' {
  return stage === 'keyed' ? 'invite' : 'device';
}

/** The keys of a path. */
export interface DialKeys extends MemberKeys {
  /** X25519: the initiator's static. */
  readonly privateKey: Uint8Array;
}

/** Derive the keys with which a client dials and reads files now. */
export function dialKeys(suite: Suite, member: Member): DialKeys {
  if (member.stage === 'keyed') return inviteKeys(suite, member.invite.secret);
  return { privateKey: member.devicePrivateKey, ...deviceKeys(suite, member.deviceSecret) };
}

type Step = readonly [Member | undefined, readonly JoinOutput[]];

function join(
  member: Member | undefined,
  input: JoinInput & { readonly kind: 'join' },
  wallMs: number,
): Step {
  const { invite, devicePrivateKey, name } = input;
  // @impl EN-012~1
  if (member?.stage === 'device') {
    return refuse(member, fault('self', ErrorCode.ALREADY_JOINED, 'this device has already joined a host'));
  }
  if (member !== undefined && sameBytes(member.invite.bytes, invite.bytes)) {
    return [member, [{ kind: 'dial', as: dialsAs(member) }]];
  }
  // An invite of which no Enrol was sent; one that is stored may have been sent. @impl IN-006~1
  const expired = inviteExpired(invite, wallMs);
  if (expired !== undefined) return refuse(member, expired);
  if (!isNameLength(name)) {
    return refuse(member, fault('self', ErrorCode.USAGE, 'the name is longer than 64 bytes'));
  }
  // @impl EN-001~1
  const next: Member = { stage: 'keyed', invite, devicePrivateKey, name, held: trusting(invite.trust) };
  return [
    next,
    [
      { kind: 'commit', member: next },
      { kind: 'dial', as: 'invite' },
    ],
  ];
}

/** @impl CF-034~1 */
function takeRecord(suite: Suite, member: Member | undefined, envelope: Envelope, wallMs: number): Step {
  if (member === undefined) return [member, []];
  const acceptance = acceptEnvelope(suite, member.held, envelope, wallMs);
  if (acceptance.kind === 'fault') return refuse(member, acceptance);
  const next = acceptance.kind === 'accepted' ? { ...member, held: acceptance.held } : member;
  const outputs: JoinOutput[] = acceptance.kind === 'accepted' ? [{ kind: 'commit', member: next }] : [];
  return [next, [...outputs, ...warnings(acceptance)]];
}

/** @impl EN-013~2 */
function takeReply(
  suite: Suite,
  member: Member | undefined,
  reply: JoinInput & { readonly kind: 'enrolled' },
  wallMs: number,
): Step {
  if (member?.stage !== 'keyed') return refuse(member, unexpected());
  // Copies: what is kept does not hold on to the record it came in.
  const deviceSecret = reply.deviceSecret.slice();
  const { name } = reply;
  if (deviceSecret.length !== SECRET_BYTES || name.length === 0 || !isNameLength(name)) {
    const detail = 'the answer to the enrolment breaks a rule';
    return refuse(member, fault('peer', ErrorCode.FRAME_MALFORMED, detail));
  }
  const envelope = parseEnvelope(reply.envelope.slice());
  if (isFault(envelope)) return refuse(member, envelope);
  const acceptance = acceptEnvelope(suite, member.held, envelope, wallMs);
  if (acceptance.kind === 'fault') return refuse(member, acceptance);
  const held = acceptance.kind === 'accepted' ? acceptance.held : member.held;
  const { invite, devicePrivateKey } = member;
  const next: Member = { stage: 'granted', invite, devicePrivateKey, deviceSecret, name, held };
  // @impl EN-008~1, EN-040~1
  return [
    next,
    [
      { kind: 'commit', member: next },
      ...warnings(acceptance),
      { kind: 'show', words: words(suite, held.trust.identity, suite.x25519Public(devicePrivateKey)) },
      { kind: 'endPath' },
      { kind: 'dial', as: 'device' },
    ],
  ];
}

/** @impl EN-010~2 */
function heard(member: Member | undefined): Step {
  if (member?.stage !== 'granted') return [member, []];
  const { devicePrivateKey, deviceSecret, name, held } = member;
  const next: Member = { stage: 'device', devicePrivateKey, deviceSecret, name, held };
  return [next, [{ kind: 'commit', member: next }]];
}

function warnings(acceptance: Exclude<Acceptance, { kind: 'fault' }>): readonly JoinOutput[] {
  return acceptance.clock === undefined ? [] : [{ kind: 'warn', fault: acceptance.clock }];
}

function refuse(member: Member | undefined, why: Fault | Refusal): Step {
  return [member, [{ kind: 'refuse', fault: why }]];
}

function unexpected(): Fault {
  return fault('peer', ErrorCode.FRAME_UNEXPECTED, 'an answer to an enrolment that was not asked for');
}
