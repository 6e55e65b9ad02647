import fc from 'fast-check';
import { expect, test } from 'vitest';
import { native } from '../node/native.ts';
import { UsageError } from '../wire/usage-error.ts';
import { derive, info, label, labelledHash } from './labels.ts';
import { noble } from './noble.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const concat = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));

test('a label is its length and its text', () => {
  expect(label('prologue')).toEqual(ascii('\x13ClawChat/1 prologue'));
  expect(label('')).toEqual(ascii('\x0bClawChat/1 '));
  expect(label('a'.repeat(244))).toHaveLength(256);
  expect(label('a'.repeat(244))[0]).toBe(255);
});

test('an info is the label and each item with its length', () => {
  const long = new Uint8Array(0x0203).fill(5);
  expect(info('gate mac', ascii('ab'), ascii(''), long)).toEqual(
    concat(ascii('\x13ClawChat/1 gate mac\x00\x02ab\x00\x00\x02\x03'), long),
  );
  expect(info('gate mac')).toEqual(label('gate mac'));
});

test('derive and labelledHash are what the chapter says, on both suites', () => {
  const [ikm, salt, item] = [
    new Uint8Array(32).fill(1),
    new Uint8Array(16).fill(2),
    new Uint8Array(0x010203).fill(3),
  ];
  for (const suite of [noble, native]) {
    const expected = suite.hkdfSha256(ikm, salt, concat(ascii('\x11ClawChat/1 a name\x00\x04item')), 40);
    expect(derive(suite, ikm, salt, 'a name', [ascii('item')], 40)).toEqual(expected);
    expect(labelledHash(suite, 'a name', ascii('xy'), ascii(''), item)).toEqual(
      suite.sha256(concat(ascii('\x11ClawChat/1 a name\0\0\0\x02xy\0\0\0\0\x00\x01\x02\x03'), item)),
    );
    expect(labelledHash(suite, 'a name')).toEqual(suite.sha256(label('a name')));
  }
});

test('different names or contexts never encode alike', () => {
  const name = fc.stringMatching(/^[a-c ]{0,4}$/);
  const context = fc.array(fc.uint8Array({ maxLength: 3, max: 2 }), { maxLength: 3 });
  const same = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
    JSON.stringify(a.map(item => [...item])) === JSON.stringify(b.map(item => [...item]));
  let alike = 0;
  fc.assert(
    fc.property(name, context, name, context, (n1, c1, n2, c2) => {
      const equal = n1 === n2 && same(c1, c2);
      if (equal) alike += 1;
      expect(Buffer.from(info(n1, ...c1)).equals(info(n2, ...c2))).toBe(equal);
    }),
    { numRuns: 2000, examples: [['a', [ascii('bc')], 'a', [ascii('b'), ascii('c')]]] },
  );
  console.log(`pairs that were equal: ${alike} of 2001`);
});

test('a name that is no label, or an item that is too long, is a UsageError', () => {
  for (const name of ['é', '\n', 'a'.repeat(245)]) expect(() => label(name)).toThrow(UsageError);
  expect(() => info('a', new Uint8Array(0x10000))).toThrow(UsageError);
  expect(info('a', new Uint8Array(0xffff))).toHaveLength(13 + 2 + 0xffff);
});
