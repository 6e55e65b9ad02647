/** Messages as they come, each once, whoever owns the data directory meanwhile. Chapter: spec/12-control.md. */
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import type { RequestInit, ResponseBody } from '../control.ts';

/** Whom to ask: the owner of a data directory. */
export interface Asking {
  stream(body: RequestInit, resume: () => RequestInit, signal?: AbortSignal): AsyncIterable<ResponseBody>;
}

/** What to follow. */
export interface FollowOptions {
  /** Behind this cursor; from now on when undefined. */
  readonly after: number | undefined;
  /** One room; all when empty. */
  readonly room: string;
  readonly signal: AbortSignal | undefined;
  /** Called when messages before this cursor are no longer kept: of one room unless it is empty. */
  readonly gap: (firstCursor: number, room: string) => void;
}

/** @throws ClawChatError as the owner says; `CANCELLED` when `signal` ends it. */
export async function* following(
  link: Asking,
  { after, room, signal, gap }: FollowOptions,
): AsyncGenerator<ControlItem, void, undefined> {
  let cursor = after;
  const ask = (): RequestInit => ({
    case: 'listen',
    value: { afterCursor: BigInt(cursor ?? 0), fromNow: cursor === undefined, room },
  });
  for await (const answer of link.stream(ask(), ask, signal)) {
    if (answer.case === 'caughtUp') cursor = Math.max(cursor ?? 0, Number(answer.value.cursor));
    if (answer.case === 'gap') gap(Number(answer.value.firstCursor), answer.value.room);
    if (answer.case !== 'items') continue;
    for (const item of answer.value.items) {
      if (cursor !== undefined && Number(item.cursor) <= cursor) continue;
      cursor = Number(item.cursor);
      yield item;
    }
  }
}
