/** What a receiver grants to the streams of a session, in bounded memory (spec/05-session.md, 5.6). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  DATA_COST_BYTES,
  SESSION_CREDIT_BYTES,
  STREAM_CREDIT_BYTES,
  STREAM_WINDOW_BYTES_MAX,
  STREAMS_MAX,
} from '../gen/constants.ts';
import type { DataFrame } from '../wire/frame.ts';
import type { Stream } from './stream.ts';

/** What can be granted beyond the credit with which every possible stream begins. */
const POOL_BYTES: number = SESSION_CREDIT_BYTES - 2 * STREAMS_MAX * STREAM_CREDIT_BYTES;

/** What a Data frame counts against credit: payload and overhead, and nothing for an end alone. @impl SE-050~1 */
export function creditCost({ payload, end }: DataFrame): number {
  return payload.length === 0 && end !== undefined ? 0 : payload.length + DATA_COST_BYTES;
}

/** The grants of one session's receiving side. @impl SE-054~1 */
export class Grants {
  // What is granted beyond what was taken and the initial credit, over all streams.
  private boosted = 0;

  /** Count what the application has taken of a stream; true if a Credit frame is due. */
  take(stream: Stream, cost: number): boolean {
    const before = boost(stream);
    stream.taken += cost;
    this.boosted += boost(stream) - before;
    return this.raise(stream);
  }

  /**
   * Raise the limit of a stream of which the other side has used more than half; true if it rose. The window grows
   * with what the application takes, so a stalled or rarely used stream holds no more of the pool than it has earned.
   */
  raise(stream: Stream): boolean {
    // Who aborts waits for nothing but the end; who has ended cleanly lets the other side finish, and drops it.
    if (stream.ended || (stream.dropping && stream.ending !== ErrorCode.UNSPECIFIED)) return false;
    const own = boost(stream);
    const spare = POOL_BYTES - this.boosted + own;
    const wanted = Math.min(STREAM_WINDOW_BYTES_MAX, STREAM_CREDIT_BYTES + 2 * stream.taken);
    const window = Math.min(wanted, STREAM_CREDIT_BYTES + Math.max(0, spare));
    const limit = stream.taken + window;
    if (limit <= stream.limit || (stream.limit - stream.received) * 2 > window) return false;
    stream.limit = limit;
    this.boosted += boost(stream) - own;
    return true;
  }

  /** Take the grants of a stream back into the pool: both its directions have ended. */
  forget(stream: Stream): void {
    this.boosted -= boost(stream);
  }
}

function boost(stream: Stream): number {
  return Math.max(0, stream.limit - stream.taken - STREAM_CREDIT_BYTES);
}
