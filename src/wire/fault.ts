/** What ended something, as data: the peer, the network, time or this side did it (spec/09-errors.md). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';

/** Who is at fault: the other side, what lies between, a time limit, or this side on purpose. */
export type FaultBy = 'peer' | 'network' | 'time' | 'self';

/** The end of something, or a refusal. Programs match on `code`; `detail` is for people and holds no secret. */
export interface Fault {
  readonly kind: 'fault';
  readonly by: FaultBy;
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Make a fault. */
export function fault(by: FaultBy, code: ErrorCode, detail: string): Fault {
  return { kind: 'fault', by, code, detail };
}

/** Tell a fault from the result that stands beside it in a union. */
export function isFault<T>(value: T | Fault): value is Fault {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'fault';
}
