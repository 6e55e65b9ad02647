import { describe, expect, test } from 'vitest';
import { createLog, type Log, type LogFields, type LogLevel, openingLog } from './log.ts';

const NOW = Date.UTC(2026, 10, 23, 12, 30, 15);

function logTo(lines: string[], style: 'human' | 'json', level: LogLevel = 'debug'): Log {
  return createLog({ level, style, write: line => void lines.push(line), now: () => NOW });
}

function jsonOf(fields: LogFields): Record<string, unknown> {
  const lines: string[] = [];
  logTo(lines, 'json').info('something-happened', fields);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]*\n$/);
  return JSON.parse(lines[0] ?? '');
}

describe('the log', () => {
  test('writes one line of JSON an entry', () => {
    const fields = {
      port: 50_000,
      name: 'a\nb',
      live: true,
      none: null,
      skipped: undefined,
      big: 2n ** 60n,
      list: ['a', 1],
    };
    expect(jsonOf(fields)).toEqual({
      at: '2026-11-23T12:30:15.000Z',
      level: 'info',
      event: 'something-happened',
      port: 50_000,
      name: 'a\nb',
      live: true,
      none: null,
      big: '1152921504606846976',
      list: ['a', 1],
    });
  });

  test('writes one line for people, in which nothing can move the cursor', () => {
    const lines: string[] = [];
    logTo(lines, 'human').warn('device-named', {
      name: 'x\n\u001b[2J\u009b2J\u202e',
      port: 1,
      text: 'a b',
      empty: '',
    });
    expect(lines).toEqual([
      '12:30:15 WARN  device-named name="x\\n\\u001b[2J\\u009b2J\\u202e" port=1 text="a b" empty=""\n',
    ]);
  });

  test('leaves out what is below its level', () => {
    const lines: string[] = [];
    const log = logTo(lines, 'human', 'warn');
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines.map(line => line.split(/ +/)[2]?.trim())).toEqual(['c', 'd']);
  });

  test('adds the fields it was given, and an entry may override them', () => {
    const lines: string[] = [];
    const log = logTo(lines, 'json').with({ path: 1, peer: 'x' });
    log.with({ session: 's' }).info('a', { path: 2 });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ path: 2, peer: 'x', session: 's' });
  });

  test('never shows bytes, in whatever form they get past the types', () => {
    const key = new Uint8Array(32).fill(0xab);
    const fields = {
      a: key,
      b: Buffer.from(key),
      c: key.buffer,
      d: { key },
      e: new DataView(key.buffer),
      f: () => key,
    };
    const seen = jsonOf(fields as unknown as LogFields);
    expect(seen).toMatchObject({
      a: '[32 bytes]',
      b: '[32 bytes]',
      c: '[32 bytes]',
      d: '[object]',
      e: '[32 bytes]',
      f: '[object]',
    });
    expect(JSON.stringify(seen)).not.toMatch(/ab{2}|171/);
  });

  test.each([
    'secret',
    'deviceSecret',
    'psk',
    'passphrase',
    'PASSWORD',
    'invite',
    'inviteText',
    'token',
    'privateKey',
    'accessKey',
    'gate_key',
  ])('never shows what is called %s', name => {
    const hidden = 'clawchat1qqqq';
    const seen = jsonOf({ [name]: hidden });
    expect(JSON.stringify(seen)).not.toContain(hidden);
  });

  test.each(['invites', 'invite_id', 'inviteId', 'key', 'name', 'publicKey'])(
    'shows what is called %s',
    name => {
      expect(jsonOf({ [name]: 'plain' })).toMatchObject({ [name]: 'plain' });
    },
  );

  test('shows the messages of an error and its causes, cut, without stacks', () => {
    const error = new Error('cannot listen', { cause: new Error('EADDRINUSE') });
    expect(jsonOf({ error })).toMatchObject({ error: 'cannot listen: EADDRINUSE' });
    expect(jsonOf({ text: 'x'.repeat(600) })).toMatchObject({ text: `${'x'.repeat(512)}... (88 more)` });
  });

  test('keeps its own names from being overwritten', () => {
    expect(jsonOf({ level: 'x', at: 'y', event: 'z' })).toMatchObject({
      level: 'info',
      level_: 'x',
      event_: 'z',
      at_: 'y',
    });
  });
});

describe('the log of a program that begins with words for people', () => {
  function opened(
    isTTY: boolean,
    level: LogLevel = 'info',
  ): { lines: string[] } & ReturnType<typeof openingLog> {
    const lines: string[] = [];
    const write = (text: string | Uint8Array): boolean => lines.push(String(text)) > 0;
    return { lines, ...openingLog(level, undefined, { isTTY, write }) };
  }

  test('comes behind them on a terminal, but for what is urgent', () => {
    const { lines, log, begin } = opened(true);
    log.info('first');
    log.warn('urgent');
    expect(lines.map(line => line.slice(9))).toEqual(['WARN  urgent\n']);
    begin();
    log.info('second');
    expect(lines.map(line => line.slice(9))).toEqual(['WARN  urgent\n', 'INFO  first\n', 'INFO  second\n']);
  });

  test('comes at once to a supervisor, and to whoever asks for everything', () => {
    const journal = opened(false);
    journal.log.info('first');
    expect(journal.lines).toHaveLength(1);
    expect(JSON.parse(journal.lines[0] ?? '')).toMatchObject({ event: 'first' });
    const debug = opened(true, 'debug');
    debug.log.info('first');
    expect(debug.lines).toHaveLength(1);
  });

  test('keeps back a bounded number of lines', () => {
    const { lines, log } = opened(true);
    for (let count = 0; count < 1000; count += 1) log.info('again');
    expect(lines).toHaveLength(1000);
  });
});
