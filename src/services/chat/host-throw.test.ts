/** A fault of the program in the middle of a post leaves nothing behind (spec/11-chat.md, 11.4). */
import { expect, test, vi } from 'vitest';
import { noble } from '../../crypto/noble.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { isFault } from '../../wire/fault.ts';
import type { StreamHandler } from '../ports.ts';
import { ProbeStream } from '../testing/probe-stream.ts';
import { type ContentExtra, encodeContent } from './content.ts';
import { ChatHost } from './host.ts';
import { parseReply, type Reply } from './reply.ts';
import { encodeRequest, type RequestBody } from './request.ts';
import { ProbeDatabase } from './testing/probe.ts';
import { settle } from './testing/settle.ts';

const ANN = new Uint8Array(16).fill(0xaa);
const BOB = new Uint8Array(16).fill(0xbb);

class World {
  readonly database = new ProbeDatabase();
  readonly faults: unknown[] = [];

  open(): Promise<ChatHost> {
    return ChatHost.open({
      database: this.database,
      suite: noble,
      alarm: () => {},
      enrolled: () => 'somebody',
      failed: reason => void this.faults.push(reason),
    });
  }
}

/** A device's stream. What the service throws at it ends it, as in a running host. */
class Peer {
  readonly stream = new ProbeStream();
  thrown: unknown;
  readonly #handler: StreamHandler;
  #asked = 0;

  constructor(host: ChatHost, device: Uint8Array) {
    this.#handler = host.serve(this.stream, { deviceId: device, name: 'somebody' });
  }

  async ask(body: RequestBody): Promise<readonly Reply['body'][]> {
    this.#asked += 1;
    try {
      this.#handler.message(encodeRequest(this.#asked, body), 1_000);
      await settle();
      await settle();
    } catch (reason) {
      this.thrown = reason;
      this.#handler.closed(ErrorCode.INTERNAL);
    }
    return this.stream.take().map(message => {
      const reply = parseReply(message);
      if (isFault(reply)) throw new Error(reply.detail);
      return reply.body;
    });
  }

  open(): Promise<readonly Reply['body'][]> {
    return this.ask({ kind: 'outboxOpen', outboxId: ANN });
  }

  /** Give the cursor; undefined for no answer. */
  async post(
    number: number,
    text: string,
    room: string,
    extra: ContentExtra = {},
  ): Promise<number | undefined> {
    const messageId = new Uint8Array(16).fill(number);
    const content = encodeContent({ messageId, room, text, sentAtMs: 1, ...extra });
    const replies = await this.ask({ kind: 'post', outboxId: ANN, number, content });
    const result = replies.find(({ kind }) => kind === 'postResult');
    return result?.kind === 'postResult' ? result.outcome.cursor : undefined;
  }
}

/** The steps of a post, each of which throws once it has done its work. */
const STEPS: Readonly<Record<string, (host: ChatHost) => { mockRestore(): void }>> = {
  'its place': host => throwing(host.log, 'append'),
  'what it rewrites': host => throwing(host.log, 'rewrite'),
  'its room': host => throwing(host.rooms, 'perform'),
  'a name': host => throwing(host.people, 'rename'),
  'its number': host => throwing(host.outboxes, 'advance'),
};

function throwing<T extends object>(of: T, method: keyof T & string): { mockRestore(): void } {
  const real = (of[method] as (...given: unknown[]) => unknown).bind(of);
  return vi
    .spyOn(of as Record<string, (...given: unknown[]) => unknown>, method)
    .mockImplementation((...given) => {
      real(...given);
      throw new RangeError('a fault of the program');
    });
}

/** Posts that change a room, a message, a name or nothing; cursor 1000 is the first message of the lobby. */
const POSTS: Readonly<Record<string, readonly [string, string, ContentExtra]>> = {
  'a message': ['hello', 'lobby', {}],
  'an edit': ['better', 'lobby', { edits: 1000 }],
  'a new room': ['', 'den', { act: { kind: 'create', topic: 'quiet', closed: false } }],
  'a topic': ['', 'lobby', { act: { kind: 'topic', topic: 'loud' } }],
  'a deleted room': ['', 'attic', { act: { kind: 'remove' } }],
  'a rename': ['', 'lobby', { act: { kind: 'rename', name: 'anna' } }],
};

const EVERYTHING = { kind: 'history', afterCursor: 0, limit: 100, room: '' } as const;

/** Of the messages in a reply. */
function cursorsOf(body: Reply['body']): readonly number[] {
  if (body.kind === 'message') return [body.place.cursor];
  return body.kind === 'history' ? body.places.map(({ cursor }) => cursor) : [];
}

const CASES = Object.keys(STEPS).flatMap(step => Object.keys(POSTS).map(post => [post, step] as const));

// CH-015~2, CH-018~1, CH-030~1, SE-046~1
test.each(CASES)(
  '%s, a throw behind %s: nothing of it is told or kept, and the same post then works',
  async (post, step) => {
    const world = new World();
    const host = await world.open();
    const first = new Peer(host, ANN);
    await first.open();
    expect(await first.post(1, 'first', 'lobby')).toBe(1000);
    expect(await first.post(2, '', 'attic', { act: { kind: 'create', topic: '', closed: false } })).toBe(
      1001,
    );
    const reader = new Peer(host, BOB);
    await reader.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    const before = await seen(host);

    const [text, room, extra] = POSTS[post] ?? ['', '', {}];
    const spy = STEPS[step]?.(host);
    const isMet = (await first.post(3, text, room, extra)) === undefined;
    spy?.mockRestore();
    expect(isMet).toBe(first.thrown !== undefined || first.stream.closedWith === ErrorCode.INTERNAL);
    if (isMet) {
      expect(await seen(host)).toEqual(before);
      expect(await seen(await world.open())).toEqual(before);
    }
    const again = new Peer(host, ANN);
    expect(await again.open()).toMatchObject([{ status: { highest: isMet ? 2 : 3 } }]);
    const number = isMet ? 3 : 4;
    const cursor = await again.post(
      number,
      isMet ? text : 'fourth',
      isMet ? room : 'lobby',
      isMet ? extra : {},
    );
    expect(cursor).toBe(isMet ? 1002 : 1003);
    // What readers were told is what is stored.
    const told = (await reader.ask({ kind: 'hello', events: false })).flatMap(cursorsOf);
    const stored = await new Peer(await world.open(), BOB).ask(EVERYTHING);
    expect(told).toEqual(stored.flatMap(cursorsOf).filter(each => each > 1001));
    expect(await seen(host)).toEqual(await seen(await world.open()));
    expect(world.faults).toEqual([]);
  },
);

/** What a host knows, as devices are shown it. */
async function seen(host: ChatHost): Promise<unknown> {
  const history = await new Peer(host, BOB).ask(EVERYTHING);
  const rooms = host.rooms.names.map(name => structuredClone(host.rooms.get(name)));
  return { history, rooms, through: host.log.through, name: host.people.nameOf('aa'.repeat(16), '-') };
}
