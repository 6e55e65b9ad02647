/** JSON Schema (draft 2020-12) for each family, put together from a few words. */
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { FLAGS } from './flags.ts';

export type Schema = { readonly [key: string]: unknown };

export const text: Schema = { type: 'string' };
export const flag: Schema = { type: 'boolean' };
export const number: Schema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
/** Bytes of any length, in hexadecimal. */
export const bytes: Schema = { type: 'string', pattern: '^(?:[0-9a-f]{2})*$' };
/** Bytes of one length, in hexadecimal. */
export const bytesOf = (length: number): Schema => ({ type: 'string', pattern: `^[0-9a-f]{${2 * length}}$` });
export const key: Schema = bytesOf(32);
export const constant = (value: string | boolean): Schema => ({ const: value });
export const choice = (...values: readonly string[]): Schema => ({ enum: values });
export const list = (items: Schema): Schema => ({ type: 'array', items });
export const either = (...of: readonly Schema[]): Schema => ({ oneOf: of });
/** Bytes that are the start of a stream, in place of long hexadecimal. */
export const streamed: Schema = object({
  'prefix?': bytes,
  stream: text,
  length: number,
  'zeros?': number,
  'suffix?': bytes,
});
/** An object all of whose fields are there, except those whose name ends in `?`. */
export function object(fields: Readonly<Record<string, Schema>>): Schema {
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name.replace('?', ''), value]),
  );
  const required = Object.keys(fields).filter(name => !name.endsWith('?'));
  return { type: 'object', additionalProperties: false, required, properties };
}

const errorNames = Object.keys(ErrorCode).filter(name => name !== 'UNSPECIFIED');
const requirement: Schema = { type: 'string', pattern: '^[A-Z]{2}-\\d{3}~\\d+$' };

/** The schema of one family's file. */
export function familySchema(
  name: string,
  parts: {
    readonly input: Schema;
    readonly output: Schema;
    readonly debug?: Schema;
    readonly shared?: Schema;
  },
): Schema {
  const vector: Schema = {
    ...object({
      id: { type: 'string', pattern: `^${name}/[a-z0-9][a-z0-9/-]*$` },
      note: text,
      req: { ...list(requirement), minItems: 1 },
      flags: { ...list({ enum: Object.keys(FLAGS) }), minItems: 1, uniqueItems: true },
      phase: choice('derive', 'parse', 'auth', 'handshake', 'decrypt', 'state', 'time'),
      'error?': { enum: errorNames },
      'also?': list({ enum: errorNames }),
      'released?': key,
      input: parts.input,
      'output?': parts.output,
      'debug?': parts.debug ?? { type: 'object' },
    }),
    // What is not refused has a result.
    anyOf: [{ required: ['error'] }, { required: ['output'] }],
  };
  const fields: Record<string, Schema> = {
    family: constant(name),
    protocol: constant('ClawChat/1'),
    spec: { ...list(text), minItems: 1 },
    about: text,
    flags: { type: 'object', propertyNames: { enum: Object.keys(FLAGS) }, additionalProperties: text },
    vectors: { ...list(vector), minItems: 1 },
  };
  if (parts.shared !== undefined) Object.assign(fields, { shared: parts.shared });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `ClawChat/1 vectors: ${name}`,
    ...object(fields),
  };
}
