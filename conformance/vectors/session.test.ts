/** The reference implementation against session.json: host and client step by step, and whole conversations. */
import { describe, expect, it } from 'vitest';
import type { CipherState } from '../../src/crypto/cipher-state.ts';
import { noble } from '../../src/crypto/noble.ts';
import { Records } from '../../src/crypto/record.ts';
import type { Suite } from '../../src/crypto/suite.ts';
import { native } from '../../src/node/native.ts';
import { Path } from '../../src/protocol/path.ts';
import { encodeFrame, type Frame } from '../../src/wire/frame.ts';
import { RowReader, RowWriter } from '../../src/wire/row.ts';
import { ClientSide } from './client-side.ts';
import { cipherAt, shownFrame } from './frames.ts';
import { HostSide } from './host-side.ts';
import {
  bytes,
  type Fields,
  fields,
  hex,
  list,
  loadFamily,
  manyBytes,
  number,
  releasedHash,
  text,
  type Vector,
} from './load.ts';
import { refusal, type Side, WireEnd } from './wire-end.ts';

const { vectors } = loadFamily('session');
const of = (...what: string[]): [string, Vector][] =>
  vectors.filter(({ input }) => what.includes(text(input['what']))).map(vector => [vector.id, vector]);

/**
 * The reference sends Attach in the first record behind message 3, where no record of the host can have come before.
 * What the vectors show of a path that has its keys and no Attach it does as if it had attached, but for one: by then
 * Attached is what it waits for.
 */
const NO_SUCH_STATE = /^session\/client\/table\/no-attach\//;
const TAKEN_THEN = 'session/client/table/no-attach/attached';

/** Frames on different paths have no order. */
function byPath(effects: Fields): Fields {
  if (effects['sends'] === undefined) return effects;
  const sends = [...list(effects['sends'])];
  return { ...effects, sends: sends.sort((a, b) => text(a['path']).localeCompare(text(b['path']))) };
}

function play(side: Side, step: Fields): void {
  side.pass(number(step['at_ms']));
  const { open, attach, lose, path, write } = step;
  if (open !== undefined) side.open(text(open), step['hello'] === true);
  else if (attach !== undefined) side.attach(text(attach));
  else if (lose !== undefined) side.lose(text(lose));
  else if (path !== undefined) side.hear(text(path), bytes(step['frame']));
  else if (write !== undefined) {
    const { stream, service, message, end } = fields(write);
    const named = service === undefined ? undefined : text(service);
    side.write(number(stream), named, bytes(message), end === true);
  } else expect(step['clock']).toBe(true);
}

function checkSide(suite: Suite, { id, input, output, error, released }: Vector): void {
  const [busy, reads] = [input['busy'] === true, input['reads'] === true];
  const sessionIds = manyBytes(input['session_ids']);
  const side: Side =
    input['what'] === 'host'
      ? new HostSide(suite, { busy, reads })
      : new ClientSide(suite, { sessionIds, reads });
  const steps = list(input['steps']);
  const wanted = list(output['steps']);
  expect(wanted.length).toBe(steps.length);
  for (const [i, step] of steps.entries()) {
    play(side, step);
    const got = side.effects.take();
    if (NO_SUCH_STATE.test(id)) {
      const { sends, session: _, ...rest } = wanted[i] ?? {};
      const others = list(got['sends']).filter(({ frame }) => !('attach' in fields(frame)));
      expect({ i, ...got, sends: others }).toEqual({ i, ...rest, sends: list(sends) });
    } else expect({ i, ...byPath(got), session: side.state }).toEqual({ i, ...byPath(wanted[i] ?? {}) });
  }
  expect(refusal(side.effects)).toBe(error);
  expect(releasedHash(...side.effects.messages)).toBe(released);
}

/** One direction of a path of a conversation. */
class Direction {
  private readonly sender: Records;
  private readonly receiver: Path;
  private readonly observer: WireEnd;

  constructor(suite: Suite, key: Uint8Array) {
    const none = (): CipherState => cipherAt(suite, new Uint8Array(32), 0);
    const at = (): CipherState => cipherAt(suite, key, 0);
    this.sender = new Records({ send: at(), receive: none() });
    this.receiver = new Path(1, { send: none(), receive: at() }, 'test', 0);
    this.observer = new WireEnd({ send: none(), receive: at() });
  }

  /** Open a record as somebody does who sees also those that are lost, and seal its frames to the same bytes. */
  check(record: Uint8Array): readonly Frame[] {
    const frames = this.observer.open(record);
    const writer = new RowWriter();
    for (const frame of frames) expect(writer.frame(frame)).toBe(true);
    const sealed = this.sender.seal(writer.finish());
    expect(sealed && hex(sealed)).toBe(hex(record));
    return frames;
  }

  /** Open a record that arrives. */
  arrive(record: Uint8Array): readonly Frame[] {
    const reader = this.receiver.open(record, 0);
    const frames: Frame[] = [];
    if (!(reader instanceof RowReader)) throw new Error(reader.detail);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (next.kind === 'fault') throw new Error(next.detail);
      frames.push(next);
    }
    return frames;
  }
}

interface UnderWay {
  readonly to: string;
  readonly path: string;
  readonly frames: readonly Uint8Array[];
  readonly place: number;
}

