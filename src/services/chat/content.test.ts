import { describe, expect, test } from 'vitest';
import { labelledHash } from '../../crypto/labels.ts';
import { noble } from '../../crypto/noble.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CONTENT_BYTES_MAX, TEXT_BYTES_MAX } from '../../gen/constants.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import { utf8Bytes } from './bytes.ts';
import { checkContent, encodeContent, parseContent, whyNoMessage } from './content.ts';
import { encodeRequest } from './request.ts';

const CONTENT = {
  messageId: Uint8Array.from({ length: 16 }, (_, i) => i),
  room: 'lobby',
  text: 'hi',
  sentAtMs: 1_795_000_000_000,
};
const BYTES = '0a10000102030405060708090a0b0c0d0e0f12056c6f6262791a0268692080bcd9f29e34';

// CH-003~2, CH-008~1
describe('a content', () => {
  test('is the example of the spec, and so are its hash and its post', () => {
    const content = encodeContent(CONTENT);
    expect(hex(content)).toBe(BYTES);
    expect(hex(labelledHash(noble, 'content', content))).toBe(
      'a84134c42ae555cf5541f97739805952e4face77dc8c1f7d4aeb57793c0d42eb',
    );
    const outboxId = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
    expect(hex(encodeRequest(2, { kind: 'post', outboxId, number: 1, content }))).toBe(
      `08022a3a0a10a0a1a2a3a4a5a6a7a8a9aaabacadaeaf10011a24${BYTES}`,
    );
    expect(parseContent(content)).toEqual(CONTENT);
  });

  test.each([
    ['no id', { messageId: new Uint8Array(0) }, ErrorCode.MESSAGE_MALFORMED],
    ['an id of 17 bytes', { messageId: new Uint8Array(17) }, ErrorCode.MESSAGE_MALFORMED],
    ['no room', { room: '' }, ErrorCode.MESSAGE_MALFORMED],
    ['a room of 65 bytes', { room: `${'é'.repeat(32)}x` }, ErrorCode.MESSAGE_MALFORMED],
    ['no text', { text: '' }, ErrorCode.MESSAGE_MALFORMED],
    [
      'a text that is one byte too long',
      { text: 'x'.repeat(TEXT_BYTES_MAX + 1) },
      ErrorCode.MESSAGE_TOO_LARGE,
    ],
    ['half a surrogate pair', { text: 'a\ud800b' }, ErrorCode.MESSAGE_MALFORMED],
    ['a time of 2^53', { sentAtMs: 2 ** 53 }, ErrorCode.MESSAGE_MALFORMED],
  ] as const)('with %s is none', (_name, change, code) => {
    expect(checkContent({ ...CONTENT, ...change })).toBe(code);
  });

  test('may be as long as the rules allow', () => {
    const longest = {
      ...CONTENT,
      room: 'é'.repeat(32),
      text: '€'.repeat(TEXT_BYTES_MAX / 3).padEnd(10923, 'x'),
    };
    const text = longest.text.slice(0, 10922);
    expect(utf8Bytes(text)).toBe(TEXT_BYTES_MAX - 2);
    expect(checkContent({ ...longest, text: `${text}xx` })).toBeUndefined();
    const bytes = encodeContent({ ...longest, text: `${text}xx`, sentAtMs: Number.MAX_SAFE_INTEGER });
    expect(bytes.length).toBeLessThanOrEqual(CONTENT_BYTES_MAX);
    expect(parseContent(bytes)).toMatchObject({ sentAtMs: Number.MAX_SAFE_INTEGER });
  });

  test.each([
    ['text that is no UTF-8', BYTES.replace('1a026869', '1a02c080')],
    ['a room that is no UTF-8', BYTES.replace('12056c6f626279', '12056c6f6262ff')],
    ['a cut end', BYTES.slice(0, -2)],
    ['nothing', ''],
  ])('that holds %s is malformed', (_name, bytes) => {
    expect(parseContent(parseHex(bytes))).toBe(ErrorCode.MESSAGE_MALFORMED);
  });

  test('beyond its bound is not even parsed', () => {
    expect(parseContent(new Uint8Array(CONTENT_BYTES_MAX + 1))).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });

  test('may have fields of a later version', () => {
    expect(parseContent(parseHex(`${BYTES}f80701`))).toEqual(CONTENT);
  });
});

test('whoever wrote what is no message reads why', () => {
  const why = (change: Partial<Parameters<typeof checkContent>[0]>): string => {
    const content = { ...CONTENT, ...change };
    return whyNoMessage(content, checkContent(content) ?? ErrorCode.UNSPECIFIED);
  };
  expect(why({ text: 'x'.repeat(TEXT_BYTES_MAX + 1) })).toBe('a message has at most 32768 bytes');
  expect(why({ text: '' })).toBe('there is no text to send');
  for (const room of ['', 'x'.repeat(65)]) {
    expect(why({ room })).toBe('the name of a room has 1 to 64 bytes');
  }
  const act = { kind: 'topic', topic: 'x'.repeat(257) } as const;
  expect(why({ text: '', act })).toBe('a topic has at most 256 bytes');
});
