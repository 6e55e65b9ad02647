/** How the model says no: by the name of an error code (spec/09-errors.md). */
import type { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';

/** Name of an ErrorCode without its prefix. */
export type ErrorName = Exclude<keyof typeof ErrorCode, 'UNSPECIFIED'>;

/** Something that must not be accepted. `detail` is for the one who debugs. */
export class Refusal extends Error {
  readonly code: ErrorName;
  readonly detail: string;
  constructor(code: ErrorName, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}

/** Refuse unless something holds. */
export function demand(holds: boolean, code: ErrorName, detail: string): asserts holds {
  if (!holds) throw new Refusal(code, detail);
}

/** Run something that may refuse. */
export function attempt<T>(run: () => T): { readonly value: T } | { readonly refusal: Refusal } {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error };
    throw error;
  }
}
