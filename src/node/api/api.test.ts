/** The public interface as a program uses it: hosts and clients of one process, over real sockets and directories. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as api from '../../index.ts';
import {
  type Channel,
  ClawChatError,
  type Client,
  connect,
  ErrorCode,
  type Host,
  serve,
} from '../../index.ts';
import type { ServeOptions } from './serve.ts';

/** Messages of 64 KiB: 64 MiB. */
const COUNT = 1024;
/** What a stream may hold for a reader that does not read, on both sides together. */
const UNREAD_BYTES_MAX = 24 * 1024 * 1024;

let root: string;
const open: { close(): Promise<void> }[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'clawchat-api-'));
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  rmSync(root, { recursive: true });
});

async function host(options: Partial<ServeOptions> = {}): Promise<Host> {
  const made = await serve({ directory: join(root, 'host'), listen: '127.0.0.1', ...options });
  open.push(made);
  return made;
}

async function client(of: Host, name: string, inDirectory = true): Promise<Client> {
  const { text, file } = await of.invite({ name });
  const made = await connect(inDirectory ? { directory: join(root, name), invite: text } : { invite: file });
  open.push(made);
  return made;
}

async function texts(of: Client, count: number, after = 0): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, text } of of.listen({ after })) {
    found.push(`${name}: ${text}`);
    if (found.length >= count) break;
  }
  return found;
}

const refused = (code: ErrorCode): unknown =>
  expect.objectContaining({
    name: 'ClawChatError',
    code,
    message: expect.stringContaining(api.codeName(code)),
  });

test('exports what it says, and nothing else', () => {
  expect(Object.keys(api).sort()).toEqual(['ClawChatError', 'ErrorCode', 'codeName', 'connect', 'serve']);
});

test('two data directories talk, read the history, and are listed', async () => {
  const home = await host();
  const [ann, bob] = [await client(home, 'Ann'), await client(home, 'Bob')];
  const heard = texts(bob, 2);
  const first = await ann.send('hello', { id: 'AB'.repeat(16) });
  expect(first).toEqual({ cursor: expect.any(Number), id: 'ab'.repeat(16) });
  const { cursor } = await bob.send('hi', { replyTo: first.cursor });
  // Sent again with its id, it is the same message.
  expect(await ann.send('hello', { id: 'ab'.repeat(16) })).toEqual(first);
  expect(await heard).toEqual(['Ann: hello', 'Bob: hi']);

  const { messages, more } = await ann.history({ limit: 1, after: first.cursor });
  expect({ messages, more }).toEqual({
    more: false,
    messages: [
      {
        cursor,
        room: 'lobby',
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        device: (await bob.status()).device,
        person: expect.stringMatching(/^[0-9a-f]{32}$/),
        name: 'Bob',
        sentAtMs: expect.any(Number),
        storedAtMs: expect.any(Number),
        text: 'hi',
        act: undefined,
        replyTo: first.cursor,
        edits: undefined,
        edited: false,
        deleted: false,
      },
    ],
  });
  expect(await ann.status()).toMatchObject({
    joined: true,
    server: home.server,
    name: 'Ann',
    link: 'connected',
    unacknowledged: 0,
  });
  expect((await home.devices()).map(({ name, connected }) => ({ name, connected }))).toEqual([
    { name: 'Ann', connected: true },
    { name: 'Bob', connected: true },
  ]);
});

test('a client in memory goes on from its identity, and the host sees the same device', async () => {
  const alarms: string[] = [];
  const home = await host({ log: line => alarms.push(line) });
  const bot = await client(home, 'Bot', false);
  await bot.send('one');
  const before = await bot.status();
  await bot.close();
  const again = await connect({ identity: bot.identity() });
  open.push(again);
  expect(await again.status()).toMatchObject({ device: before.device, name: 'Bot', joined: true });
  await again.send('two');
  expect(await texts(again, 2)).toEqual(['Bot: one', 'Bot: two']);
  expect(alarms).toEqual([]);
});

test('a host that was away is found again, and what was sent meanwhile arrives once', async () => {
  const home = await host();
  const ann = await client(home, 'Ann');
  await ann.send('one');
  await home.close();
  const waiting = ann.send('two');
  const back = await host();
  expect(back.server).toBe(home.server);
  await waiting;
  expect(await texts(ann, 2)).toEqual(['Ann: one', 'Ann: two']);
});

test('a directory serves several clients at once, and the next takes over', async () => {
  const home = await host();
  const ann = await client(home, 'Ann');
  const beside = await connect({ directory: join(root, 'Ann') });
  open.push(beside);
  await expect(beside.open('echo')).rejects.toEqual(refused(ErrorCode.DIRECTORY_LOCKED));
  await beside.send('attached');
  await ann.close();
  await beside.send('owning');
  expect(await texts(beside, 2)).toEqual(['Ann: attached', 'Ann: owning']);
});

