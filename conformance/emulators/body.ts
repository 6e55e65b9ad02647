/** Reads the body of a request, as the emulators take it. */
import type { IncomingMessage } from 'node:http';

const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** Take a whole body; what is too long of it is dropped. Undefined when the writer died in the middle of it. */
export async function readBody(asked: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of asked as AsyncIterable<Buffer>) {
      length += part.length;
      if (length <= BODY_BYTES_MAX) parts.push(part);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(parts);
}
