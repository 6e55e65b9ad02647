/** Requests to whoever owns a data directory at the time, across its owners (spec/12-control.md). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  type ControlOwner,
  isStream,
  type RequestInit,
  type ResponseBody,
  requestBody,
  responseBody,
} from './control.ts';
import { isOwnerLost } from './control-client.ts';
import { asError, failure } from './failure.ts';
import type { Log } from './log.ts';
import { type Attachment, attachOrOwn, cancelled, type DirectoryOptions, NEVER, type Wish } from './owner.ts';

/**
 * Whether a request may be asked again of the next owner when nobody knows whether the last one did it. An owner that
 * went away while it was asked to stop has stopped, and the next one must not.
 *
 * @impl CT-041~3
 */
const REPEATABLE: Readonly<Record<RequestInit['case'], boolean>> = {
  hello: false,
  cancel: false,
  status: true,
  settings: true,
  devices: true,
  // The invite that nobody got to see is a secret that nobody has; it expires.
  invite: true,
  invites: true,
  withdraw: true,
  revoke: true,
  stop: false,
  send: true,
  listen: true,
  history: true,
  ping: true,
  inspect: true,
  rooms: true,
  people: true,
  mark: true,
  typing: true,
  events: true,
  // The invite that nobody got to see expires.
  deviceInvite: true,
  bundle: true,
  // It begins again.
  bench: true,
  // One that was lost may have begun; asking again begins another.
  rotate: false,
  emergency: false,
  // One that was lost may have been done, and a room of that name be another one.
  roomDelete: false,
  roomOwner: true,
  roomKeep: true,
};

/** Whoever answers at present: this process or another. */
interface Target {
  readonly attachment: Attachment;
  call(body: RequestInit, signal?: AbortSignal): Promise<ResponseBody>;
  stream(body: RequestInit, signal?: AbortSignal): AsyncIterable<ResponseBody>;
}

interface Pending {
  readonly body: RequestInit;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (response: ResponseBody) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Requests to the owner of a data directory, whoever it is at the time. When it goes away this process attaches to the
 * next one or becomes it, and asks again what has not been answered, in the order in which it was first asked.
 */
export class OwnerLink {
  readonly #options: DirectoryOptions;
  readonly #wish: Wish;
  readonly #pending = new Set<Pending>();
  #target: Target | undefined;
  #finding: Promise<Target> | undefined;
  readonly #stop = new AbortController();
  #closed = false;

  /** @throws ClawChatError as `attachOrOwn` does. */
  static async open(options: DirectoryOptions, wish: Wish = 'either'): Promise<OwnerLink> {
    const link = new OwnerLink(options, wish);
    await link.#find();
    return link;
  }

  private constructor(options: DirectoryOptions, wish: Wish) {
    this.#options = options;
    this.#wish = wish;
  }

  /** Whether this process is the owner now. */
  get owning(): boolean {
    return this.#target?.attachment.kind === 'owned';
  }

  /** The process that answers now, if it is another. */
  get ownerPid(): number | undefined {
    const attachment = this.#target?.attachment;
    return attachment?.kind === 'attached' ? attachment.client.welcome?.pid : undefined;
  }

  /** Resolves when whoever answers now has gone; at once when that is this process. */
  async gone(): Promise<void> {
    const attachment = this.#target?.attachment;
    if (attachment?.kind === 'attached') await attachment.client.closed;
  }

  /**
   * Ask for one answer.
   *
   * @throws ClawChatError with the owner's reason; `OWNER_LOST` for `stop` when the owner is gone; `CANCELLED`; as
   *   `attachOrOwn` does when no owner can be found again.
   */
  call(body: RequestInit, signal?: AbortSignal): Promise<ResponseBody> {
    return new Promise((resolve, reject) => {
      const abort = (): void => this.#giveUp(pending);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          signal?.removeEventListener('abort', abort);
          then(value);
        };
      const pending: Pending = { body, signal, resolve: settle(resolve), reject: settle(reject) };
      this.#pending.add(pending);
      signal?.addEventListener('abort', abort);
      if (signal?.aborted) this.#giveUp(pending);
      else if (this.#target !== undefined) this.#ask(this.#target, pending);
      else this.#find().catch(error => this.#rejectAll(error));
    });
  }

