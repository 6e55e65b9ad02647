/** Reads test-vectors/ and gives its JSON the types that a test asks for (test-vectors/README.md). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export type Json = string | number | boolean | null | readonly Json[] | Fields;
export interface Fields {
  readonly [name: string]: Json;
}

/** One vector, with what it leaves out filled in. */
export interface Vector {
  readonly id: string;
  readonly input: Fields;
  readonly output: Fields;
  readonly error: string | undefined;
  readonly also: readonly string[];
  readonly released: string | undefined;
}

/** One file of vectors. */
export interface Family {
  readonly shared: Fields;
  readonly vectors: readonly Vector[];
}

/** Load a family. */
export function loadFamily(name: string): Family {
  const path = new URL(`../../test-vectors/${name}.json`, import.meta.url);
  const file = JSON.parse(readFileSync(path, 'utf8')) as { shared?: Fields; vectors: Partial<Vector>[] };
  const vectors = file.vectors.map(
    (vector): Vector => ({
      id: '',
      input: {},
      output: {},
      error: undefined,
      also: [],
      released: undefined,
      ...vector,
    }),
  );
  return { shared: file.shared ?? {}, vectors };
}

/** Take bytes: hexadecimal, or a stream that the README defines. */
export function bytes(value: Json | undefined): Uint8Array {
  if (typeof value === 'string') return Uint8Array.from(Buffer.from(value, 'hex'));
  const { prefix = '', stream, length, zeros = 0, suffix = '', ...rest } = fields(value);
  if (Object.keys(rest).length > 0) throw new Error(`not bytes: ${JSON.stringify(value).slice(0, 100)}`);
  const middle = expand(text(stream), number(length));
  return Uint8Array.from([...bytes(prefix), ...middle, ...new Uint8Array(number(zeros)), ...bytes(suffix)]);
}

/** Take several: a list of them, or keys that each come from a stream. */
export function manyBytes(value: Json | undefined): readonly Uint8Array[] {
  if (typeof value === 'object' && value !== null && isList(value)) return value.map(bytes);
  const { stream_each: name, count } = fields(value);
  return Array.from({ length: number(count) }, (_, i) => expand(`${text(name)}${i}`, 32));
}

/** The first bytes of a stream. */
export function expand(name: string, length: number): Uint8Array {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i += 1) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(i);
    blocks.push(createHash('sha256').update(name, 'ascii').update(counter).digest());
  }
  return Uint8Array.from(Buffer.concat(blocks).subarray(0, length));
}

/** Take a text. */
export function text(value: Json | undefined): string {
  if (typeof value !== 'string') throw new Error(`not a text: ${JSON.stringify(value)}`);
  return value;
}

/** Take a number. */
export function number(value: Json | undefined): number {
  if (typeof value !== 'number') throw new Error(`not a number: ${JSON.stringify(value)}`);
  return value;
}

/** Take an object. */
export function fields(value: Json | undefined): Fields {
  if (typeof value !== 'object' || value === null || isList(value))
    throw new Error(`no object: ${JSON.stringify(value)}`);
  return value;
}

/** Take a list of objects; an absent one is empty. */
export function list(value: Json | undefined): readonly Fields[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || !isList(value))
    throw new Error(`no list: ${JSON.stringify(value)}`);
  return value.map(fields);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Write bytes as the vectors do. */
export function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}

/** Hash what was released to a caller. */
export function releasedHash(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
