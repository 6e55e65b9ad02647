/** Two ends of a Noise handshake as the transcripts of an independent implementation have them. */
import { expect } from 'vitest';
import oracle from '../../../test-vectors/noise/xkpsk3.json' with { type: 'json' };
import { UsageError } from '../../wire/usage-error.ts';
import { HandshakeState } from '../noise.ts';
import type { Suite, X25519Key } from '../suite.ts';

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const none: Uint8Array = new Uint8Array(0);

type Vector = (typeof oracle.vectors)[number];

/** Both sides as the vector has them; a test changes what it is about. */
export function start(
  vector: Vector,
  client: Suite,
  host: Suite,
): { initiator: HandshakeState; responder: HandshakeState } {
  const [prologue, psk] = [hex(vector.prologue), hex(vector.psk)];
  const rs = hex(vector.responder.static.public);
  const s = (suite: Suite, side: 'initiator' | 'responder'): X25519Key =>
    suite.x25519Key(hex(vector[side].static.private));
  return {
    initiator: HandshakeState.initiator({ suite: client, prologue, psk, s: s(client, 'initiator'), rs }),
    responder: HandshakeState.responder({ suite: host, prologue, psk, s: s(host, 'responder') }),
  };
}

export function ephemeral(vector: Vector, suite: Suite, index: number): X25519Key | undefined {
  if (index === 2) return undefined;
  return suite.x25519Key(hex(vector[index === 0 ? 'initiator' : 'responder'].ephemeral.private));
}

export function written(result: ReturnType<HandshakeState['writeMessage']>): Uint8Array {
  if (result.kind === 'fault') throw new Error(result.code);
  return result.message;
}

const [first] = oracle.vectors;
if (first === undefined) throw new Error('no vector');
export const vector: Vector = first;
export const messages: readonly Uint8Array[] = vector.messages.map(({ message }) => hex(message));

/** Bring a fresh reader of message `index` to where it awaits it. */
export function awaiting(index: number, suite: Suite, change: Partial<Vector> = {}): HandshakeState {
  const changed = { ...vector, ...change } as Vector;
  const { initiator, responder } = start(changed, suite, suite);
  if (index === 1) {
    initiator.writeMessage(none, ephemeral(changed, suite, 0));
    return initiator;
  }
  if (index === 2) {
    expect(responder.readMessage(messages[0] ?? none).kind).toBe('read');
    responder.writeMessage(hex(changed.messages[1]?.payload ?? ''), ephemeral(changed, suite, 1));
  }
  return responder;
}

/** What every fault must leave behind: the same answer to all that comes, and nothing to split. */
export function expectDead(state: HandshakeState, code: string): void {
  const fault = { kind: 'fault', code };
  expect(state.readMessage(messages[0] ?? none)).toEqual(fault);
  expect(state.readMessage(messages[2] ?? none)).toEqual(fault);
  expect(state.writeMessage(none)).toEqual(fault);
  expect(() => state.split()).toThrow(UsageError);
}
