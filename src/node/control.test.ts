import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ControlRequestSchema } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CONTROL_MESSAGE_BYTES_MAX } from '../gen/constants.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  errorBody,
  errorOf,
  MessageReader,
  responseBody,
} from './control.ts';
import { failure } from './failure.ts';

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

describe('framing', () => {
  // CT-020~1
  test('is the length in four bytes, big endian, and the message', () => {
    const message = toBinary(
      ControlRequestSchema,
      create(ControlRequestSchema, { requestId: 7, body: { case: 'ping', value: {} } }),
    );
    expect(encodeRequest(7, { case: 'ping', value: {} })).toEqual(
      join(Uint8Array.of(0, 0, 0, message.length), message),
    );
    // As the spec shows it.
    expect(Buffer.from(encodeRequest(7, { case: 'ping', value: {} })).toString('hex')).toBe(
      '0000000408076200',
    );
  });

  test('gives the same messages however the stream is cut', () => {
    const message = fc.uint8Array({ maxLength: 40 });
    let cuts = 0;
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 20 })),
        (messages, sizes) => {
          const stream = join(...messages.flatMap(one => [Uint8Array.of(0, 0, 0, one.length), one]));
          const reader = new MessageReader();
          const read: Uint8Array[] = [];
          let at = 0;
          for (const size of [...sizes, stream.length]) {
            read.push(...(reader.push(stream.subarray(at, at + size)) ?? []));
            at += size;
            cuts += at < stream.length ? 1 : 0;
          }
          expect(read).toEqual(messages);
        },
      ),
    );
    expect(cuts).toBeGreaterThan(100);
  });

  // CT-020~1
  test('refuses a message as soon as its length is known to be too much', () => {
    const length = (bytes: number): Uint8Array => {
      const four = new Uint8Array(4);
      new DataView(four.buffer).setUint32(0, bytes);
      return four;
    };
    expect(new MessageReader().push(length(CONTROL_MESSAGE_BYTES_MAX + 1))).toBeUndefined();
    const reader = new MessageReader();
    expect(reader.push(length(CONTROL_MESSAGE_BYTES_MAX))).toEqual([]);
    expect(reader.push(new Uint8Array(CONTROL_MESSAGE_BYTES_MAX))?.[0]).toHaveLength(
      CONTROL_MESSAGE_BYTES_MAX,
    );
  });

  test('never throws on what is no message (ER-001~1)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        decodeRequest(bytes);
        decodeResponse(bytes);
        new MessageReader().push(bytes);
      }),
    );
  });

  test('refuses to send what is too long, and says so in place of an answer', () => {
    const long = new Uint8Array(CONTROL_MESSAGE_BYTES_MAX);
    expect(() => encodeRequest(1, { case: 'inspect', value: { connectionFile: long } })).toThrow(
      expect.objectContaining({ code: ErrorCode.USAGE }),
    );
    const framed = encodeResponse(3, false, { case: 'inspected', value: { envelope: long } });
    const answer = decodeResponse(framed.subarray(4));
    expect(answer).toMatchObject({
      requestId: 3,
      end: true,
      body: { case: 'error', value: { code: ErrorCode.INTERNAL } },
    });
  });
});

describe('errors', () => {
  test('keep code and text on their way', () => {
    const error = failure(ErrorCode.ROOM_UNKNOWN, 'there is no room "x"');
    const body = responseBody(errorBody(error));
    expect(body.case === 'error' && errorOf(body)).toMatchObject({
      code: error.code,
      message: error.message,
    });
  });

  // CT-027~1
  test('of this program say nothing about its inside', () => {
    expect(errorBody(new Error('key 0123')).value).toMatchObject({
      code: ErrorCode.INTERNAL,
      text: expect.not.stringContaining('0123'),
    });
  });

  // ER-002~1
  test('with a code of a later version count as INTERNAL', () => {
    for (const code of [9_999 as ErrorCode, ErrorCode.UNSPECIFIED]) {
      const body = responseBody({ case: 'error', value: { code, text: 'later' } });
      expect(body.case === 'error' && errorOf(body)).toMatchObject({ code: ErrorCode.INTERNAL });
    }
  });

  test('are cut where a letter ends', () => {
    const { text } = errorBody(failure(ErrorCode.USAGE, '\u{1f43e}'.repeat(5000))).value as { text: string };
    expect(new TextEncoder().encode(text)).toHaveLength(4096);
  });
});
