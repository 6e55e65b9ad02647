/** The gate: the token of the upgrade request and how a host judges it (spec/04-handshake.md, 4.3). */
import { HANDLE_SEEN_MAX } from '../../src/gen/constants.ts';
import { concat, equal, readUnsigned, u64be } from './bytes.ts';
import { gateHandle, gateMacKey } from './labels.ts';
import { hmac } from './primitives.ts';

const TOKEN_CHARACTERS = 118;

/** What a token is made of, piece by piece. */
export interface Token {
  readonly epoch: Uint8Array;
  readonly handle: Uint8Array;
  readonly message1: Uint8Array;
  readonly mac: Uint8Array;
  readonly macKey: Uint8Array;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** The whole header of the upgrade request. */
  readonly header: string;
}

export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** Make a token. */
export function makeToken(
  gateKey: Uint8Array,
  accessKey: Uint8Array,
  epoch: number | bigint,
  message1: Uint8Array,
): Token {
  const handle = gateHandle(gateKey, epoch);
  const macKey = gateMacKey(gateKey, accessKey, epoch);
  const front = concat(u64be(epoch), handle, message1);
  const mac = hmac(macKey, front).slice(0, 16);
  const bytes = concat(front, mac);
  const text = base64url(bytes);
  const header = `Sec-WebSocket-Protocol: clawchat.v1, ${text}`;
  return { epoch: u64be(epoch), handle, message1, mac, macKey, bytes, text, header };
}

/** What a host knows when a token comes in. */
export interface GateTable {
  /** Epochs whose access key has not ended. */
  readonly accessKeys: readonly { readonly epoch: number; readonly key: Uint8Array }[];
  /** Enrolled and pending devices, open unexpired invites, claimed invites. */
  readonly members: readonly { readonly name: string; readonly gateKey: Uint8Array }[];
}

/** Why a token was refused: for the host's log, never for the wire. */
export type GateReason = 'unreadable' | 'unknown epoch' | 'unknown handle' | 'wrong mac' | 'seen';

export type GateVerdict =
  | {
      readonly kind: 'accepted';
      readonly member: string;
      readonly epoch: number;
      readonly message1: Uint8Array;
    }
  | { readonly kind: 'refused'; readonly reason: GateReason };

const refused = (reason: GateReason): GateVerdict => ({ kind: 'refused', reason });

/** Judge a token as a host does that has judged those of `before`, in this order and without haste. */
export function judgeToken(text: string, table: GateTable, before: readonly string[] = []): GateVerdict {
  const passed: string[] = [];
  let verdict = refused('unreadable');
  for (const token of [...before, text]) {
    verdict = judgeAlone(token, table);
    if (verdict.kind === 'refused') continue;
    // Epoch and handle are the first 24 bytes, and so the first 32 letters.
    const ofHandle = passed.filter(other => other.slice(0, 32) === token.slice(0, 32));
    if (ofHandle.slice(-HANDLE_SEEN_MAX).includes(token)) verdict = refused('seen');
    else passed.push(token);
  }
  return verdict;
}

function judgeAlone(text: string, table: GateTable): GateVerdict {
  if (text.length !== TOKEN_CHARACTERS || !/^[A-Za-z0-9_-]+$/.test(text)) return refused('unreadable');
  const bytes = new Uint8Array(Buffer.from(text, 'base64url'));
  // Four of the 708 bits are unused; written again they must come out the same.
  if (bytes.length !== 88 || base64url(bytes) !== text) return refused('unreadable');
  const epoch = readUnsigned(bytes.slice(0, 8));
  const access = table.accessKeys.find(known => BigInt(known.epoch) === epoch);
  if (access === undefined) return refused('unknown epoch');
  const handle = bytes.slice(8, 24);
  const member = table.members.find(({ gateKey }) => equal(gateHandle(gateKey, epoch), handle));
  if (member === undefined) return refused('unknown handle');
  const mac = hmac(gateMacKey(member.gateKey, access.key, epoch), bytes.slice(0, 72)).slice(0, 16);
  if (!equal(mac, bytes.slice(72))) return refused('wrong mac');
  return { kind: 'accepted', member: member.name, epoch: access.epoch, message1: bytes.slice(24, 72) };
}
