/** Protobuf as the spec means it: a strict walk before the library reads, and single fields for what no library would write. */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { concat, EMPTY, u8 } from './bytes.ts';

/** The encoding of an unsigned integer as a minimal varint. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt(value);
  let out = EMPTY;
  while (rest > 0x7fn) {
    out = concat(out, u8(Number(rest & 0x7fn) | 0x80));
    rest >>= 7n;
  }
  return concat(out, u8(Number(rest)));
}

/** One field with a length: bytes, text or a message. */
export function lengthField(number: number, content: Uint8Array): Uint8Array {
  return concat(varint((number << 3) | 2), varint(content.length), content);
}

/** One field with a varint. */
export function varintField(number: number, value: number | bigint): Uint8Array {
  return concat(varint(number << 3), varint(value));
}

/** Read a varint at `at`: its value and where it ends, or undefined when it is cut off or longer than 10 bytes. */
export function readVarint(
  bytes: Uint8Array,
  at: number,
): { readonly value: bigint; readonly end: number } | undefined {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return undefined;
}

/** Parse a message; undefined when it is not well formed. Of a field that may stand once, the last counts. */
export function decode<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> | undefined {
  if (!wellFormed(schema, bytes)) return undefined;
  try {
    return fromBinary(schema, bytes);
  } catch {
    // Only text that is not UTF-8 is left.
    return undefined;
  }
}

/** Check tags, wire types and lengths, down into nested messages. */
function wellFormed(schema: DescMessage, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    if (tag === undefined || tag.value < 8n || tag.value >= 1n << 32n) return false;
    const wire = Number(tag.value & 7n);
    const field = schema.fields.find(({ number }) => BigInt(number) === tag.value >> 3n);
    if (field !== undefined && !wireTypes(field).includes(wire)) return false;
    const end = endOf(bytes, tag.end, wire);
    if (end === undefined || end.end > bytes.length) return false;
    const nested = field?.message;
    if (nested && !wellFormed(nested, bytes.subarray(end.start, end.end))) return false;
    at = end.end;
  }
  return true;
}

function endOf(
  bytes: Uint8Array,
  at: number,
  wire: number,
): { readonly start: number; readonly end: number } | undefined {
  if (wire === 1) return { start: at, end: at + 8 };
  if (wire === 5) return { start: at, end: at + 4 };
  const number = wire === 0 || wire === 2 ? readVarint(bytes, at) : undefined;
  if (number === undefined || number.value > 1n << 31n) {
    return wire === 0 && number !== undefined ? { start: at, end: number.end } : undefined;
  }
  return wire === 0
    ? { start: at, end: number.end }
    : { start: number.end, end: number.end + Number(number.value) };
}

function wireTypes(field: DescField): readonly number[] {
  if (field.message) return [2];
  if (field.scalar === ScalarType.BYTES || field.scalar === ScalarType.STRING) return [2];
  return field.fieldKind === 'list' ? [0, 2] : [0];
}
