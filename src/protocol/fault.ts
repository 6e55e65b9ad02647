/** The one error that an application sees, and the faults it is made from (spec/09-errors.md). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { Fault, FaultBy } from '../wire/fault.ts';

export type { Fault, FaultBy } from '../wire/fault.ts';
export { fault, isFault } from '../wire/fault.ts';

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ErrorCode).map(([name, code]): [number, string] => [code, name]),
);

/** @impl ER-001~1, ER-002~1. Name a code as the log, the command line and JSON print it: `SESSION_LOST`. */
export function codeName(code: ErrorCode): string {
  return NAMES.get(code) ?? 'INTERNAL';
}

/** What an application catches: `[CODE] text`, with the code, who is at fault, and the cause. Match on `code`. */
export class ClawChatError extends Error {
  override readonly name = 'ClawChatError';
  readonly code: ErrorCode;
  readonly by: FaultBy;

  constructor(of: Fault, options?: { readonly cause?: unknown }) {
    super(`[${codeName(of.code)}] ${of.detail}`, options);
    this.code = of.code;
    this.by = of.by;
  }
}