  /**
   * Ask for any number of answers. When the owner goes away between two of them, `resume` says how to ask the next
   * one for what comes behind all that were read.
   */
  async *stream(
    body: RequestInit,
    resume: () => RequestInit,
    signal?: AbortSignal,
  ): AsyncGenerator<ResponseBody> {
    for (let ask = body; ; ask = resume()) {
      const target = this.#target ?? (await unlessAborted(this.#find(), signal));
      this.#logOf(target, ask)?.debug('owner-asked', { what: ask.case });
      try {
        yield* target.stream(ask, signal);
        return;
      } catch (error) {
        if (!isOwnerLost(error) || this.#closed) throw error;
        this.#lose(target);
      }
    }
  }

  /** Detach, or finish what others have asked and let go of the directory. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop.abort();
    const target = this.#target ?? (await this.#finding?.catch(() => undefined));
    this.#target = undefined;
    this.#rejectAll(failure(ErrorCode.CANCELLED, `${this.#options.directory} was closed`));
    if (target?.attachment.kind === 'attached') target.attachment.client.close();
    if (target?.attachment.kind === 'owned') {
      // In this order, so that the socket is gone before the next owner can make its own. @impl CT-010~1
      await target.attachment.server.close();
      await target.attachment.owner.close();
    }
  }

  /** Answer whoever cancelled at once: it may take long to find the next owner. */
  #giveUp(pending: Pending): void {
    if (this.#pending.delete(pending)) pending.reject(cancelled());
  }

  #ask(target: Target, pending: Pending): void {
    const log = this.#logOf(target, pending.body);
    const what = pending.body.case;
    log?.debug('owner-asked', { what });
    target.call(pending.body, pending.signal).then(
      response => {
        log?.debug('owner-answered', { what });
        this.#pending.delete(pending);
        pending.resolve(response);
      },
      error => {
        log?.debug('owner-refused', { what, why: asError(error) });
        if (isOwnerLost(error) && REPEATABLE[pending.body.case] && !this.#closed) {
          this.#lose(target);
          return;
        }
        this.#pending.delete(pending);
        pending.reject(error);
      },
    );
  }

  /** Where it is said what another process is asked: what comes of it in there is that one's to log. `status` is asked all the time. */
  #logOf({ attachment }: Target, { case: what }: RequestInit): Log | undefined {
    return attachment.kind === 'attached' && what !== 'status' ? this.#options.log : undefined;
  }

  /** Look for the next owner, once for all who notice that this one is gone. */
  #lose(target: Target): void {
    if (this.#target !== target) return;
    this.#target = undefined;
    this.#find().catch(error => this.#rejectAll(error));
  }

  #find(): Promise<Target> {
    this.#finding ??= this.#look().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  async #look(): Promise<Target> {
    if (this.#closed) throw failure(ErrorCode.CANCELLED, `${this.#options.directory} was closed`);
    const attachment = await attachOrOwn(this.#options, this.#wish, this.#stop.signal);
    const target = attachment.kind === 'owned' ? ownTarget(attachment) : attachedTarget(attachment);
    if (this.#closed) return target;
    this.#target = target;
    const pid = this.ownerPid;
    if (pid !== undefined) this.#options.log?.debug('owner-attached', { pid });
    for (const pending of this.#pending) this.#ask(target, pending);
    return target;
  }

  #rejectAll(error: unknown): void {
    for (const pending of this.#pending) pending.reject(error);
    this.#pending.clear();
  }
}

/** Wait, but no longer than somebody wants to know. */
function unlessAborted<T>(waiting: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(cancelled());
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    waiting.then(resolve, reject).finally(() => signal?.removeEventListener('abort', abort));
  });
}

function attachedTarget(attachment: Attachment & { kind: 'attached' }): Target {
  const { client } = attachment;
  return {
    attachment,
    call: (body, signal) => client.call(body, signal),
    stream: (body, signal) => client.stream(body, signal),
  };
}

function ownTarget(attachment: Attachment & { kind: 'owned' }): Target {
  return { attachment, ...askWithin(attachment.owner) };
}

/** Ask an owner in this process as if over the socket. */
export function askWithin(owner: ControlOwner): Pick<Target, 'call' | 'stream'> {
  async function* stream(body: RequestInit, signal: AbortSignal = NEVER): AsyncGenerator<ResponseBody> {
    const answer = owner.answer(requestBody(body), signal);
    if (isStream(answer)) for await (const part of answer) yield responseBody(part);
    else yield responseBody(await answer);
  }
  return {
    call: async (body, signal) => {
      for await (const response of stream(body, signal)) return response;
      throw failure(ErrorCode.INTERNAL, `"${body.case}" was answered with nothing`);
    },
    stream,
  };
}
