/** What every store has to do, whatever it is made of (spec/07-discovery.md). One suite; each kind brings its lab. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { publishing, stepPublishing } from '../../src/discovery/publishing.ts';
import type {
  PublishAnswer,
  StoreAnswer,
  StoreReader,
  StoreTrouble,
  StoreWriter,
} from '../../src/discovery/store.ts';
import { judge } from '../../src/discovery/verdict.ts';
import { FILE_BYTES_MAX, STANDARD } from '../../src/gen/constants.ts';
import { noise, open, sealed } from './sealed.ts';

/** A store under test, with hands inside it. */
export interface StoreLab {
  /** The limit of one attempt that readers and writers of this lab were made with. */
  readonly limitMs: number;
  /** A reader and a writer that remember nothing. */
  reader(): StoreReader;
  writer(): StoreWriter;
  /** Let nothing lie there, and nothing be wrong. */
  clear(): Promise<void>;
  /** Let exactly these bytes lie there, whoever wrote them. */
  plant(bytes: Uint8Array): Promise<void>;
  /** What lies there, seen from inside. */
  peek(): Promise<readonly Uint8Array[]>;
  /** Make the store misbehave until `clear`, or say in a sentence why it cannot. */
  readonly faults: Readonly<Record<LabFault, (() => Promise<void>) | string>>;
  /** Begin a write of `bytes` and let it die `after` of its way, 0 to 1. */
  dyingWrite(bytes: Uint8Array, after: number): Promise<void>;
  /** Why this server can show half a file after that; undefined for one that cannot. */
  readonly tears?: string;
  close(): Promise<void>;
}

/** What can be wrong with a store; `cut` ends each answer in its middle. */
export type LabFault = 'slow' | 'down' | 'refused' | 'quota' | 'busy' | 'cut';

const WRITE_FAULTS: readonly (readonly [LabFault, StoreTrouble])[] = [
  ['refused', 'refused'],
  ['quota', 'quota'],
  ['busy', 'busy'],
  ['slow', 'timeout'],
  ['down', 'unreachable'],
];
const READ_FAULTS: readonly (readonly [LabFault, StoreTrouble])[] = [
  ['slow', 'timeout'],
  ['down', 'unreachable'],
  ['cut', 'unreachable'],
];

/** How much longer than its limit an attempt may take on a loaded machine. */
const SLACK_MS = 5000;
const DYING_WRITES = 8;
const RACES = 12;

