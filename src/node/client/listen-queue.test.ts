import { create, toBinary } from '@bufbuild/protobuf';
import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { ControlResponseSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { CONTROL_ITEMS_BYTES_MAX, ROOM_NAME_BYTES_MAX, TOPIC_BYTES_MAX } from '../../gen/constants.ts';
import type { ChatItem } from '../../services/chat/reply.ts';
import { fitting, ListenQueue } from './listen-queue.ts';

const [ID, LATE] = [new Uint8Array(16).fill(0xff), Number.MAX_SAFE_INTEGER];

function item(cursor: number, text: string, act?: ChatItem['act']): ChatItem {
  const who = { deviceId: ID, personId: ID, messageId: ID, name: 'n'.repeat(64) };
  const when = { sentAtMs: LATE, storedAtMs: LATE, editedBy: LATE, deletedBy: LATE };
  const room = 'r'.repeat(ROOM_NAME_BYTES_MAX);
  const what = act === undefined ? { replyTo: LATE, edits: LATE } : { act };
  return { cursor, room, text, ...who, ...when, ...what };
}

/** What a listener is sent: the cursors of each response, and the bytes that its items have there. */
async function responses(
  items: readonly ChatItem[],
): Promise<readonly { cursors: number[]; bytes: number }[]> {
  const sent: { cursors: number[]; bytes: number }[] = [];
  const ending = new AbortController();
  const queue = new ListenQueue(sink => {
    sink.items(items);
    return { resume: () => ending.abort(), cancel: () => {} };
  }, ending.signal);
  let rest = items.length;
  if (rest === 0) ending.abort();
  for await (const body of queue) {
    if (body.case !== 'items') continue;
    const cursors = (body.value.items ?? []).map(({ cursor = 0n }) => Number(cursor));
    const bytes = toBinary(ControlResponseSchema, create(ControlResponseSchema, { body })).length;
    sent.push({ cursors, bytes });
    rest -= cursors.length;
    if (rest <= 0) ending.abort();
  }
  return sent;
}

describe('CT-033~1: the items of a response', () => {
  const text = fc.nat(32_768).map(length => 'x'.repeat(length));
  const topic = 't'.repeat(TOPIC_BYTES_MAX);
  const act = fc.constant({ kind: 'create', topic, closed: true } as const);
  const content = fc.oneof(
    text.map(of => [of] as const),
    act.map(of => ['', of] as const),
  );

  property.prop([fc.array(content, { maxLength: 60 })])(
    'stay below their bound, and none is left out',
    async contents => {
      const items = contents.map(([of, does], index) => item(LATE - 100 + index, of, does));
      const sent = await responses(items);
      expect(sent.flatMap(({ cursors }) => cursors)).toEqual(items.map(({ cursor }) => cursor));
      for (const { bytes } of sent) expect(bytes).toBeLessThanOrEqual(CONTROL_ITEMS_BYTES_MAX);
    },
  );

  it('are as many as fit', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => item(index + 1, 'short'));
    const sent = await responses(many);
    expect(sent.length).toBeLessThan(10);
    for (const { bytes } of sent) expect(bytes).toBeLessThanOrEqual(CONTROL_ITEMS_BYTES_MAX);
    const long = Array.from({ length: 40 }, (_, index) => item(index + 1, 'x'.repeat(32_768)));
    expect(fitting(long)).toBe(15);
  });
});
