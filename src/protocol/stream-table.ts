/** Which streams a session has: whose number comes next, how many are open, which are over (spec/05-session.md, 5.5). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { STREAMS_MAX } from '../gen/constants.ts';
import { type Fault, fault } from '../wire/fault.ts';
import { Stream } from './stream.ts';

const STREAM_MAX = 2 ** 31 - 1;

/** The streams of a session, from their first frame until both directions have ended. */
export class StreamTable {
  private readonly byId = new Map<number, Stream>();
  // The number that this side, and the other, gives to its next stream, and how many of each side's are open.
  private ownNext: number;
  private peerNext: number;
  private ownOpen = 0;
  private peerOpen = 0;

  constructor(role: 'client' | 'host') {
    this.ownNext = role === 'client' ? 1 : 2;
    this.peerNext = role === 'client' ? 2 : 1;
  }

  get size(): number {
    return this.byId.size;
  }

  get(id: number): Stream | undefined {
    return this.byId.get(id);
  }

  all(): IterableIterator<Stream> {
    return this.byId.values();
  }

  /** Open this side's next stream; undefined while STREAMS_MAX of them are open. @impl SE-040~1, SE-041~1 */
  open(service: string): Stream | undefined {
    if (this.ownOpen >= STREAMS_MAX || this.ownNext > STREAM_MAX) return undefined;
    const stream = new Stream(this.ownNext, service);
    this.ownNext += 2;
    this.ownOpen += 1;
    this.byId.set(stream.id, stream);
    return stream;
  }

  /** Whether the other side may open this stream, which counts from `accept` on. @impl SE-042~1 */
  judgeOpen(id: number): Fault | undefined {
    if (id !== this.peerNext) {
      const detail = `stream ${id} cannot be opened, ${this.peerNext} is the next`;
      return fault('peer', ErrorCode.STREAM_INVALID, detail);
    }
    return this.peerOpen >= STREAMS_MAX
      ? fault('peer', ErrorCode.STREAM_LIMIT, `${STREAMS_MAX} are open`)
      : undefined;
  }

  /** Take up the stream that the other side opened: its first frame was found good. */
  accept(stream: Stream): void {
    this.peerNext += 2;
    this.peerOpen += 1;
    this.byId.set(stream.id, stream);
  }

  /** Whether there was ever a stream of this number. */
  everWas(id: number): boolean {
    return id < (this.isOwn(id) ? this.ownNext : this.peerNext);
  }

  /** Drop a stream of which both directions have ended; false if it is gone already. */
  drop({ id }: Stream): boolean {
    if (!this.byId.delete(id)) return false;
    if (this.isOwn(id)) this.ownOpen -= 1;
    else this.peerOpen -= 1;
    return true;
  }

  private isOwn(id: number): boolean {
    return id % 2 === this.ownNext % 2;
  }
}
