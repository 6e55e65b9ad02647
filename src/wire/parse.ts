/** Reading protobuf that somebody else wrote, and its integers as numbers (spec/03-connection-file.md). */
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';

/** Parse a message, or give undefined when the bytes are none. Unknown fields are dropped. @impl CF-021~1 */
export function tryParse<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> | undefined {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    // protobuf-es throws for whatever cannot be parsed, invalid UTF-8 included.
    return undefined;
  }
}

/** Take a uint64 as a number; NaN when it is 2^53 or more, which no comparison lets pass. */
export function safeNumber(value: bigint): number {
  return value <= 0x1fffffffffffffn ? Number(value) : Number.NaN;
}
