import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlProgram } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { RequestBody, RequestInit, ResponseInit } from './control.ts';
import { attach } from './control-client.ts';
import { failure } from './failure.ts';
import { createLog } from './log.ts';
import { native } from './native.ts';
import { attachOrOwn, type DirectoryOptions, type Owner, type Wish } from './owner.ts';
import { OwnerLink } from './owner-link.ts';
import { openStore } from './store.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-owner-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const IDENTITY = { program: ControlProgram.CLIENT, version: '1', schema: 1 };
const STATUS: RequestInit = { case: 'status', value: {} };
const send = (text: string): RequestInit => ({ case: 'send', value: { text } });

let directory = root;
let count = 0;
/** What owners were asked, over all of them, in order. */
let asked: string[] = [];
let answering = true;
/** The owners that are open. */
let open: Owner[] = [];
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  count += 1;
  directory = join(root, String(count));
  asked = [];
  answering = true;
  open = [];
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Owns a real database, so that the lock is real. */
async function openOwner(): Promise<Owner> {
  const store = await openStore({ directory, program: 'client', suite: native });
  const owner: Owner = {
    answer: (request, signal) => answerTo(request, signal),
    close: async () => {
      open = open.filter(one => one !== owner);
      await store.close();
    },
  };
  open.push(owner);
  return owner;
}

function answerTo(
  request: RequestBody,
  signal: AbortSignal,
): Promise<ResponseInit> | AsyncIterable<ResponseInit> {
  if (request.case === 'listen') return numbers(Number(request.value.afterCursor), signal);
  if (request.case === 'send') asked.push(request.value.text);
  if (request.case === 'send' && request.value.text === 'bad')
    return Promise.reject(failure(ErrorCode.ROOM_UNKNOWN, 'x'));
  const answer: ResponseInit = { case: 'sent', value: { cursor: BigInt(asked.length) } };
  return answering ? Promise.resolve(answer) : new Promise(() => {});
}

/** Cursors without end, in items of one, a few a turn. */
async function* numbers(after: number, signal: AbortSignal): AsyncGenerator<ResponseInit> {
  for (let cursor = after + 1; !signal.aborted; cursor += 1) {
    yield { case: 'items', value: { items: [{ cursor: BigInt(cursor) }] } };
    await new Promise(resolve => setImmediate(resolve));
  }
}

const options = (more: Partial<DirectoryOptions> = {}): DirectoryOptions => ({
  directory,
  identity: IDENTITY,
  suite: native,
  open: openOwner,
  ...more,
});

async function link(more: Partial<DirectoryOptions> = {}, wish?: Wish): Promise<OwnerLink> {
  const opened = await OwnerLink.open(options(more), wish);
  cleanups.push(() => opened.close());
  return opened;
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(resolve => setImmediate(resolve));
};

