/** Reads the JSON of a vector back into bytes, numbers and lists; what is missing is a fault of the vector. */
import { concat, EMPTY, stream, unhex, zeros } from './bytes.ts';
import type { Json, JsonObject } from './vector.ts';

export function has(from: JsonObject, name: string): boolean {
  return from[name] !== undefined;
}

function field(from: JsonObject, name: string): Json {
  const value = from[name];
  if (value === undefined) throw new Error(`no ${name} in ${Object.keys(from).join(' ')}`);
  return value;
}

export function text(from: JsonObject, name: string): string {
  const value = field(from, name);
  if (typeof value !== 'string') throw new Error(`${name} is no text`);
  return value;
}

export function number(from: JsonObject, name: string): number {
  const value = field(from, name);
  if (typeof value !== 'number') throw new Error(`${name} is no number`);
  return value;
}

export function flag(from: JsonObject, name: string): boolean {
  const value = field(from, name);
  if (typeof value !== 'boolean') throw new Error(`${name} is neither true nor false`);
  return value;
}

export function object(from: JsonObject, name: string): JsonObject {
  return asObject(field(from, name));
}

function asObject(value: Json): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object');
  return value as JsonObject;
}

export function array(from: JsonObject, name: string): readonly Json[] {
  const value = field(from, name);
  if (!Array.isArray(value)) throw new Error(`${name} is no list`);
  return value;
}

export const objects = (from: JsonObject, name: string): readonly JsonObject[] =>
  array(from, name).map(asObject);

/** Bytes, written as hexadecimal or as the start of a stream, with other bytes in front and zeros or other bytes behind. */
export function bytes(from: JsonObject, name: string): Uint8Array {
  const value = field(from, name);
  if (typeof value === 'string') return unhex(value);
  const described = asObject(value);
  const front = has(described, 'prefix') ? unhex(text(described, 'prefix')) : EMPTY;
  const filler = zeros(has(described, 'zeros') ? number(described, 'zeros') : 0);
  const back = has(described, 'suffix') ? unhex(text(described, 'suffix')) : filler;
  return concat(front, stream(text(described, 'stream'), number(described, 'length')), back);
}

/** Bytes that stand in a list. */
export const bytesOf = (value: Json): Uint8Array => bytes({ value }, 'value');
