import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Capture } from './capture.ts';
import { wrap } from './view.ts';

const FLOW = { connection: 1, port: 1, direction: 'to host' } as const;

it('a text is found wherever and however it stands, and across pieces', () => {
  const word = 'heron-2b8afdeef6c2';
  const writings: readonly ((text: Buffer) => Buffer)[] = [
    text => text,
    text => Buffer.from(text.toString('hex')),
    text => Buffer.from(text.toString('hex').toUpperCase()),
    text => Buffer.from(text.toString('base64')),
    text => Buffer.from(text.toString('base64url')),
  ];
  const bytes = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(bytes, bytes, fc.constantFrom(...writings), fc.nat(), (before, behind, write, at) => {
      const sent = write(Buffer.concat([before, Buffer.from(word), behind]));
      const capture = new Capture();
      const cut = at % (sent.length + 1);
      capture.take(FLOW, sent.subarray(0, cut));
      // What goes the other way stands between them, and does not count.
      capture.take({ ...FLOW, direction: 'from host' }, Buffer.from('noise'));
      capture.take(FLOW, sent.subarray(cut));
      expect(capture.find(word)).toBeGreaterThan(0);
      expect(capture.find('heron-000000000000')).toBe(0);
    }),
    { numRuns: 500 },
  );
});

it('lines are broken between words, and words only where they must', () => {
  expect(wrap('a bb ccc', 4)).toEqual(['a bb', 'ccc']);
  expect(wrap('abcdefghij k', 4)).toEqual(['abcd', 'efgh', 'ij k']);
  expect(wrap('', 4)).toEqual([]);
});
