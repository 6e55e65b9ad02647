/** Judges vectors of `chat`. */
import { readContent, readReply, readRequest } from '../chat.ts';
import { judgeDisplay, judgeMarks, judgeRewrite, judgeRoomName, readPages } from '../chat-host.ts';
import { type OutboxEvent, OutboxModel } from '../chat-outbox.ts';
import { array, bytes, bytesOf, has, number, object, objects, text } from '../json.ts';
import { Refusal } from '../refusal.ts';
import type { JsonObject } from '../vector.ts';
import type { Judge } from './judge.ts';

const read =
  (reader: (encoded: Uint8Array) => JsonObject) =>
  (input: JsonObject): JsonObject =>
    reader(bytes(input, 'bytes'));

const JUDGES: ReadonlyMap<string, (input: JsonObject, shared: JsonObject) => JsonObject> = new Map([
  ['content', read(readContent)],
  ['request', read(readRequest)],
  ['reply', read(readReply)],
  ['outbox', judgeOutbox],
  ['page', readPages],
  ['marks', judgeMarks],
  ['rewrite', judgeRewrite],
  ['display', judgeDisplay],
  ['room-name', judgeRoomName],
]);

export const judgeChat: Judge = (input, shared) => {
  const judge = JUDGES.get(text(input, 'what'));
  if (judge === undefined) throw new Error(`no ${text(input, 'what')}`);
  try {
    return { output: judge(input, shared) };
  } catch (error) {
    if (error instanceof Refusal) return { error: error.code };
    throw error;
  }
};

/** Play the steps of a client's outbox. */
export function judgeOutbox(input: JsonObject): JsonObject {
  const given = object(input, 'outbox');
  const outbox = {
    id: bytes(given, 'id'),
    answered: number(given, 'answered'),
    answeredHash: bytes(given, 'answered_hash'),
    posts: array(given, 'posts').map(bytesOf),
  };
  const model = new OutboxModel(outbox, bytes(input, 'new_outbox_id'));
  return { steps: objects(input, 'steps').map(step => model.step(eventOf(step))) };
}

function eventOf(step: JsonObject): OutboxEvent {
  if (has(step, 'reply')) {
    return { kind: 'reply', answers: number(step, 'answers'), bytes: bytes(step, 'reply') };
  }
  const kind = text(step, 'event');
  if (kind === 'opens' || kind === 'ends' || kind === 'durable' || kind === 'crash') return { kind };
  throw new Error(`no event ${kind}`);
}
