/** The three Noise messages with the payloads of ClawChat/1, as initiator and as responder (spec/04-handshake.md, 4.4). */
import { create, toBinary } from '@bufbuild/protobuf';
import { HandshakeState, type Split } from '../crypto/noise.ts';
import type { Suite, X25519Key } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { HandshakeReplySchema } from '../gen/clawchat/v1/handshake_pb.ts';
import { safeNumber, tryParse } from '../wire/parse.ts';
import { UsageError } from '../wire/usage-error.ts';
import type { AccessKey } from './connection-record.ts';
import { type Fault, fault, isFault } from './fault.ts';
import type { RecordName } from './freshness.ts';
import { makeToken } from './gate.ts';
import { prologue } from './keys.ts';

/** Bytes of Noise message 1, which the token carries. */
const MESSAGE_1_BYTES = 48;
/** Bytes of Noise message 2, the first WebSocket message of the host. */
const MESSAGE_2_BYTES = 112;
/** Bytes of Noise message 3, the first WebSocket message of the client. */
const MESSAGE_3_BYTES = 64;
/** Bytes of an encoded HandshakeReply. */
const REPLY_BYTES = 64;

const EMPTY = new Uint8Array(0);

/** What a client begins with. The keys are copied or stay the caller's, except `ephemeral`. */
export interface InitiatorOptions {
  readonly suite: Suite;
  readonly serverId: Uint8Array;
  /** The first access key of the record. */
  readonly accessKey: AccessKey;
  /** The channel key of the record that has not expired. */
  readonly responderKey: Uint8Array;
  /** The X25519 key of the invite or the device. */
  readonly staticKey: X25519Key;
  readonly psk: Uint8Array;
  readonly gateKey: Uint8Array;
  /** Fresh, for this attempt alone; the handshake destroys it. */
  readonly ephemeral: X25519Key;
}

/** What the client sends in answer to message 2, and what it then holds. */
export interface InitiatorFinished {
  readonly kind: 'finished';
  readonly message3: Uint8Array;
  /** Transport keys, for the records of the path. */
  readonly split: Split;
  /** The newest record that the host has read back from a store; undefined for none. */
  readonly witness: RecordName | undefined;
}

/** A client's handshake: made with message 1 in its token, then `finish` with message 2. */
export class InitiatorHandshake {
  /** The token for the upgrade request; the message 1 in it is in no other. @impl GT-001~1 */
  readonly token: string;
  readonly #noise: HandshakeState;

  private constructor(noise: HandshakeState, token: string) {
    this.#noise = noise;
    this.token = token;
  }

  /** Begin. Faults: HANDSHAKE_FAILED when the record's channel key is no usable point (@impl KD-003~1). */
  static begin(options: InitiatorOptions): InitiatorHandshake | Fault {
    const { suite, serverId, accessKey, responderKey, staticKey, psk, gateKey, ephemeral } = options;
    const noise = HandshakeState.initiator({
      suite,
      prologue: prologue(serverId, accessKey.epoch),
      s: staticKey,
      psk,
      rs: responderKey,
    });
    const written = noise.writeMessage(EMPTY, ephemeral);
    if (written.kind === 'fault') return failed('the channel key of the record is no usable key');
    const token = makeToken(suite, { gateKey, accessKey, message1: written.message });
    return new InitiatorHandshake(noise, token);
  }

  /** Read message 2 and write message 3. Faults: HANDSHAKE_FAILED. Ends the handshake. @impl HS-012~1, HS-018~1 */
  finish(message2: Uint8Array): InitiatorFinished | Fault {
    const noise = this.#noise;
    if (message2.length !== MESSAGE_2_BYTES) return giveUp(noise, 'message 2 has a wrong length');
    const read = noise.readMessage(message2);
    if (read.kind === 'fault') return giveUp(noise, 'message 2 does not open: this is not the host');
    const witness = parseReply(read.payload);
    if (isFault(witness)) return giveUp(noise, witness.detail);
    const written = noise.writeMessage(EMPTY);
    if (written.kind === 'fault') return giveUp(noise, 'the host has no usable key');
    return { kind: 'finished', message3: written.message, split: noise.split(), witness };
  }

  /** Give up and erase the secrets. @impl KD-002~1 */
  destroy(): void {
    this.#noise.destroy();
  }
}

/** What a host begins with, once its gate has admitted a token. */
export interface ResponderOptions {
  readonly suite: Suite;
  readonly serverId: Uint8Array;
  readonly epoch: number;
  readonly message1: Uint8Array;
  readonly psk: Uint8Array;
  /** The public key of the invite or device that the token's handle belongs to. */
  readonly expectedKey: Uint8Array;
  /** The host's channel keys that have not expired, in the order in which to try them. */
  readonly channelKeys: readonly X25519Key[];
  /** Fresh, for this handshake alone, which destroys it. */
  readonly ephemeral: X25519Key;
  /** The newest record that was read back from a store that remote devices use. */
  readonly witness: RecordName | undefined;
}

