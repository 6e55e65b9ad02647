/** What a vector and a family of vectors are (test-vectors/README.md). */
import { EMPTY, hex, sha256 } from './bytes.ts';
import { FLAGS, type Flag } from './flags.ts';
import type { ErrorName } from './refusal.ts';

/** Where in the processing a vector bites. */
export type Phase = 'derive' | 'parse' | 'auth' | 'handshake' | 'decrypt' | 'state' | 'time';

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

export interface Vector {
  readonly id: string;
  /** One sentence for people. */
  readonly note: string;
  readonly req: readonly string[];
  readonly flags: readonly Flag[];
  readonly phase: Phase;
  /** Absent when nothing is refused. */
  readonly error?: ErrorName;
  /** Other names that are right as well. */
  readonly also?: readonly ErrorName[] | undefined;
  /** SHA-256 of all plaintext that is handed over. */
  readonly released?: string;
  readonly input: JsonObject;
  readonly output?: JsonObject;
  readonly debug?: JsonObject;
}

export interface Family {
  readonly family: string;
  readonly protocol: 'ClawChat/1';
  readonly spec: readonly string[];
  readonly about: string;
  readonly flags: { readonly [flag: string]: string };
  /** Values that several vectors point to. */
  readonly shared?: JsonObject;
  readonly vectors: readonly Vector[];
}

/** The hash for `released`. */
export const released = (...plain: readonly Uint8Array[]): string =>
  hex(sha256(new Uint8Array(Buffer.concat(plain))));
export const NOTHING: string = released(EMPTY);

/** Put a family together: ids are unique, the flags in use are explained. */
export function family(
  name: string,
  spec: readonly string[],
  about: string,
  vectors: readonly Vector[],
  shared?: JsonObject,
): Family {
  const ids = new Set<string>();
  for (const { id } of vectors) {
    if (!id.startsWith(`${name}/`) || ids.has(id)) throw new Error(`bad or repeated id ${id}`);
    ids.add(id);
  }
  const used = [...new Set(vectors.flatMap(({ flags }) => flags))].sort();
  const flags = Object.fromEntries(used.map(flag => [flag, FLAGS[flag]]));
  const head = { family: name, protocol: 'ClawChat/1', spec, about, flags } as const;
  return shared === undefined ? { ...head, vectors } : { ...head, shared, vectors };
}

/** Write a family as the file that is committed: a line for each part of a vector, so that a difference can be read. */
export function render({ vectors, ...head }: Family): string {
  const line = (value: unknown): string => JSON.stringify(value);
  const parts = Object.entries(head).map(([key, value]) =>
    key === 'flags' || key === 'shared'
      ? `  ${line(key)}: ${block(value as object)}`
      : `  ${line(key)}: ${line(value)}`,
  );
  const one = (vector: Vector): string =>
    `    {\n${Object.entries(vector)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `      ${line(key)}: ${line(value)}`)
      .join(',\n')}\n    }`;
  return `{\n${parts.join(',\n')},\n  "vectors": [\n${vectors.map(one).join(',\n')}\n  ]\n}\n`;
}

function block(object: object): string {
  const entries = Object.entries(object).map(
    ([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  return `{\n${entries.join(',\n')}\n  }`;
}
