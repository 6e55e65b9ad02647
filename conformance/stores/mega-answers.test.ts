/** What lies in a folder of Mega, and whatever Mega answers: against the project's own emulator. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { judge } from '../../src/discovery/verdict.ts';
import { FILE_BYTES_MAX, STORE_CANDIDATES_MAX } from '../../src/gen/constants.ts';
import { MegaReader, MegaWriter, parseFolderLink } from '../../src/node/stores/mega.ts';
import { live, MegaHouse, plant, reachTo } from './mega-house.ts';
import { noise, open, sealed } from './sealed.ts';

describe('Mega', () => {
  let mega: MegaHouse;
  beforeAll(async () => {
    mega = await MegaHouse.open();
  });
  afterAll(() => mega.close());
  beforeEach(() => mega.clear());

  test('new before old is deleted; what is left over is deleted the next time (DI-052~1)', async () => {
    const own = mega.writer();
    await own.publish(sealed(1), live);
    mega.emulator.seen.length = 0;
    await own.publish(sealed(2), live);
    expect(mega.emulator.seen).toEqual(['f', 'u', 'ul', 'p', 'd']);
    mega.set('d', { kind: 'error', number: -3 });
    expect(await own.publish(sealed(3), live)).toEqual({ kind: 'published' });
    expect(mega.emulator.files()).toHaveLength(2);
    expect(judge(await mega.reader().read(live), open)).toMatchObject({ record: { sequence: 3 } });
    mega.set('d', { kind: 'silent' });
    expect(await own.publish(sealed(4), live)).toEqual({ kind: 'published' });
    expect(await own.publish(sealed(5), live)).toEqual({ kind: 'published' });
    expect(mega.emulator.files()).toHaveLength(1);
  });

  test('of several files the signed sequence decides, not the time of upload (DI-051~1)', async () => {
    for (const sequence of [7, 3, 5]) await plant(mega.emulator, mega.home, sealed(sequence));
    await plant(mega.emulator, mega.home, noise(4096));
    const answer = await mega.reader().read(live);
    expect(answer.kind === 'file' && answer.others).toHaveLength(3);
    expect(judge(answer, open)).toMatchObject({ kind: 'record', record: { sequence: 7 } });
  });

  test('the last uploaded come first, and no more than can be judged, whatever they are called (DI-051~1)', async () => {
    const sequences = Array.from({ length: STORE_CANDIDATES_MAX + 1 }, (_, i) => 20 - i);
    for (const sequence of sequences)
      await plant(mega.emulator, mega.home, sealed(sequence), `file ${sequence}`);
    const answer = await mega.reader().read(live);
    if (answer.kind !== 'file') throw new Error(answer.kind);
    const found = [answer.bytes, ...answer.others].map(bytes => open(bytes));
    expect(found).toMatchObject(
      sequences
        .slice(1)
        .toReversed()
        .map(sequence => ({ sequence })),
    );
  });

  test('a large file and a foreign one are not downloaded (DI-002~1)', async () => {
    await plant(mega.emulator, mega.home, noise(FILE_BYTES_MAX + 1));
    mega.emulator.seen.length = 0;
    expect(await mega.reader().read(live)).toMatchObject({ trouble: 'oversized' });
    expect(mega.emulator.seen).toEqual(['f']);
    await plant(mega.emulator, mega.home, sealed(1));
    expect(await mega.reader().read(live)).toMatchObject({ kind: 'file', others: [] });
  });

  test('a file that Mega says is short and is not, is not read to its end (DI-002~1)', async () => {
    await mega.writer().publish(sealed(1), live);
    mega.set('g', { kind: 'change', change: answer => ({ ...(answer as object), s: 2 ** 40 }) });
    expect(await mega.reader().read(live)).toMatchObject({ trouble: 'oversized' });
    mega.set('dl', { kind: 'change', change: () => Buffer.alloc(FILE_BYTES_MAX + 1) });
    expect(await mega.reader().read(live)).toMatchObject({ trouble: 'oversized' });
  });

  test('a file that was replaced while it was read is read in its new form', async () => {
    await mega.writer().publish(sealed(1), live);
    mega.set('g', { kind: 'error', number: -9 });
    expect(judge(await mega.reader().read(live), open)).toMatchObject({ record: { sequence: 1 } });
    mega.set('g', { kind: 'error', number: -9 }, 100);
    expect(await mega.reader().read(live)).toMatchObject({ trouble: 'busy' });
  });

  test('bytes that were altered on the way do not authenticate', async () => {
    await mega.writer().publish(sealed(1), live);
    const flip = (bytes: unknown): Buffer => {
      const altered = Buffer.from(bytes as Buffer);
      altered[100] = (altered[100] ?? 0) ^ 1;
      return altered;
    };
    mega.set('dl', { kind: 'change', change: flip });
    expect(await mega.reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
    mega.set('dl', { kind: 'change', change: bytes => (bytes as Buffer).subarray(0, 100) });
    expect(await mega.reader().read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
  });

  test('a link with another key opens nothing', async () => {
    await mega.writer().publish(sealed(1), live);
    const wrong = parseFolderLink(`https://mega.nz/folder/${mega.home.link.handle}#0123456789012345678901`);
    if (wrong === undefined) throw new Error('not a link');
    expect(await new MegaReader(wrong, reachTo(mega.emulator)).read(live)).toMatchObject({
      trouble: 'malformed',
    });
  });

  test.each([
    'null',
    '0',
    '1',
    '"x"',
    '[]',
    '{}',
    '[null]',
    '[[]]',
    '[{}]',
    '[{"f":null}]',
    '[{"f":[]}]',
    '[{"f":[null,1,"x",{}]}]',
    '<html>',
    '',
    '[{"f":[{"h":"AAAAAAAA","t":1,"k":"AAAAAAAA:AAAA","a":"AAAA"}]}]',
    '[{"f":[{"h":"AAAAAAAA","t":1,"k":"AAAAAAAA:AAAAAAAAAAAAAAAAAAAAAA","a":"AAAA"},{"h":"BBBBBBBB","p":"AAAAAAAA","t":0,"k":"AAAAAAAA:AAAA"}]}]',
    '[{"g":"http://127.0.0.1/x","s":1}]',
    '[{"g":"file:///etc/passwd","s":1}]',
    '[{"p":"http://127.0.0.1/"}]',
    '[{"p":5}]',
  ])('nothing that Mega can say ends the process: %s (DI-001~1)', async text => {
    await mega.writer().publish(sealed(1), live);
    const reach = { ...reachTo(mega.emulator), limitMs: 250 };
    for (const command of ['f', 'g', 'u', 'p', 'd', 'ul', 'dl']) {
      mega.emulator.faults.clear();
      mega.set(command, { kind: 'text', text }, 2);
      const own = new MegaWriter(mega.home.link, { load: async () => mega.home.session }, reach);
      const answers = [
        await new MegaReader(mega.home.link, reach).read(live),
        await own.publish(sealed(2), live),
      ];
      for (const answer of answers) expect(['failed', 'file', 'published', 'absent']).toContain(answer.kind);
    }
    mega.emulator.faults.clear();
    await new Promise(resolve => setTimeout(resolve, 5));
    expect(await mega.writer().publish(sealed(3), live)).toEqual({ kind: 'published' });
  });

  test('no field of an answer, whatever it becomes, ends the process (DI-001~1)', async () => {
    await mega.writer().publish(sealed(1), live);
    const quick = { ...reachTo(mega.emulator), limitMs: 300 };
    const counts = { read: 0, failedRead: 0, published: 0, failedWrite: 0 };
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom('', 'A', 'AAAAAAAA', `AAAAAAAA:${'A'.repeat(22)}`, 0, -1, 2 ** 53, 1, 2, 9),
    );
    const where = fc.tuple(
      fc.constantFrom('f', 'ok', 'ph'),
      fc.nat(8),
      fc.constantFrom('h', 'p', 't', 'a', 'k', 's', 'ts', 'u', 'ha', 'ph', undefined),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(where, value), { minLength: 1, maxLength: 4 }), async changes => {
        const change = (answer: unknown): unknown => {
          const lists = structuredClone(answer) as Record<string, Record<string, unknown>[]>;
          for (const [[list, index, field], to] of changes) {
            const items = lists[list] ?? [];
            const item = items[index % Math.max(1, items.length)];
            if (field === undefined) lists[list] = to as never;
            else if (typeof item === 'object' && item !== null) item[field] = to;
            if (!Array.isArray(lists[list])) break;
          }
          return lists;
        };
        mega.set('f', { kind: 'change', change }, 100);
        const answer = await new MegaReader(mega.home.link, quick).read(live);
        counts[answer.kind === 'file' ? 'read' : 'failedRead'] += 1;
        const own = new MegaWriter(mega.home.link, { load: async () => mega.home.session }, quick);
        const wrote = await own.publish(sealed(2), live);
        counts[wrote.kind === 'published' ? 'published' : 'failedWrite'] += 1;
      }),
      { numRuns: 150 },
    );
    console.log(`Mega, changed answers: ${JSON.stringify(counts)}`);
    for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(0);
  });

  test('a file under a file, or under itself, does not end the process (DI-001~1)', async () => {
    await mega.writer().publish(sealed(1), live);
    await plant(mega.emulator, mega.home, sealed(2));
    for (const parent of [0, 1]) {
      const change = (answer: unknown): unknown => {
        const { f, ...rest } = answer as {
          readonly f: readonly { readonly h: string; readonly t: number }[];
        };
        const files = f.filter(({ t }) => t === 0);
        return { ...rest, f: f.map(node => (node.t === 0 ? { ...node, p: files[parent]?.h } : node)) };
      };
      mega.set('f', { kind: 'change', change }, 2);
      expect(await mega.reader().read(live)).toEqual({ kind: 'absent' });
      expect(await mega.writer().publish(sealed(3), live)).toEqual({ kind: 'published' });
    }
  });

  test('what others share with the account does not disturb (DI-001~1)', async () => {
    const add = (answer: unknown): unknown => {
      const { f, ...rest } = answer as { readonly f: readonly object[] };
      const foreign = {
        h: 'FFFFFFFF',
        p: 'EEEEEEEE',
        t: 1,
        u: 'someoneElse',
        ts: 1,
        a: 'A'.repeat(22),
        k: `someoneElse:${'A'.repeat(342)}`,
      };
      return { ...rest, f: [foreign, ...f, { ...foreign, h: 'GGGGGGGG', p: 'FFFFFFFF', t: 0, s: 5 }] };
    };
    mega.set('f', { kind: 'change', change: add }, 100);
    expect(await mega.writer().publish(sealed(1), live)).toEqual({ kind: 'published' });
  });

  test('no detail tells the key of the link, the session or the password (DI-004~1)', async () => {
    const secrets = [
      mega.home.link.text.split('#')[1] ?? '',
      mega.emulator.password,
      'master',
      JSON.parse(Buffer.from(mega.home.session).toString()).sid as string,
    ];
    for (const number of [-2, -3, -9, -11, -15, -16, -17]) {
      mega.set('f', { kind: 'error', number }, 2);
      for (const answer of [await mega.reader().read(live), await mega.writer().publish(sealed(1), live)])
        for (const secret of secrets) expect(JSON.stringify(answer)).not.toContain(secret);
    }
    expect(mega.reader().name).toBe(`https://mega.nz/folder/${mega.home.link.handle}`);
  });
});
