import { expect, test } from 'vitest';
import { situation } from './situation.ts';
import { freshStore, reportOf, type Standing } from './standing.ts';

const reports = (...standings: readonly Standing[]): ReturnType<typeof reportOf>[] =>
  standings.map((standing, at) => reportOf({ ...freshStore(String(at)), standing }));
const OFF = { isConnected: false, hasRecord: true };
const ON = { isConnected: true, hasRecord: true };

test('each row of the table has its words (DI-038~1)', () => {
  expect(situation(reports('failing', 'failing'), OFF)).toMatch(/on the network\?.*by itself/);
  expect(situation(reports('failing'), { ...OFF, hasRecord: false })).toMatch(
    /nobody says where the host is/,
  );
  expect(situation(reports('failing', 'failing'), ON)).toMatch(/no store answers, and the host does/);
  expect(situation(reports('behind', 'failing'), OFF)).toMatch(/off, or cannot publish/);
  expect(situation(reports('current', 'current'), OFF)).toMatch(/off, or cannot publish/);
  expect(situation(reports('foreign', 'foreign'), OFF)).toMatch(/it was revoked, unless.*new invite/);
  expect(situation(reports('foreign'), { ...OFF, hasRecord: false })).toMatch(/never let in.*used up/);
  expect(situation(reports('absent'), { ...OFF, hasRecord: false })).toMatch(/never started/);
  expect(situation(reports('absent', 'absent'), OFF)).toMatch(
    /where this machine cannot read.*new invite file/,
  );
  expect(situation(reports('unusable'), OFF)).toMatch(/update/);
  expect(situation(reports('lying', 'current'), ON)).toMatch(/lies: tell the operator/);
  expect(situation(reports('stale', 'current'), ON)).toMatch(/frozen/);
  expect(situation(reports('lying', 'failing'), OFF)).toMatch(/lies.*off, or cannot publish/);
  expect(situation([], OFF)).toMatch(/no store is known/);
});

test('while all is well, or nothing is known yet, there is nothing to say', () => {
  expect(situation(reports('current', 'unknown'), ON)).toBeUndefined();
  expect(situation(reports('behind', 'current'), ON)).toBeUndefined();
  expect(situation(reports('unknown', 'failing'), OFF)).toBeUndefined();
  expect(situation([], ON)).toBeUndefined();
});
