/** Errors of this machine: its files, its ports and the processes that share them (spec/09-errors.md). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, fault } from '../protocol/fault.ts';

/** Make the error for something that this side, and neither the peer nor the network, is the reason of. */
export function failure(code: ErrorCode, detail: string, cause?: unknown): ClawChatError {
  return new ClawChatError(fault('self', code, detail), cause === undefined ? undefined : { cause });
}

/** What was thrown, as an Error, which it need not be. */
export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** The `code` of a system error, such as `ENOENT`; undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
