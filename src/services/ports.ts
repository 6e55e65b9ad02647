/** What a service asks of the layers around it: a stream of a session, and a database (spec/01-architecture.md). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';

/** The service's end of one stream. Nothing here calls back into the service before it has returned. */
export interface ServiceStream {
  /**
   * Queue one whole message. It is always taken, and never changed afterwards, so several streams may share it.
   * False: the queue is full; until `writable` send nothing but the answers that are already due.
   */
  send(message: Uint8Array): boolean;
  /** Give the peer no more credit. What it already may send is still handed over. */
  pause(): void;
  /** Give credit again. */
  resume(): void;
  /** End the stream: cleanly with `UNSPECIFIED`, else abort it. From here on nothing is handed over or taken. */
  close(code: ErrorCode): void;
}

/** What a service gives for a stream. None of it should throw; if it does, the stream is aborted with `INTERNAL`. */
export interface StreamHandler {
  /** Take one whole message, which belongs to the service from here on. `wallMs` is the time, Unix milliseconds. */
  message(message: Uint8Array, wallMs: number): void;
  /** Learn that the queue has room again. */
  writable(): void;
  /** Learn that the stream is over: the peer ended it, or the session did. Not called after `close`. */
  closed(code: ErrorCode): void;
}

/** One change of the database; the last one to a key within a commit wins. */
export type DatabaseOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

/** The part of a database that services use; the runtime's database is one. */
export interface ServiceDatabase {
  /** Read one value; undefined when there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Read `gte` <= key < `lt`, ascending unless `reverse`, at most `limit`. */
  range(range: {
    readonly gte: string;
    readonly lt: string;
    readonly reverse?: boolean;
    readonly limit?: number;
  }): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]>;
  /**
   * Write all or nothing and resolve when it is durable. Commits become durable, and resolve, in the order of the
   * calls; a commit of nothing resolves when all earlier ones are durable. After a failure all others fail.
   */
  commit(operations: readonly DatabaseOperation[]): Promise<void>;
  /** Clear what was deleted or replaced in `gte` <= key < `lt` out of the files; it may be left out, and may take a while. */
  scrub?(range: { readonly gte: string; readonly lt: string }): Promise<void>;
}