describe('services of the program', () => {
  test('messages of any size come back, each once and in order', async () => {
    const home = await host({
      services: {
        echo: async (channel, peer) => {
          await channel.send(new TextEncoder().encode(peer.name));
          for await (const message of channel) await channel.send(message);
        },
      },
    });
    const ann = await client(home, 'Ann', false);
    const channel = await ann.open('echo');
    const sizes = [1, 70_000, 1_048_576, ...Array.from({ length: 200 }, (_, index) => 20_000 + index)];
    const reading = read(channel, sizes.length + 1);
    for (const [index, size] of sizes.entries()) await channel.send(new Uint8Array(size).fill(index));
    const [greeting, ...back] = await reading;
    expect(new TextDecoder().decode(greeting)).toBe('Ann');
    expect(back.map(message => [message.length, message[0]])).toEqual(
      sizes.map((size, index) => [size, index % 256]),
    );
    await expect(channel.send(new Uint8Array(0))).rejects.toEqual(refused(ErrorCode.MESSAGE_TOO_LARGE));
    await expect(channel.send(new Uint8Array(1_048_577))).rejects.toEqual(
      refused(ErrorCode.MESSAGE_TOO_LARGE),
    );
    channel.close();
    await expect(channel.send(new Uint8Array(1))).rejects.toEqual(refused(ErrorCode.CANCELLED));
  });

  test('a service that returns closes the channel; one that throws ends it, is logged, and ends nothing else', async () => {
    const log: string[] = [];
    const home = await host({
      log: line => log.push(line),
      services: {
        once: channel => channel.send(new Uint8Array([7])),
        broken: () => {
          throw new Error('a fault of the service');
        },
      },
    });
    const ann = await client(home, 'Ann', false);
    expect(await read(await ann.open('once'))).toEqual([new Uint8Array([7])]);
    await expect(read(await ann.open('broken'))).rejects.toEqual(refused(ErrorCode.INTERNAL));
    expect(log.join('\n')).toContain('a fault of the service');
    // BE-001~1: the bench too, which nobody has switched on.
    for (const name of ['missing', 'bench.v1'])
      await expect(read(await ann.open(name))).rejects.toEqual(refused(ErrorCode.SERVICE_UNKNOWN));
    await ann.send('still here');
  });

  test('whoever does not read stops the writer, and gets everything once they read', async () => {
    let release = (): void => {};
    const released = new Promise<void>(resolve => {
      release = resolve;
    });
    const taken: number[] = [];
    const home = await host({
      services: {
        late: async channel => {
          await released;
          for await (const message of channel) {
            taken.push(message[0] ?? 0);
            if (taken.length === COUNT) await channel.send(new Uint8Array(1));
          }
        },
      },
    });
    const ann = await client(home, 'Ann', false);
    const channel = await ann.open('late');
    let sent = 0;
    const sending = (async () => {
      for (; sent < COUNT; sent += 1) await channel.send(new Uint8Array(65_536).fill(sent));
    })();
    // It has stopped when it stands still for a while; more than the bound it never sends.
    for (let before = -1; before !== sent; ) {
      before = sent;
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
    expect(sent * 65_536).toBeLessThan(UNREAD_BYTES_MAX);
    release();
    await sending;
    await read(channel, 1);
    expect(taken).toEqual(Array.from({ length: COUNT }, (_, index) => index % 256));
  });

  test("a service's channel ends with its host", async () => {
    const ended: unknown[] = [];
    const home = await host({
      services: {
        wait: async channel => {
          await channel.send(new Uint8Array(1));
          await read(channel).catch(why => ended.push(why));
        },
      },
    });
    const ann = await client(home, 'Ann', false);
    const channel = await ann.open('wait');
    await read(channel, 1);
    await home.close();
    await expect.poll(() => ended).toEqual([refused(ErrorCode.SESSION_LOST)]);
    await expect(home.closed).resolves.toBeUndefined();
  });

  test('a channel ends with its device', async () => {
    const home = await host({ services: { wait: channel => read(channel).then(() => undefined) } });
    const ann = await client(home, 'Ann', false);
    const channel = await ann.open('wait');
    const reading = read(channel);
    await expect(home.revoke((await ann.status()).device)).resolves.toBe(true);
    await expect(reading).rejects.toBeInstanceOf(ClawChatError);
    await expect(home.revoke('00'.repeat(16))).resolves.toBe(false);
  });
});

describe('what is refused', () => {
  test('options that are none', async () => {
    const directory = join(root, 'x');
    const usage = refused(ErrorCode.USAGE);
    await expect(serve({ directory, listen: 'localhost' })).rejects.toEqual(usage);
    await expect(serve({ directory, port: 0 })).rejects.toEqual(usage);
    await expect(serve({ directory, drainMs: 300_001 })).rejects.toEqual(usage);
    await expect(serve({ directory, intervalMs: 1000 })).rejects.toEqual(usage);
    await expect(serve({ directory, services: { 'chat.v1': () => {} } })).rejects.toEqual(usage);
    await expect(serve({ directory, services: { 'two words': () => {} } })).rejects.toEqual(usage);
    await expect(connect({ directory, identity: new Uint8Array(3) })).rejects.toEqual(usage);
    await expect(connect({ identity: new Uint8Array(3) })).rejects.toEqual(usage);
    const misspelt = { directroy: directory } as object;
    const meant = /there is no option "directroy"; did you mean directory\?/;
    await expect(connect(misspelt)).rejects.toThrow(meant);
    await expect(serve(misspelt as ServeOptions)).rejects.toThrow(meant);
  });

  test('options and arguments of every call that are none, with what was meant', async () => {
    const says = (text: RegExp): unknown =>
      expect.objectContaining({ code: ErrorCode.USAGE, message: expect.stringMatching(text) });
    // As from a program that no compiler has looked at.
    const bare = <T>(given: unknown): T => given as T;
    const home = await host();
    const ann = await client(home, 'Ann', false);
    const first = (options: unknown): Promise<unknown> =>
      ann.listen(bare(options))[Symbol.asyncIterator]().next();
    const calls: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
      [() => connect(bare(undefined)), /connect takes its options in an object/],
      [() => connect({ invite: bare(5) }), /connect: invite is a text or a Uint8Array, not 5/],
      [() => connect({ directory: '' }), /connect: directory is a path, not this text/],
      [() => connect({ signal: bare({}) }), /connect: signal is an AbortSignal/],
      [() => serve(bare(undefined)), /serve takes its options in an object/],
      [() => serve(bare({})), /serve: directory is a path, not undefined/],
      [() => serve({ directory: 'x', preset: bare('tiny') }), /serve: preset is "standard" or "minimal"/],
      [() => serve({ directory: 'x', services: bare({ one: 1 }) }), /services is an object of functions/],
      [() => ann.send(bare(5)), /send: the message is a text, not 5/],
      [() => ann.send('x', bare({ rom: 'nope' })), /send: there is no option "rom"; did you mean room\?/],
      [() => ann.send('x', bare(null)), /send takes its options in an object/],
      [() => ann.send('x', { replyTo: 1.5 }), /send: replyTo is a whole number from 1, not 1.5/],
      [() => first({ aftr: 0 }), /listen: there is no option "aftr"; did you mean after\?/],
      [() => first({ after: 'x' }), /listen: after is a whole number from 0/],
      [() => first({ onGap: 1 }), /listen: onGap is a function/],
      [() => ann.history({ after: bare('x') }), /history: after is a whole number/],
      [() => ann.history(bare({ constructor: 1 })), /history: there is no option "constructor"/],
      [() => ann.join(bare(undefined)), /join: the invite is a text or a Uint8Array, not undefined/],
      [() => ann.open(bare(5)), /open: the service is 1 to 32 visible ASCII characters, not 5/],
      [() => ann.open('x', bare({ sginal: 1 })), /did you mean signal\?/],
      [() => home.invite(bare({ nam: 'x' })), /invite: there is no option "nam"; did you mean name\?/],
      [() => home.invite(bare({ expires: 5 })), /invite: there is no option "expires"/],
      [() => home.invite({ lifeMs: bare('5') }), /invite: lifeMs is a whole number from 1/],
      [() => home.withdraw(bare(5)), /withdraw: the invite is 32 hexadecimal digits, not 5/],
      [() => home.revoke(bare(['00'.repeat(16)])), /revoke: the device is 32 hexadecimal digits/],
      [() => home.close(bare({ nwo: true })), /close: there is no option "nwo"; did you mean now\?/],
    ];
    for (const [call, text] of calls) await expect(call()).rejects.toEqual(says(text));
    // It was refused before anything was done.
    await ann.send('still here');
  });

  test('a connect in vain leaves no directory behind', async () => {
    const directory = join(root, 'nobody');
    const home = await host();
    const { text, expiresAtMs } = await home.invite({ lifeMs: 1000 });
    while (Date.now() <= expiresAtMs) await new Promise(resolve => setTimeout(resolve, 50));
    for (const options of [{}, { invite: 'hello' }, { invite: text }, { invite: 5 as never }])
      await expect(connect({ directory, ...options })).rejects.toBeInstanceOf(ClawChatError);
    expect(existsSync(directory)).toBe(false);
  });

  test('clients that nobody invited, and invites that are none', async () => {
    await expect(connect({ directory: join(root, 'x') })).rejects.toEqual(refused(ErrorCode.NOT_JOINED));
    await expect(connect({ invite: 'hello' })).rejects.toEqual(refused(ErrorCode.INVITE_MALFORMED));
    const home = await host();
    const { text } = await home.invite({ name: 'Ann' });
    open.push(await connect({ invite: text }));
    await expect(home.invite({ lifeMs: 0 })).rejects.toEqual(refused(ErrorCode.USAGE));
    await expect(home.invite({ lifeMs: 604_800_001 })).rejects.toEqual(refused(ErrorCode.USAGE));
    await expect(serve({ directory: join(root, 'host') })).rejects.toEqual(
      refused(ErrorCode.DIRECTORY_LOCKED),
    );
  });

  test('messages, pages and ids that are none; the client goes on', async () => {
    const ann = await client(await host(), 'Ann', false);
    await expect(ann.send('')).rejects.toEqual(refused(ErrorCode.MESSAGE_MALFORMED));
    await expect(ann.send('x'.repeat(32_769))).rejects.toEqual(refused(ErrorCode.MESSAGE_TOO_LARGE));
    await expect(ann.send('x', { room: 'nowhere' })).rejects.toEqual(refused(ErrorCode.ROOM_UNKNOWN));
    await expect(ann.send('x', { id: 'short' })).rejects.toEqual(refused(ErrorCode.USAGE));
    await expect(ann.history({ limit: 257 })).rejects.toEqual(refused(ErrorCode.USAGE));
    await expect(ann.open('no such name')).rejects.toEqual(refused(ErrorCode.USAGE));
    await expect(ann.join('x')).rejects.toEqual(refused(ErrorCode.ALREADY_JOINED));
    await ann.send('x');
  });
});

