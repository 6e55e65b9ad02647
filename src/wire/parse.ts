/** Reading protobuf that somebody else wrote, and its integers as numbers (spec/03-connection-file.md, 3.3). */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { type Cursor, readVarint } from './varint.ts';

/** The most that messages and groups may be nested. */
const DEPTH_MAX = 16;
const FIELD_MAX = 2 ** 29 - 1;

/** How a known field stands in the bytes. */
interface FieldForm {
  readonly wireType: WireType;
  /** A repeated number may also stand packed. */
  readonly isPackable: boolean;
  readonly message: DescMessage | undefined;
}

const forms = new WeakMap<DescMessage, ReadonlyMap<number, FieldForm>>();

/**
 * Parse a message, or give undefined when the bytes are none. Unknown fields are dropped, of a field that may stand once
 * the last one counts, text is UTF-8.
 *
 * protobuf-es reads a known field by its declared type whatever wire type its tag names, and a nested message beyond
 * its end; other libraries do neither. So the form is checked first. @impl CF-021~1
 */
export function tryParse<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> | undefined {
  if (!isWellFormed(schema, bytes, { at: 0 }, bytes.length, 0)) return undefined;
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    // What is left to throw for: invalid UTF-8, and a varint of more than 64 bits.
    return undefined;
  }
}

/** Take a uint64 as a number; NaN when it is 2^53 or more, which no comparison lets pass. */
export function safeNumber(value: bigint): number {
  return value <= 0x1fffffffffffffn ? Number(value) : Number.NaN;
}

function isWellFormed(
  desc: DescMessage | undefined,
  bytes: Uint8Array,
  cursor: Cursor,
  end: number,
  depth: number,
): boolean {
  if (depth > DEPTH_MAX) return false;
  const known = desc === undefined ? undefined : formsOf(desc);
  while (cursor.at < end) {
    const tag = readVarint(bytes, end, cursor);
    const field = Math.floor(tag / 8);
    if (tag < 8 || field > FIELD_MAX) return false;
    const form = known?.get(field);
    const wireType: WireType = tag % 8;
    if (form !== undefined && form.wireType !== wireType && !(form.isPackable && isLengthDelimited(wireType)))
      return false;
    if (!skipValue(form?.message, bytes, cursor, end, { field, wireType, depth })) return false;
  }
  return cursor.at === end;
}

interface Tag {
  readonly field: number;
  readonly wireType: WireType;
  readonly depth: number;
}

/** Move behind a value; into it where it is a message. */
function skipValue(
  message: DescMessage | undefined,
  bytes: Uint8Array,
  cursor: Cursor,
  end: number,
  tag: Tag,
): boolean {
  switch (tag.wireType) {
    case WireType.Varint:
      return skipVarint(bytes, cursor, end);
    case WireType.Bit64:
      cursor.at += 8;
      return cursor.at <= end;
    case WireType.Bit32:
      cursor.at += 4;
      return cursor.at <= end;
    case WireType.LengthDelimited: {
      const length = readVarint(bytes, end, cursor);
      const valueEnd = cursor.at + length;
      if (length < 0 || valueEnd > end) return false;
      if (message !== undefined) return isWellFormed(message, bytes, cursor, valueEnd, tag.depth + 1);
      cursor.at = valueEnd;
      return true;
    }
    case WireType.StartGroup:
      return skipGroup(bytes, cursor, end, tag);
    default:
      return false;
  }
}

/** Move behind the end of a group, which only an unknown field can be. */
function skipGroup(bytes: Uint8Array, cursor: Cursor, end: number, { field, depth }: Tag): boolean {
  if (depth >= DEPTH_MAX) return false;
  while (cursor.at < end) {
    const tag = readVarint(bytes, end, cursor);
    const inner = Math.floor(tag / 8);
    const wireType: WireType = tag % 8;
    if (tag < 8 || inner > FIELD_MAX) return false;
    if (wireType === WireType.EndGroup) return inner === field;
    if (!skipValue(undefined, bytes, cursor, end, { field: inner, wireType, depth: depth + 1 })) return false;
  }
  return false;
}

/** A varint has at most 10 bytes. */
function skipVarint(bytes: Uint8Array, cursor: Cursor, end: number): boolean {
  for (let i = 0; i < 10 && cursor.at < end; i += 1) {
    if ((bytes[cursor.at++] ?? 0) < 0x80) return true;
  }
  return false;
}

function isLengthDelimited(wireType: WireType): boolean {
  return wireType === WireType.LengthDelimited;
}

function formsOf(desc: DescMessage): ReadonlyMap<number, FieldForm> {
  const made = forms.get(desc) ?? new Map(desc.fields.map(field => [field.number, formOf(field)]));
  forms.set(desc, made);
  return made;
}

function formOf(field: DescField): FieldForm {
  const isMessage =
    field.fieldKind === 'message' || (field.fieldKind === 'list' && field.listKind === 'message');
  if (isMessage) return { wireType: WireType.LengthDelimited, isPackable: false, message: field.message };
  const isList = field.fieldKind === 'list';
  const wireType = field.scalar === undefined ? WireType.Varint : scalarWireType(field.scalar);
  return { wireType, isPackable: isList && wireType !== WireType.LengthDelimited, message: undefined };
}

function scalarWireType(scalar: ScalarType): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}
