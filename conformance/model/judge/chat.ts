/** Judges vectors of `chat`. */
import { readContent, readReply, readRequest } from '../chat.ts';
import { bytes, text } from '../json.ts';
import { Refusal } from '../refusal.ts';
import type { Judge } from './judge.ts';

const READ = new Map([
  ['content', readContent],
  ['request', readRequest],
  ['reply', readReply],
]);

export const judgeChat: Judge = input => {
  const read = READ.get(text(input, 'what'));
  if (read === undefined) throw new Error(`no ${text(input, 'what')}`);
  try {
    return { output: read(bytes(input, 'bytes')) };
  } catch (error) {
    if (error instanceof Refusal) return { error: error.code };
    throw error;
  }
};