/**
 * Both sides have a conversation: each writes what it wrote in the vector, when it sent it first. Records cross: before
 * a side sends it hears what it was sent on that path and on older ones, and what came on a newer one later.
 */
class Conversation {
  readonly sides: Readonly<Record<string, Side>>;
  private readonly suite: Suite;
  private readonly keys: Fields;
  private readonly directions = new Map<string, Direction>();
  private readonly written: { [from: string]: number } = { client: 0, host: 0 };

  constructor(suite: Suite, paths: Fields, sessionId: Uint8Array) {
    this.suite = suite;
    this.keys = paths;
    this.sides = { client: new ClientSide(suite, { sessionIds: [sessionId] }), host: new HostSide(suite) };
  }

  /** Messages of both directions, with the place of the record that brought them. */
  readonly messages: { readonly place: number; readonly message: Uint8Array }[] = [];
  private records = 0;
  private underWay: UnderWay[] = [];

  /** Play one record; gives the frames in it. */
  play(record: Fields): readonly Frame[] {
    const [path, from] = [text(record['path']), text(record['from'])];
    const key = bytes(fields(this.keys[path])[from === 'client' ? 'initiator_key' : 'responder_key']);
    const direction = this.directions.get(path + from) ?? new Direction(this.suite, key);
    const isFirst = !this.directions.has(path + from);
    this.directions.set(path + from, direction);
    if (isFirst && from === 'client') for (const side of Object.values(this.sides)) side.open(path, false);
    const frames = direction.check(bytes(record['record']));
    this.arrive(from, path);
    for (const frame of frames) this.say(path, from, frame);
    this.records += 1;
    if (record['arrives'] !== true) return frames;
    expect(direction.arrive(bytes(record['record']))).toEqual(frames);
    const to = from === 'client' ? 'host' : 'client';
    this.underWay.push({ to, path, frames: frames.map(encodeFrame), place: this.records });
    return frames;
  }

  /** Deliver what is under way: to one side up to a path, or all of it. */
  arrive(to?: string, path?: string): void {
    const arriving = this.underWay.filter(
      one => to === undefined || (one.to === to && one.path <= (path ?? '')),
    );
    this.underWay = this.underWay.filter(one => !arriving.includes(one));
    for (const one of arriving) {
      const side = this.sides[one.to];
      const before = side?.effects.messages.length;
      side?.hear(one.path, ...one.frames);
      for (const message of side?.effects.messages.slice(before) ?? [])
        this.messages.push({ place: one.place, message });
    }
  }

  private say(path: string, from: string, frame: Frame): void {
    const side = this.sides[from];
    if (frame.kind === 'attach') side?.attach(path);
    if (frame.kind !== 'data' || frame.sequence <= (this.written[from] ?? 0)) return;
    this.written[from] = frame.sequence;
    side?.write(frame.stream, frame.open, frame.payload, frame.end !== undefined);
  }
}

function checkConversation(suite: Suite, { input, output, released }: Vector): void {
  const attach = list(output['records'])
    .flatMap(({ frames }) => list(frames))
    .find(frame => frame['attach'] !== undefined);
  const sessionId = bytes(fields(attach?.['attach'])['session_id']);
  const conversation = new Conversation(suite, fields(input['paths']), sessionId);
  const shown = list(input['records']).map(record => ({
    path: record['path'],
    from: text(record['from']),
    frames: conversation.play(record).map(shownFrame),
  }));
  conversation.arrive();
  expect(shown.map(({ frames }) => ({ frames }))).toEqual(output['records']);
  for (const [name, side] of Object.entries(conversation.sides)) {
    const { delivers } = side.effects.take();
    const messages = list(delivers).filter(one => one['message'] !== undefined);
    expect(messages).toEqual(output[`${name}_delivers`]);
    // The machines of this program send the same Data, Attach and Attached on the same paths.
    const counted = (frame: Fields): boolean => ['data', 'attach', 'attached'].some(kind => kind in frame);
    const sent = side.effects.sent.map(({ path, frame }) => ({ path, frame: shownFrame(frame) }));
    const wanted = shown
      .filter(({ from }) => from === name)
      .flatMap(({ path, frames }) => frames.map(frame => ({ path, frame })));
    expect(sent.filter(({ frame }) => counted(frame))).toEqual(wanted.filter(({ frame }) => counted(frame)));
  }
  const messages = conversation.messages.toSorted((a, b) => a.place - b.place);
  expect(releasedHash(...messages.map(({ message }) => message))).toBe(released);
}

for (const suite of [native, noble]) {
  describe(suite.name, () => {
    it.each(of('conversation'))('%s', (_, vector) => checkConversation(suite, vector));
    it.each(of('host', 'client').filter(([id]) => id !== TAKEN_THEN))('%s', (_, vector) =>
      checkSide(suite, vector),
    );
    it('sends Attach in its first record, so that Attached is never too early', () => {
      const side = new ClientSide(suite);
      side.open('A', true);
      expect(side.effects.take()).toEqual({});
      side.attach('A');
      expect(side.effects.sent.map(({ frame }) => frame.kind)).toEqual(['hello', 'attach']);
    });
  });
}
