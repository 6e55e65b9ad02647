/** What keys and lengths the two sides of the chat service count with (spec/11-chat.md). */
import { utf8Length } from '../../wire/bytes.ts';

/** Above every key that begins with the same text: the highest visible character and one more. */
export const KEY_END = '\x7f';

/** Write a whole number below 2^53 as 14 hexadecimal digits, so that keys sort as numbers do. */
export function numberKey(value: number): string {
  return value.toString(16).padStart(14, '0');
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Count the bytes of a text in UTF-8, or -1 when it holds half of a surrogate pair, which UTF-8 cannot write. */
export function utf8Bytes(text: string): number {
  return LONE_SURROGATE.test(text) ? -1 : utf8Length(text);
}
