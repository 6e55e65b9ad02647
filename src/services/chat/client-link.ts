/** What the parts of a chat client ask of the one stream they share (spec/11-chat.md, 11.1). */
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { RequestBody } from './request.ts';

/** A chat stream that is open. */
export interface ClientLink {
  /** Send a request and give its id. */
  request(body: RequestBody): number;
  /** False while the stream's queue is full. */
  hasRoom(): boolean;
  /** Abort the stream: what the host says makes no sense, or what it refuses must be talked over from the start. */
  abort(code: ErrorCode): void;
}