test('a signal ends what waits, and nothing is lost by it', async () => {
  const home = await host();
  const ann = await client(home, 'Ann');
  const stop = new AbortController();
  const listening = texts(ann, 1);
  const cancelled = (async () => {
    for await (const _ of ann.listen({ signal: stop.signal })) throw new Error('nobody has written');
  })();
  stop.abort();
  const given = refused(ErrorCode.CANCELLED);
  await expect(cancelled).rejects.toEqual(given);
  await expect(ann.history({ signal: stop.signal })).rejects.toEqual(given);
  await expect(connect({ directory: join(root, 'Ann'), signal: stop.signal })).rejects.toEqual(given);
  await expect(serve({ directory: join(root, 'other'), signal: stop.signal })).rejects.toEqual(given);
  await home.close();
  const late = new AbortController();
  const waiting = ann.send('kept', { signal: late.signal });
  setTimeout(() => late.abort(), 100);
  await expect(waiting).rejects.toEqual(given);
  await host();
  expect(await listening).toEqual(['Ann: kept']);
});

test('a host that may be an old backup waits, and says so, unless its program knows better', async () => {
  await (await host()).close();
  // What lies in its only store is no file of its own, and its record has expired.
  writeFileSync(join(root, 'host', 'connection.clawchat'), new Uint8Array(4096).fill(7));
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 7_200_000 });
  try {
    const lines: string[] = [];
    const stop = new AbortController();
    const waiting = host({ signal: stop.signal, log: line => lines.push(line) });
    await vi.waitUntil(() => lines.some(line => line.includes('"not-serving"')), { timeout: 30_000 });
    stop.abort();
    await expect(waiting).rejects.toEqual(refused(ErrorCode.CANCELLED));
    expect((await host({ trustDatabase: true })).port).toBeGreaterThan(0);
  } finally {
    vi.useRealTimers();
  }
});

test('a host ends with its signal, and says so', async () => {
  const stop = new AbortController();
  const home = await host({ signal: stop.signal });
  stop.abort();
  await home.closed;
  await expect(home.devices()).rejects.toEqual(refused(ErrorCode.CANCELLED));
});

async function read(channel: Channel, count = Number.POSITIVE_INFINITY): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  // Left without ending the loop, the channel stays open for what the test does next.
  const messages = channel[Symbol.asyncIterator]();
  while (found.length < count) {
    const { value, done } = await messages.next();
    if (done) break;
    found.push(value);
  }
  return found;
}
