/** What a host says to each message of a bench stream (spec/13-bench.md). */
import type { Suite } from '../../crypto/suite.ts';
import { concat, readU64be, u64be } from '../../wire/bytes.ts';

/** The name of the service. */
export const BENCH_SERVICE = 'bench.v1';

const DIGEST_AT = 16;
const DIGEST_BYTES = 32;
const ANSWER_BYTES: number = DIGEST_AT + DIGEST_BYTES;

/** Everything that a stream has carried so far: how many messages and bytes, and one digest over them in their order. */
export interface Tally {
  readonly messages: number;
  readonly bytes: number;
  readonly digest: Uint8Array;
}

/** Nothing yet. */
export const EMPTY_TALLY: Tally = { messages: 0, bytes: 0, digest: new Uint8Array(DIGEST_BYTES) };

/** Count one more message. */
export function count(suite: Suite, { messages, bytes, digest }: Tally, message: Uint8Array): Tally {
  return {
    messages: messages + 1,
    bytes: bytes + message.length,
    digest: suite.sha256(digest, message),
  };
}

/** Encode a tally: 48 bytes. @impl BE-002~1 */
export function encodeAnswer({ messages, bytes, digest }: Tally): Uint8Array {
  return concat(u64be(messages), u64be(bytes), digest);
}

/** Decode an answer; undefined when it is none. */
export function parseAnswer(message: Uint8Array): Tally | undefined {
  if (message.length !== ANSWER_BYTES) return undefined;
  const messages = readU64be(message, 0);
  const bytes = readU64be(message, 8);
  if (messages === undefined || bytes === undefined) return undefined;
  return { messages, bytes, digest: message.slice(DIGEST_AT) };
}
