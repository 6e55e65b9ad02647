/** Messages that are edited, taken back, found and read backwards (spec/11-chat.md, 11.2, 11.3 and 11.5). */
import { beforeEach, describe, expect, test } from 'vitest';
import { messageKey } from './message-log.ts';
import { ANN, BOB, House, X } from './testing/house.ts';
import { quiet } from './testing/settle.ts';

let house: House;

beforeEach(async () => {
  house = await House.made();
});

describe('messages', () => {
  // CH-042~3, CH-015~2
  test('that are edited or taken back are nowhere any more', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    const first = Number(await ann.post('pasword'));
    expect(await bob.post('mine', { edits: first })).toBe('MESSAGE_UNKNOWN');
    expect(await bob.post('', { act: { kind: 'delete', cursor: first } })).toBe('MESSAGE_UNKNOWN');
    const edit = Number(await ann.post('password', { edits: first }));
    await ann.post('passphrase', { edits: first });
    expect(await ann.post('no', { edits: edit })).toBe('MESSAGE_UNKNOWN');
    const texts = (await bob.history()).map(({ cursor, text }) => (cursor === first ? `>${text}` : text));
    expect(texts).toEqual(['>passphrase', 'passphrase']);
    const [shown] = await bob.history();
    expect(shown).toMatchObject({ cursor: first, deletedBy: 0 });
    await ann.post('', { act: { kind: 'delete', cursor: first } });
    const disk = [...house.database.values.values()].map(value => new TextDecoder().decode(value)).join();
    expect(disk).not.toMatch(/pas+word|passphrase/);
    expect((await bob.history())[0]).toMatchObject({ cursor: first, text: '', room: 'lobby' });
    expect(await ann.post('again', { edits: first })).toBe('MESSAGE_UNKNOWN');
  });

  // CH-042~3
  test('that do something are neither edited nor taken back, nor is one of another room', async () => {
    const ann = house.peer(ANN, 'Ann');
    const made = Number(await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den'));
    const said = Number(await ann.post('hi'));
    for (const cursor of [made, said]) {
      expect(await ann.post('else', { edits: cursor }, 'den')).toBe('MESSAGE_UNKNOWN');
      expect(await ann.post('', { act: { kind: 'delete', cursor } }, 'den')).toBe('MESSAGE_UNKNOWN');
    }
    expect((await ann.history()).map(({ text, deletedBy }) => [text, deletedBy])).toContainEqual(['hi', 0]);
  });

  // CH-042~3
  test('that are edited have the whole content of the edit', async () => {
    const ann = house.peer(ANN, 'Ann');
    const first = Number(await ann.post('a question'));
    const reply = Number(await ann.post('an anser', { replyTo: first }));
    const shown = async (): Promise<unknown> => {
      const { text, replyTo } = (await ann.history()).find(({ cursor }) => cursor === reply) ?? {};
      return [text, replyTo];
    };
    await ann.post('an answer', { replyTo: first, edits: reply });
    expect(await shown()).toEqual(['an answer', first]);
    await ann.post('a remark', { edits: reply });
    expect(await shown()).toEqual(['a remark', undefined]);
  });

  // CH-042~3
  test('that are taken back while somebody changes them stay so', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    const first = Number(await bob.post('one', {}, 'den'));
    const edit = Number(await bob.post('two', { edits: first }, 'den'));
    // The host has read the message, and not yet its last edit.
    const get = house.database.get.bind(house.database);
    let go = (): void => {};
    const held = new Promise<void>(resolve => {
      go = resolve;
    });
    let isFirst = true;
    house.database.get = async key => {
      const value = await get(key);
      if (isFirst && key === messageKey(edit)) {
        isFirst = false;
        await held;
      }
      return value;
    };
    const editing = bob.begin('three', { edits: first }, 'den');
    await quiet();
    await ann.post('', { act: { kind: 'delete', cursor: first } }, 'den');
    go();
    await quiet();
    expect(await editing()).toBe('MESSAGE_UNKNOWN');
    const disk = [...house.database.values.values()].map(value => new TextDecoder().decode(value)).join();
    expect(disk).not.toMatch(/one|two|three/);
  });

  // CH-043~3
  test('are found once, by the text that they have now, and never once they were taken back', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    const first = Number(await ann.post('an old needle'));
    const second = Number(await ann.post('hay'));
    const third = Number(await ann.post('a needle that goes'));
    const found = async (text: string): Promise<unknown> =>
      (await bob.history('lobby', text)).map(item => [item.cursor, item.text]);
    await ann.post('a needle', { edits: second });
    const edit = Number(await ann.post('hay again', { edits: first }));
    expect(await found('hay')).toEqual([[first, 'hay again']]);
    expect(await found('old')).toEqual([]);
    await ann.post('a newer needle', { edits: first });
    await ann.post('', { act: { kind: 'delete', cursor: third } });
    expect(await found('NEEDLE')).toEqual([
      [first, 'a newer needle'],
      [second, 'a needle'],
    ]);
    // Whoever reads without searching learns of each change.
    expect((await bob.history()).map(({ cursor }) => cursor)).toContain(edit + 1);
    await ann.post('', { act: { kind: 'delete', cursor: first } });
    expect(await found('newer')).toEqual([]);
  });

  // CH-043~3
  test('are found backwards, by text, within bounds', async () => {
    const ann = house.peer(ANN, 'Ann');
    for (let n = 1; n <= 30; n += 1) await ann.post(n % 10 === 0 ? `Needle ${n}` : `hay ${n}`);
    expect((await ann.history('', 'nEEdle')).map(({ text }) => text)).toEqual([
      'Needle 10',
      'Needle 20',
      'Needle 30',
    ]);
    const page = await ann.history('lobby');
    expect(page.map(({ text }) => text).at(0)).toBe('hay 21');
    expect((await ann.history('lobby', '', page[0]?.cursor)).map(({ text }) => text).at(-1)).toBe(
      'Needle 20',
    );
    expect(await ann.history('den')).toEqual([]);
  });

  // CH-043~3: the example of 11.5
  test('are read from the newest on by who knows no cursor', async () => {
    const ann = house.peer(ANN, 'Ann');
    const cursors: unknown[] = [];
    for (const text of ['one', 'two', 'three']) cursors.push(await ann.post(text));
    await ann.replies();
    const page = async (beforeCursor: number): Promise<unknown> => {
      ann.ask({ kind: 'backwards', beforeCursor, limit: 2, room: '', search: '' });
      const reply = (await ann.replies()).find(({ kind }) => kind === 'history');
      if (reply?.kind !== 'history') throw new Error('no page');
      expect(reply.throughCursor).toBe(beforeCursor - 1);
      return [reply.places.map(({ cursor }) => cursor), reply.more, reply.fromCursor];
    };
    expect(await page(Number.MAX_SAFE_INTEGER)).toEqual([cursors.slice(1), true, cursors[1]]);
    expect(await page(Number(cursors[1]))).toEqual([cursors.slice(0, 1), false, 1]);
  });

  // CH-048~2
  test('carry the name that their sender took', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('before');
    await ann.post('', { act: { kind: 'rename', name: 'Anna' } });
    await house.open();
    const again = house.peer(ANN, 'Ann', X);
    again.ask({ kind: 'outboxReplace', outboxId: X });
    await again.post('after');
    const said = (await again.history()).map(({ name, text }) => `${name}: ${text}`);
    expect(said).toEqual(['Ann: before', 'Ann: ', 'Anna: after']);
  });
});
