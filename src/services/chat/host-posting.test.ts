/** Posting to a host (spec/11-chat.md, 11.4). */
import { beforeEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { OUTBOX_HASHES_MAX, TEXT_BYTES_MAX } from '../../gen/constants.ts';
import { ALICE, BOB, brief, content, HostProbe, Peer, X, Y } from './testing/host-probe.ts';
import { ProbeDatabase } from './testing/probe.ts';
import { settle } from './testing/settle.ts';

let probe: HostProbe;

beforeEach(() => {
  probe = new HostProbe();
});

describe('posting', () => {
  // CH-015~2, CH-017~1, CH-018~1
  test('is answered and pushed only when the commit is durable', async () => {
    const host = await probe.open();
    const [alice, bob] = [new Peer(host), new Peer(host, BOB)];
    bob.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
    expect(brief(await bob.answers())).toEqual(['caught up 0']);
    expect(await alice.open()).toEqual(['state 1 0 0']);
    probe.database.hold();
    alice.post(1);
    alice.post(2);
    expect(brief(await alice.answers())).toEqual([]);
    expect(brief(await bob.answers())).toEqual([]);
    probe.database.release();
    expect(brief(await alice.answers())).toEqual(['result 1 1000', 'result 2 1001']);
    expect(brief(await bob.answers())).toEqual(['message 1000 text 1', 'message 1001 text 2']);
    expect(probe.database.commits).toBe(2);
  });

  // CH-013~1
  test('twice has the same answer and no second effect, also after a restart', async () => {
    for (const restart of [false, true]) {
      probe.database = new ProbeDatabase();
      let host = await probe.open();
      let alice = new Peer(host);
      await alice.open();
      alice.post(1);
      alice.post(2, content(2, { room: 'nowhere' }));
      expect(brief(await alice.answers())).toEqual(['result 1 1000', 'result 2 ROOM_UNKNOWN']);
      if (restart) {
        host = await probe.open();
        alice = new Peer(host);
        expect(await alice.open()).toEqual(['state 1 2 32']);
      }
      alice.wallMs = 9_000;
      alice.post(1);
      alice.post(2, content(2, { room: 'nowhere' }));
      alice.post(3);
      expect(brief(await alice.answers())).toEqual([
        'result 1 1000',
        'result 2 ROOM_UNKNOWN',
        'result 3 9000',
      ]);
      alice.post(2);
      expect(brief(await alice.answers())).toEqual(['refusal OUTBOX_MISMATCH']);
    }
  });

  // CH-005~1
  test('is taken and answered in the order of the requests, however long one of them reads', async () => {
    let host = await probe.open();
    let alice = new Peer(host);
    await alice.open();
    alice.post(1);
    await alice.answers();
    host = await probe.open();
    const get = probe.database.get.bind(probe.database);
    let read = (): void => {};
    const reading = new Promise<void>(resolve => {
      read = resolve;
    });
    probe.database.get = async key => {
      await reading;
      return get(key);
    };
    // All at once: the outbox, one that was answered by an earlier process, a new one, a question and another one.
    alice = new Peer(host);
    alice.ask({ kind: 'outboxOpen', outboxId: X });
    alice.post(1);
    alice.post(2);
    alice.ask({ kind: 'history', afterCursor: 0, limit: 9, room: '' });
    alice.post(3);
    expect(await alice.answers()).toEqual([]);
    read();
    await settle();
    expect(brief(await alice.answers()).map(text => text.replace(/^page .*/, 'page'))).toEqual([
      'state 1 1 32',
      'result 1 1000',
      'result 2 1001',
      'page',
      'result 3 1002',
    ]);
  });

  // CH-009~2, CH-012~1, CH-003~2
  test('what can never be stored uses its number up; what is out of turn does not', async () => {
    const host = await probe.open();
    const alice = new Peer(host);
    await alice.open();
    alice.post(1, new Uint8Array(0));
    alice.post(2, content(2, { text: 'x'.repeat(TEXT_BYTES_MAX + 1) }));
    alice.post(3, content(3, { room: 'nowhere' }));
    alice.post(5);
    alice.post(4, content(4), Y);
    alice.post(4);
    expect(brief(await alice.answers()).toSorted()).toEqual([
      'refusal OUTBOX_NUMBER',
      'refusal OUTBOX_UNKNOWN',
      'result 1 MESSAGE_MALFORMED',
      'result 2 MESSAGE_TOO_LARGE',
      'result 3 ROOM_UNKNOWN',
      'result 4 1000',
    ]);
    expect([...probe.database.values.keys()].filter(key => key.startsWith('chat/message/'))).toHaveLength(1);
  });

  // CH-010~1
  test('belongs to the stream that opened the outbox last', async () => {
    const host = await probe.open();
    const [older, newer] = [new Peer(host), new Peer(host)];
    older.post(1);
    expect(brief(await older.answers())).toEqual(['refusal OUTBOX_UNKNOWN']);
    await older.open();
    probe.database.hold();
    older.post(1);
    newer.ask({ kind: 'outboxOpen', outboxId: X });
    older.post(2);
    older.ask({ kind: 'outboxReplace', outboxId: Y });
    older.ask({ kind: 'outboxCompare', entries: [] });
    await settle();
    // What was decided is not told before it is durable.
    expect(brief(await newer.answers())).toEqual([]);
    probe.database.release();
    expect(brief(await newer.answers())).toEqual(['state 1 1 32']);
    expect(brief(await older.answers()).toSorted()).toEqual([
      'refusal OUTBOX_UNKNOWN',
      'refusal OUTBOX_UNKNOWN',
      'refusal OUTBOX_UNKNOWN',
      'result 1 1000',
    ]);
    older.handler.closed(ErrorCode.SESSION_REPLACED);
    newer.post(2);
    expect(brief(await newer.answers())).toEqual(['result 2 1001']);
    expect(probe.alarms).toEqual([]);
  });

  // CH-011~1
  test('a device that stored nothing has the outbox that it asked for last', async () => {
    const host = await probe.open();
    const [older, newer] = [new Peer(host), new Peer(host)];
    expect(await older.open(X)).toEqual(['state 1 0 0']);
    expect(await newer.open(Y)).toEqual(['state 2 0 0']);
    newer.post(1, content(1), Y);
    expect(brief(await newer.answers())).toEqual(['result 1 1000']);
    expect(await older.open(X)).toEqual(['state 2 1 32']);
  });

  // CH-014~1, CH-021~1, CH-022~1
  test('after a contradiction: stored ones are named, whichever outbox they came from', async () => {
    const host = await probe.open();
    const alice = new Peer(host);
    await alice.open();
    for (let n = 1; n <= 3; n += 1) alice.post(n, n === 2 ? content(2, { room: 'nowhere' }) : content(n));
    await alice.answers();
    expect(await alice.open(Y)).toEqual(['state 1 3 32']);
    const entry = (number: number, bytes: Uint8Array): { number: number; hash: Uint8Array } => ({
      number,
      hash: host.hash(bytes),
    });
    alice.ask({ kind: 'outboxReplace', outboxId: Y });
    expect(brief(await alice.answers())).toEqual(['state 2 0 0']);
    expect(probe.alarms).toMatchObject([{ kind: 'outbox-replaced', name: 'alice', highest: 3 }]);
    alice.post(1, content(4), Y);
    await alice.answers();
    const refused = content(2, { room: 'nowhere' });
    const entries = [entry(7, content(3)), entry(8, refused), entry(9, content(4)), entry(10, content(5))];
    alice.ask({ kind: 'outboxCompare', entries });
    expect(brief(await alice.answers())).toEqual(['stored 1001 1002']);
    // Its own id again is a repetition before the outbox was used, and a contradiction after.
    alice.ask({ kind: 'outboxReplace', outboxId: Y });
    expect(brief(await alice.answers())).toEqual(['refusal OUTBOX_MISMATCH']);
    expect(await new Peer(await probe.open()).open(Y)).toEqual(['state 2 1 32']);
  });

  // CH-014~1
  test('keeps the last answers and no more', async () => {
    const host = await probe.open();
    const alice = new Peer(host);
    await alice.open();
    for (let n = 1; n <= OUTBOX_HASHES_MAX + 1; n += 1) {
      alice.post(n);
      if (n % 64 === 0) await settle();
    }
    expect(await alice.answers()).toHaveLength(OUTBOX_HASHES_MAX + 1);
    const kept = [...probe.database.values.keys()].filter(key => key.startsWith('chat/kept/'));
    expect(kept).toHaveLength(OUTBOX_HASHES_MAX);
    alice.post(1);
    alice.post(2);
    expect(brief(await alice.answers())).toEqual(['refusal OUTBOX_MISMATCH', 'result 2 1001']);
  });

  // CH-016~1
  test('ends with the device, and leaves nothing of its outbox', async () => {
    const host = await probe.open();
    const [alice, bob] = [new Peer(host), new Peer(host, BOB)];
    await alice.open();
    await bob.open(Y);
    alice.post(1);
    bob.post(1, content(9), Y);
    await settle();
    const { operations } = (await host.revoke(ALICE.deviceId))(2_000);
    expect(alice.stream.closedWith).toBe(ErrorCode.DEVICE_REVOKED);
    expect(bob.stream.closedWith).toBeUndefined();
    await probe.database.commit(operations);
    const left = [...probe.database.values.keys()].filter(key => key.includes('aa'.repeat(16)));
    expect(left).toEqual([]);
    expect([...probe.database.values.keys()].filter(key => key.startsWith('chat/message/'))).toHaveLength(2);
    bob.post(2, content(10), Y);
    expect(brief(await bob.answers()).at(-1)).toBe('result 2 1002');
  });

  test('says nothing more once the database failed', async () => {
    const host = await probe.open();
    const alice = new Peer(host);
    await alice.open();
    probe.database.failure = new Error('disk');
    alice.post(1);
    expect(brief(await alice.answers())).toEqual([]);
    expect(alice.stream.closedWith).toBe(ErrorCode.INTERNAL);
    expect(probe.failures).toHaveLength(1);
  });

  // CH-004~1
  test('takes no more than it can answer', async () => {
    const host = await probe.open();
    const alice = new Peer(host);
    await alice.open();
    probe.database.hold();
    const long = 'x'.repeat(TEXT_BYTES_MAX);
    for (let n = 1; n <= 40; n += 1) alice.post(n, content(n, { text: long }));
    await settle();
    expect(alice.stream.paused).toBe(true);
    probe.database.release();
    expect(brief(await alice.answers())).toHaveLength(40);
    expect(alice.stream.paused).toBe(false);
    probe.database.hold();
    for (let n = 41; n <= 40 + OUTBOX_HASHES_MAX; n += 1) alice.post(n);
    expect(alice.stream.paused).toBe(true);
    probe.database.release();
    expect(await alice.answers()).toHaveLength(OUTBOX_HASHES_MAX);
    alice.stream.room = 1;
    alice.ask({ kind: 'rooms' });
    alice.ask({ kind: 'rooms' });
    expect(brief(await alice.answers())).toEqual(['rooms lobby']);
    expect(alice.stream.paused).toBe(true);
    alice.stream.room = 2;
    alice.handler.writable();
    expect(brief(await alice.answers())).toEqual(['rooms lobby']);
    expect(alice.stream.paused).toBe(false);
  });
});
