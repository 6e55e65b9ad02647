import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HTTP_HEAD_BYTES_MAX } from '../../gen/constants.ts';
import { BodyReader } from './body.ts';
import { type Head, HeadReader } from './head.ts';

function read(text: string): Head | undefined {
  return new HeadReader().push(Buffer.from(text, 'latin1'));
}

/** What a head came to, and how many bytes that took. */
function readInPieces(bytes: Buffer, cuts: readonly number[]): unknown {
  const reader = new HeadReader();
  const places = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    const head = reader.push(bytes.subarray(from, to));
    if (head !== undefined) {
      const { rest, request, ...what } = head;
      const headers = request === undefined ? undefined : [...request.headers];
      // Where it was over does not depend on the pieces when the head was complete.
      return { ...what, line: request?.line, headers, ...(request ? { at: to - rest.length } : {}) };
    }
    from = to;
  }
  return undefined;
}

describe('a head', () => {
  it('gives its line and its headers, and what comes behind', () => {
    const head = read('GET /a HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\nx-a: 2\r\nX_b: 3\r\n\r\nrest');
    expect(head).toMatchObject({ status: 404, shape: 'whole', body: 0 });
    expect(head?.request?.line).toEqual({ method: 'GET', target: '/a', minor: 1 });
    expect(head?.request?.headers).toEqual(
      new Map([
        ['host', 'x'],
        ['x-a', '1, 2'],
      ]),
    );
    expect(Buffer.from(head?.rest ?? []).toString()).toBe('rest');
  });

  it('is the same however it arrives (HS-016~2)', () => {
    const part = fc.constantFrom(
      ...['GET', 'HEAD', ' ', '/', '/..', '%41', 'HTTP/1.', '0', '1', '\r', '\n', '\r\n', '\r\n\r\n', ':'],
      ...[
        'Host: x\r\n',
        'Content-Length: 5',
        'Transfer-Encoding: chunked',
        '\0',
        '\xff',
        'http://',
        '[',
        ']',
      ],
    );
    const text = fc.oneof(
      fc.array(part, { maxLength: 30 }).map(parts => parts.join('')),
      fc.array(part, { maxLength: 9 }).map(parts => `GET / HTTP/1.1\r\nHost: x\r\n${parts.join('')}\r\n\r\n`),
    );
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 20 }), (sent, cuts) => {
        const bytes = Buffer.from(sent, 'latin1');
        const whole = readInPieces(bytes, []);
        expect(readInPieces(bytes, cuts)).toEqual(whole);
        expect(readInPieces(bytes, [...bytes.keys()])).toEqual(whole);
      }),
      { numRuns: 2000 },
    );
  });

  it('is never more than its bound, and ends at the first byte beyond it (HS-016~2)', () => {
    const endless = Buffer.alloc(HTTP_HEAD_BYTES_MAX + 1, 'A');
    const reader = new HeadReader();
    expect(reader.push(endless.subarray(0, HTTP_HEAD_BYTES_MAX))).toBe(undefined);
    expect(reader.push(endless.subarray(HTTP_HEAD_BYTES_MAX))?.status).toBe(414);
  });
});

describe('a body', () => {
  it('is over at the same byte however it arrives', () => {
    const chunk = fc.constantFrom(
      ...[
        '5\r\nhello\r\n',
        '0\r\n',
        '\r\n',
        '1;a=b\nx\n',
        'A\r\n0123456789\r\n',
        'X',
        '5\r\nhellox',
        'a: b\r\n',
      ],
    );
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), fc.nat(), (chunks, at) => {
        const bytes = Buffer.from(chunks.join(''));
        const whole = new BodyReader('chunked').take(bytes);
        const bytewise = new BodyReader('chunked');
        expect([...bytes].some(byte => bytewise.take(Buffer.of(byte)))).toBe(whole);
        const cut = at % (bytes.length + 1);
        const halves = new BodyReader('chunked');
        expect(halves.take(bytes.subarray(0, cut)) || halves.take(bytes.subarray(cut))).toBe(whole);
      }),
      { numRuns: 2000 },
    );
    const counted = new BodyReader(5);
    expect([2, 2, 1].map(length => counted.take(Buffer.alloc(length)))).toEqual([false, false, true]);
  });
});
