/** A stream for tests of services, which keeps what was sent. */
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { ServiceStream } from '../ports.ts';

/** A stream that keeps what was sent, and is full after so many messages. */
export class ProbeStream implements ServiceStream {
  sent: Uint8Array[] = [];
  paused = false;
  closedWith: ErrorCode | undefined;
  /** Messages that fit before the queue is full. */
  room: number = Number.POSITIVE_INFINITY;

  send(message: Uint8Array): boolean {
    this.sent.push(message);
    this.room -= 1;
    return this.room > 0;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(code: ErrorCode): void {
    this.closedWith = code;
  }

  /** Take out what was sent so far. */
  take(): readonly Uint8Array[] {
    const sent = this.sent;
    this.sent = [];
    return sent;
  }
}