/** What the host holds after message 3. */
export interface ResponderFinished {
  readonly kind: 'finished';
  readonly split: Split;
}

/** A host's handshake: made with message 1, then `finish` with message 3. */
export class ResponderHandshake {
  /** For the first WebSocket message. */
  readonly message2: Uint8Array;
  readonly #suite: Suite;
  readonly #noise: HandshakeState;
  readonly #expectedKey: Uint8Array;

  private constructor(options: ResponderOptions, noise: HandshakeState, message2: Uint8Array) {
    this.#suite = options.suite;
    this.#expectedKey = options.expectedKey;
    this.#noise = noise;
    this.message2 = message2;
  }

  /** Read message 1 with the channel key that opens it, and write message 2. Faults: HANDSHAKE_FAILED. */
  static begin(options: ResponderOptions): ResponderHandshake | Fault {
    const { ephemeral, witness } = options;
    const noise = openMessage1(options);
    if (noise === undefined) {
      ephemeral.destroy();
      return failed('no channel key opens message 1');
    }
    const written = noise.writeMessage(encodeReply(witness), ephemeral);
    if (written.kind === 'fault') return giveUp(noise, 'the initiator has no usable key');
    return new ResponderHandshake(options, noise, written.message);
  }

  /**
   * Read message 3. `stillExists`: the invite or device may still come, asked at this instant.
   *
   * Faults: HANDSHAKE_FAILED. Ends the handshake. @impl HS-012~1, HS-014~1, HS-018~1
   */
  finish(message3: Uint8Array, stillExists: boolean): ResponderFinished | Fault {
    const noise = this.#noise;
    if (message3.length !== MESSAGE_3_BYTES) return giveUp(noise, 'message 3 has a wrong length');
    if (noise.readMessage(message3).kind === 'fault') return giveUp(noise, 'message 3 does not open');
    const split = noise.split();
    const isExpected = this.#suite.equal(split.rs, this.#expectedKey);
    if (isExpected && stillExists) return { kind: 'finished', split };
    split.send.destroy();
    split.receive.destroy();
    return failed(isExpected ? 'the invite or device is gone' : 'message 3 names the key of somebody else');
  }

  /** Give up and erase the secrets. @impl KD-002~1 */
  destroy(): void {
    this.#noise.destroy();
  }
}

/** Try each channel key; a key that does not open message 1 leaves nothing behind. @impl HS-011~2 */
function openMessage1(options: ResponderOptions): HandshakeState | undefined {
  const { suite, serverId, epoch, message1, psk, channelKeys } = options;
  if (message1.length !== MESSAGE_1_BYTES) return undefined;
  const bound = prologue(serverId, epoch);
  for (const s of channelKeys) {
    const noise = HandshakeState.responder({ suite, prologue: bound, s, psk });
    if (noise.readMessage(message1).kind === 'read') return noise;
  }
  return undefined;
}

/** Encode a HandshakeReply: exactly 64 bytes. @impl HS-013~1 */
function encodeReply(witness: RecordName | undefined): Uint8Array {
  const fields = {
    verifiedSequence: BigInt(witness?.sequence ?? 0),
    verifiedHash: witness?.hash ?? EMPTY,
  };
  const bare = toBinary(HandshakeReplySchema, create(HandshakeReplySchema, fields)).length;
  // The padding needs two bytes for its own tag and length; it is never as short as that.
  const padding = new Uint8Array(REPLY_BYTES - bare - 2);
  const reply = toBinary(HandshakeReplySchema, create(HandshakeReplySchema, { ...fields, padding }));
  if (reply.length !== REPLY_BYTES) throw new UsageError('a witness is a sequence below 2^53 and 32 bytes');
  return reply;
}

/** @impl HS-022~1 */
function parseReply(payload: Uint8Array): RecordName | Fault | undefined {
  const reply = tryParse(HandshakeReplySchema, payload);
  if (reply === undefined) return failed('message 2 carries no HandshakeReply');
  const sequence = safeNumber(reply.verifiedSequence);
  const hash = reply.verifiedHash;
  if (sequence === 0 && hash.length === 0) return undefined;
  return sequence >= 1 && hash.length === 32 ? { sequence, hash } : failed('message 2 names no record');
}

function giveUp(noise: HandshakeState, detail: string): Fault {
  noise.destroy();
  return failed(detail);
}

function failed(detail: string): Fault {
  return fault('peer', ErrorCode.HANDSHAKE_FAILED, detail);
}
