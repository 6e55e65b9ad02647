import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogFile } from './log-file.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const path = (): string => join(directory, 'host.log');
const read = (name: string): string => readFileSync(join(directory, name), 'utf8');

test('a file never grows beyond its bound, and neither does their number', () => {
  const log = new LogFile({ path: path(), bytesMax: 100, filesMax: 3 });
  for (let i = 0; i < 50; i += 1) log.write(`line ${String(i).padStart(2, '0')} ..........\n`);
  log.close();
  expect(readdirSync(directory).sort()).toEqual(['host.log', 'host.log.1', 'host.log.2']);
  for (const name of readdirSync(directory))
    expect(statSync(join(directory, name)).size).toBeLessThanOrEqual(100);
  // The newest are kept, in order, none twice.
  const kept = ['host.log.2', 'host.log.1', 'host.log'].flatMap(name => read(name).trim().split('\n'));
  const last = kept.map(line => Number(line.slice(5, 7)));
  expect(last).toEqual(Array.from({ length: last.length }, (_, i) => 50 - last.length + i));
});

test('one file alone begins anew', () => {
  const log = new LogFile({ path: path(), bytesMax: 10, filesMax: 1 });
  for (const line of ['first\n', 'second\n', 'third\n']) log.write(line);
  log.close();
  expect(readdirSync(directory)).toEqual(['host.log']);
  expect(read('host.log')).toBe('third\n');
});

test('goes on behind what is there, for its owner alone', () => {
  for (const line of ['one\n', 'two\n']) {
    const log = new LogFile({ path: path(), bytesMax: 100, filesMax: 2 });
    log.write(line);
    log.close();
  }
  expect(read('host.log')).toBe('one\ntwo\n');
  expect(statSync(path()).mode & 0o777).toBe(0o600);
});

test('writes to a new file after it was moved away and opened again', () => {
  const log = new LogFile({ path: path(), bytesMax: 100, filesMax: 2 });
  log.write('before\n');
  renameSync(path(), join(directory, 'moved'));
  log.write('between\n');
  expect(existsSync(path())).toBe(false);
  log.reopen();
  log.write('after\n');
  log.close();
  expect([read('moved'), read('host.log')]).toEqual(['before\nbetween\n', 'after\n']);
});

test('several writers share one file and its predecessors, and lose no line', () => {
  const where = { path: path(), bytesMax: 100, filesMax: 100 };
  const writers = Array.from({ length: 3 }, () => new LogFile(where));
  for (let i = 0; i < 100; i += 1) writers[i % 3]?.write(`line ${String(i).padStart(2, '0')}\n`);
  for (const writer of writers) writer.close();
  const names = readdirSync(directory);
  for (const name of names) expect(statSync(join(directory, name)).size).toBeLessThanOrEqual(100);
  const numberOf = (name: string): number => Number(name.split('.')[2] ?? 0);
  const kept = names.sort((a, b) => numberOf(b) - numberOf(a)).flatMap(name => read(name).trim().split('\n'));
  expect(kept.map(line => Number(line.slice(5)))).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

test('goes on writing while another rotates, and rotates itself when that one has died', () => {
  const log = new LogFile({ path: path(), bytesMax: 10, filesMax: 2 });
  mkdirSync(`${path()}.lock`);
  for (const line of ['first\n', 'second\n']) log.write(line);
  expect(read('host.log')).toBe('first\nsecond\n');
  const long = new Date(Date.now() - 60_000);
  utimesSync(`${path()}.lock`, long, long);
  log.write('third\n');
  log.close();
  expect(readdirSync(directory).sort()).toEqual(['host.log', 'host.log.1']);
  expect(read('host.log')).toBe('third\n');
});

test('says why it cannot be opened', () => {
  expect(() => new LogFile({ path: directory, bytesMax: 100, filesMax: 2 })).toThrow(
    /cannot be written \(EISDIR\)/,
  );
});