describe('one directory, one owner', () => {
  // CT-014~1
  test('the first owns, the others attach, and all are answered by the one', async () => {
    const links = await Promise.all(Array.from({ length: 10 }, () => link()));
    expect(links.filter(one => one.owning)).toHaveLength(1);
    expect(open).toHaveLength(1);
    await Promise.all(links.map((one, i) => one.call(send(String(i)))));
    expect([...asked].sort()).toEqual(Array.from({ length: 10 }, (_, i) => String(i)).sort());
  });

  test('whoever works through another process logs which, and what it asks; the owner itself does not', async () => {
    const lines: string[] = [];
    const log = createLog({ level: 'debug', style: 'json', write: line => lines.push(line), now: () => 0 });
    const owner = await link({ log });
    await owner.call(send('from the owner'));
    expect(lines).toEqual([]);
    const other = await link({ log });
    await other.call(STATUS);
    await other.call(send('good'));
    await other.call(send('bad')).catch(() => undefined);
    for await (const _ of other.stream({ case: 'listen', value: {} }, () => STATUS)) break;
    const said = lines.map(line => JSON.parse(line) as Record<string, unknown>);
    expect(said.map(({ event, what, pid }) => [event, what ?? pid])).toEqual([
      ['owner-attached', process.pid],
      ['owner-asked', 'send'],
      ['owner-answered', 'send'],
      ['owner-asked', 'send'],
      ['owner-refused', 'send'],
      ['owner-asked', 'listen'],
    ]);
    expect(lines.join()).not.toContain('good');
  });

  test('whoever asks to attach finds an owner or is told that there is none', async () => {
    await expect(OwnerLink.open(options({ timeoutMs: 50 }), 'attach')).rejects.toMatchObject({
      code: ErrorCode.OWNER_LOST,
    });
    expect(open).toHaveLength(0);
    const identity = { ...IDENTITY, program: ControlProgram.HOST };
    const told = (): Promise<unknown> =>
      OwnerLink.open(options({ timeoutMs: 50, identity }), 'attach').catch(error => error);
    const nothing = `nothing runs on ${directory}`;
    expect(String(await told())).toContain(`${nothing}, and there is no such directory: --data names it`);
    mkdirSync(directory, { mode: 0o700 });
    expect(String(await told())).toContain(`${nothing}; to start it: \`clawchatd\``);
    await link();
    expect((await link({}, 'attach')).owning).toBe(false);
  });

  test('whoever has to own is told that a resident has it, and waits for a command to finish', async () => {
    const resident = await link({ resident: true }, 'own');
    await expect(attachOrOwn(options(), 'own')).rejects.toMatchObject({
      code: ErrorCode.DIRECTORY_LOCKED,
      message: expect.stringContaining(`process ${process.pid}`),
    });
    const identity = { ...IDENTITY, program: ControlProgram.HOST };
    await resident.close();
    const host = await link({ resident: true, identity }, 'own');
    await expect(attachOrOwn(options({ identity }), 'own')).rejects.toMatchObject({
      message: expect.stringContaining('; to stop it: `clawchatd stop`'),
    });
    await host.close();
    const command = await link();
    const waiting = link({ resident: true }, 'own');
    await command.close();
    expect((await waiting).owning).toBe(true);
  });

  test('what fails to open is told as it is', async () => {
    const broken = () => Promise.reject(failure(ErrorCode.STORE_DAMAGED, 'broken'));
    await expect(OwnerLink.open(options({ open: broken }))).rejects.toMatchObject({
      code: ErrorCode.STORE_DAMAGED,
    });
  });

  // CT-014~1
  test('an owner that nobody can reach is named as the reason, in time', async () => {
    const store = await openStore({ directory, program: 'client', suite: native });
    cleanups.push(() => store.close());
    const locked = { code: ErrorCode.DIRECTORY_LOCKED };
    await expect(OwnerLink.open(options({ timeoutMs: 100 }))).rejects.toMatchObject(locked);
    const mute = createServer(socket => socket.resume()).listen(join(directory, 'control.sock'));
    cleanups.push(async () => mute.close());
    await expect(OwnerLink.open(options({ timeoutMs: 100 }))).rejects.toMatchObject(locked);
  });

  test('the other program is refused while it is owned', async () => {
    await link();
    const identity = { ...IDENTITY, program: ControlProgram.HOST };
    await expect(OwnerLink.open(options({ identity }))).rejects.toMatchObject({ code: ErrorCode.USAGE });
  });
});

