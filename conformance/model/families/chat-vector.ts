/** One vector of `chat`: bytes, and what reading them gives. */
import { hex, stream, utf8 } from '../bytes.ts';
import { readContent, readReply, readRequest } from '../chat.ts';
import type { Flag } from '../flags.ts';
import { lengthField } from '../protobuf.ts';
import { Refusal } from '../refusal.ts';
import type { JsonObject, Vector } from '../vector.ts';

type What = 'content' | 'request' | 'reply';
const READ = { content: readContent, request: readRequest, reply: readReply } as const;
const REQ: Readonly<Record<What, readonly string[]>> = {
  content: ['CH-003~2'],
  request: ['CH-002~1'],
  reply: ['CH-007~2'],
};

/** Make it; without flags it is a known answer. */
export function vector(
  what: What,
  name: string,
  bytes: Uint8Array,
  note: string,
  ...flags: readonly Flag[]
): Vector {
  const base = {
    id: `chat/${what}/${name}`,
    note,
    req: REQ[what],
    flags: flags.length > 0 ? flags : (['known-answer'] as const),
    phase: 'parse' as const,
    input: { what, bytes: hex(bytes) } satisfies JsonObject,
  };
  try {
    return { ...base, output: READ[what](bytes) };
  } catch (error) {
    if (error instanceof Refusal) return { ...base, error: error.code };
    throw error;
  }
}

export const ID: Uint8Array = stream('chat id', 16);
export const PERSON: Uint8Array = stream('chat person', 16);
export const text = (id: number, value: string): Uint8Array => lengthField(id, utf8(value));
/** One more than any number. */
export const BIG: bigint = 2n ** 53n;