/** Register the suite for one kind of store. */
export function storeBehaviour(name: string, openLab: () => Promise<StoreLab>): void {
  describe(name, () => {
    let lab: StoreLab;
    const stop = (): AbortSignal => new AbortController().signal;
    const publish = (bytes: Uint8Array, writer = lab.writer()): Promise<PublishAnswer> =>
      writer.publish(bytes, stop());
    const read = (reader = lab.reader(), unconditional = false): Promise<StoreAnswer> =>
      reader.read(stop(), { unconditional });
    const expectFile = (answer: StoreAnswer, bytes: Uint8Array): void => {
      expect(answer.kind, JSON.stringify(answer).slice(0, 200)).toBe('file');
      if (answer.kind === 'file') expect(Buffer.compare(answer.bytes, bytes)).toBe(0);
    };
    /** Set a fault, or note why it cannot be. */
    const begin = async (fault: LabFault): Promise<boolean> => {
      const set = lab.faults[fault];
      if (typeof set !== 'string') await set();
      else console.log(`${name}: ${fault} is not applicable: ${set}`);
      return typeof set !== 'string';
    };

    beforeAll(async () => {
      lab = await openLab();
    });
    afterAll(() => lab?.close());
    beforeEach(() => lab.clear());

    test('publish and read', async () => {
      const file = sealed(1);
      expect(await publish(file)).toEqual({ kind: 'published' });
      expectFile(await read(), file);
    });

    test('publish again: the new file is all that lies there', async () => {
      const [first, second] = [sealed(1), sealed(2)];
      const writer = lab.writer();
      await publish(first, writer);
      expect(await publish(second, writer)).toEqual({ kind: 'published' });
      expect((await lab.peek()).map(bytes => Buffer.compare(bytes, second))).toEqual([0]);
      expectFile(await read(), second);
    });

    test('unchanged, until it changes; unconditionally always the whole file (DI-043~1)', async () => {
      const first = sealed(1);
      const reader = lab.reader();
      await publish(first);
      expectFile(await read(reader), first);
      expect(await read(reader)).toEqual({ kind: 'unchanged' });
      expectFile(await read(reader, true), first);
      // Of one size, within one second: some servers give them one ETag, which a read without conditions does not mind.
      const second = sealed(2);
      await publish(second);
      expectFile(await read(reader, true), second);
    });

    test('absent, and then not', async () => {
      const reader = lab.reader();
      expect(await read(reader)).toEqual({ kind: 'absent' });
      const file = sealed(1);
      await publish(file);
      expectFile(await read(reader), file);
      await lab.clear();
      expect(await read(reader, true)).toEqual({ kind: 'absent' });
    });

    test.each(READ_FAULTS)('reading a store that is %s: %s (DI-001~1, DI-003~1)', async (fault, trouble) => {
      const file = sealed(1);
      await publish(file);
      const reader = lab.reader();
      if (!(await begin(fault))) return;
      const began = Date.now();
      expect(await read(reader)).toMatchObject({ kind: 'failed', trouble });
      expect(Date.now() - began).toBeLessThan(lab.limitMs + SLACK_MS);
      await lab.clear();
      await publish(file);
      expectFile(await read(reader), file);
    });

    test.each(WRITE_FAULTS)(
      'writing to a store that is %s: %s, and the old file stays (DI-001~1)',
      async (fault, trouble) => {
        const file = sealed(1);
        await lab.plant(file);
        if (!(await begin(fault))) return;
        const answer = await publish(sealed(2));
        expect(answer).toMatchObject({ kind: 'failed', trouble });
        expect((await lab.peek()).map(bytes => Buffer.compare(bytes, file))).toEqual([0]);
      },
    );

    test('oversized: not read beyond the limit, not written (DI-002~1)', async () => {
      const largest = noise(FILE_BYTES_MAX);
      await lab.plant(largest);
      expectFile(await read(), largest);
      expect(await publish(noise(FILE_BYTES_MAX + 1))).toMatchObject({
        kind: 'failed',
        trouble: 'oversized',
      });
      expect((await lab.peek()).map(bytes => bytes.length)).toEqual([FILE_BYTES_MAX]);
      await lab.plant(noise(FILE_BYTES_MAX + 1));
      expect(await read()).toMatchObject({ kind: 'failed', trouble: 'oversized' });
      expect(await publish(largest)).toEqual({ kind: 'published' });
      expectFile(await read(), largest);
    });

    test('stale: what was put back is read back, and not taken for what was published (DI-022~1)', async () => {
      const [old, current] = [sealed(1), sealed(2)];
      await publish(current);
      await lab.plant(old);
      const verdict = judge(await read(lab.reader(), true), open);
      expect(verdict).toMatchObject({ kind: 'record', record: { sequence: 1 } });
      const now = { wall: 0, mono: 0 };
      const record = open(current);
      if ('kind' in record) throw new Error(record.detail);
      const publication = { record, bytes: current };
      const [surveyed] = stepPublishing(
        publishing([true], STANDARD.STORE_READ_AGAIN_MS),
        { kind: 'surveyed', store: 0 },
        now,
      );
      const [writing] = stepPublishing(surveyed, { kind: 'publish', publication }, now);
      const [reading] = stepPublishing(
        writing,
        { kind: 'wrote', store: 0, attempt: 1, answer: { kind: 'published' }, entropy: 0 },
        now,
      );
      const [, outputs] = stepPublishing(
        reading,
        { kind: 'read', store: 0, attempt: 2, verdict, entropy: 0 },
        now,
      );
      expect(outputs).toMatchObject([{ kind: 'failed', failure: { trouble: 'busy' } }]);
    });

    test.each([
      ['garbage', (): Uint8Array => noise(4096)],
      ['truncated', (): Uint8Array => sealed(1).subarray(0, 1000)],
      ['empty', (): Uint8Array => new Uint8Array()],
    ])('%s: handed over as it is, and then refused', async (_what, make) => {
      const bytes = make();
      await lab.plant(bytes);
      const answer = await read();
      // A store may also say at once that an empty file is none.
      if (bytes.length === 0 && answer.kind === 'absent') return;
      expectFile(answer, bytes);
      expect(judge(answer, open)).toMatchObject({ kind: 'invalid' });
      const file = sealed(2);
      expect(await publish(file)).toEqual({ kind: 'published' });
      expect(judge(await read(lab.reader(), true), open)).toMatchObject({
        kind: 'record',
        record: { sequence: 2 },
      });
    });

    test('two writers: in the end one of the two files, whole', async () => {
      for (let race = 0; race < RACES; race += 1) {
        const files = [sealed(race * 2 + 1), sealed(race * 2 + 2)];
        const answers = await Promise.all(files.map(file => publish(file)));
        expect(answers.some(({ kind }) => kind === 'published')).toBe(true);
        const verdict = judge(await read(lab.reader(), true), open);
        expect(verdict.kind, JSON.stringify(verdict).slice(0, 200)).toBe('record');
        if (verdict.kind === 'record')
          expect(files.some(file => Buffer.compare(file, verdict.bytes) === 0)).toBe(true);
      }
    });

    test('a write that dies in its middle leaves the old file or the new one, whole', async () => {
      const old = noise();
      const counts = { old: 0, new: 0, torn: 0 };
      for (let n = 0; n < DYING_WRITES; n += 1) {
        await lab.plant(old);
        const next = noise();
        await lab.dyingWrite(next, n / (DYING_WRITES - 1));
        for (const bytes of await lab.peek()) {
          const isOld = Buffer.compare(bytes, old) === 0;
          const isNew = Buffer.compare(bytes, next) === 0;
          if (lab.tears === undefined) expect(isOld || isNew).toBe(true);
          counts[isOld ? 'old' : isNew ? 'new' : 'torn'] += 1;
        }
        const answer = await read(lab.reader(), true);
        expect(answer.kind).toBe('file');
      }
      console.log(`${name}: dying writes left ${counts.old} old, ${counts.new} new, ${counts.torn} torn`);
      if (counts.torn > 0) console.log(`${name}: ${lab.tears}`);
      expect(counts.old).toBeGreaterThan(0);
      const file = sealed(1);
      expect(await publish(file)).toEqual({ kind: 'published' });
      expect((await lab.peek()).map(bytes => Buffer.compare(bytes, file))).toEqual([0]);
    });

    test('what nobody wants any more ends soon (DI-003~1)', async () => {
      await publish(sealed(1));
      const before = new AbortController();
      before.abort();
      expect(await lab.reader().read(before.signal)).toMatchObject({ kind: 'failed', trouble: 'cancelled' });
      expect(await lab.writer().publish(sealed(2), before.signal)).toMatchObject({ trouble: 'cancelled' });
      if (!(await begin('slow'))) return;
      const during = new AbortController();
      const began = Date.now();
      const reading = lab.reader().read(during.signal);
      setTimeout(() => during.abort(), 20);
      expect(await reading).toMatchObject({ kind: 'failed', trouble: 'cancelled' });
      expect(Date.now() - began).toBeLessThan(lab.limitMs);
    });

    test('the names tell no credential (DI-004~1)', () => {
      expect(lab.reader().name).not.toMatch(/secret|@|\?|#/i);
      expect(lab.writer().name).not.toMatch(/secret|@|\?|#/i);
    });
  });
}