describe('when the owner goes', () => {
  // CT-041~3
  test('the next takes over and is asked what was not answered, in order, and nothing else', async () => {
    const first = await link();
    const second = await link();
    await second.call(send('answered'));
    answering = false;
    const texts = Array.from({ length: 200 }, (_, i) => `m${i}`);
    const calls = texts.map(text => second.call(send(text)));
    await until(() => asked.length > 60);
    asked = [];
    answering = true;
    await first.close();
    await Promise.all(calls);
    expect(second.owning).toBe(true);
    expect(asked).toEqual(texts);
  });

  // CT-041~3
  test('errors of the owner are final, and a stop is not asked again', async () => {
    const first = await link();
    const second = await link();
    await expect(second.call(send('bad'))).rejects.toMatchObject({ code: ErrorCode.ROOM_UNKNOWN });
    answering = false;
    const stop = second.call({ case: 'stop', value: {} });
    const status = second.call(STATUS);
    const outcome = stop.catch((error: unknown) => error);
    answering = true;
    await first.close();
    expect(await outcome).toMatchObject({ code: ErrorCode.OWNER_LOST });
    expect(await status).toMatchObject({ case: 'sent' });
  });

  test('streams go on behind what was read, through many owners', async () => {
    const reader = await link();
    let owners = 1;
    const cursors: number[] = [];
    const helpers: OwnerLink[] = [];
    const stop = new AbortController();
    // The reader attaches to others: it lets go of the directory itself once.
    await reader.close();
    helpers.push(await link());
    const second = await link();
    const resume = (): RequestInit => ({
      case: 'listen',
      value: { afterCursor: BigInt(cursors.at(-1) ?? 0) },
    });
    for await (const body of second.stream(resume(), resume, stop.signal)) {
      if (body.case === 'items') cursors.push(...body.value.items.map(item => Number(item.cursor)));
      if (cursors.length % 20 === 0 && !second.owning) {
        const next = await link();
        await helpers.at(-1)?.close();
        helpers.push(next);
        owners += 1;
      }
      if (cursors.length >= 200) break;
    }
    expect(cursors).toEqual(Array.from({ length: cursors.length }, (_, i) => i + 1));
    expect(owners).toBeGreaterThan(1);
  });

  test('a link that finds nobody says so, and finds the next one when there is one', async () => {
    const first = await link();
    const second = await link({ timeoutMs: 60 }, 'attach');
    await first.close();
    await expect(second.call(STATUS)).rejects.toMatchObject({ code: ErrorCode.OWNER_LOST });
    await link();
    expect(await second.call(STATUS)).toMatchObject({ case: 'sent' });
  });

  test('who cancels while there is no owner need not wait for one', async () => {
    const first = await link();
    const second = await link({ timeoutMs: 60_000 }, 'attach');
    await first.close();
    const abort = new AbortController();
    const listen: RequestInit = { case: 'listen', value: {} };
    const outcomes = [
      second.call(STATUS, abort.signal),
      second.stream(listen, () => listen, abort.signal).next(),
    ].map(one => one.catch((error: unknown) => error));
    await new Promise(resolve => setTimeout(resolve, 20));
    abort.abort();
    outcomes.push(second.call(STATUS, abort.signal).catch((error: unknown) => error));
    for (const outcome of outcomes) expect(await outcome).toMatchObject({ code: ErrorCode.CANCELLED });
    // The search goes on for whoever else may ask; an owner ends it.
    const third = await link();
    expect(await second.call(STATUS)).toMatchObject({ case: 'sent' });
    // And so does closing.
    await third.close();
    const waiting = second.call(STATUS).catch((error: unknown) => error);
    await second.close();
    expect(await waiting).toMatchObject({ code: ErrorCode.CANCELLED });
  });

  // CT-010~1
  test('a closed link answers nothing and holds nothing', async () => {
    const only = await link();
    answering = false;
    const waiting = only.call(STATUS).catch((error: unknown) => error);
    await only.close();
    await only.close();
    expect(await waiting).toMatchObject({ code: ErrorCode.CANCELLED });
    await expect(only.call(STATUS)).rejects.toMatchObject({ code: ErrorCode.CANCELLED });
    expect(open).toHaveLength(0);
    expect(
      await attach({ path: join(directory, 'control.sock'), identity: IDENTITY, timeoutMs: 100 }),
    ).toBeUndefined();
    await (await openStore({ directory, program: 'client', suite: native })).close();
  });
});
