/** Vectors: a client's outbox, by the two tables of 11.4 (spec/11-chat.md). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { concat, EMPTY, hex, stream } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { judgeOutbox } from '../judge/chat.ts';
import { contentHash } from '../labels.ts';
import { lengthField as field, varintField as number } from '../protobuf.ts';
import type { JsonObject, Vector } from '../vector.ts';
import { text } from './chat-vector.ts';

const OWN = stream('chat outbox', 16);
const NEW = stream('chat new outbox', 16);
const FOREIGN = stream('chat foreign outbox', 16);

/** The content that was posted as number n. */
const said = (n: number): Uint8Array =>
  concat(field(1, stream(`chat said ${n}`, 16)), text(2, 'lobby'), text(3, `message ${n}`));
const hash = (n: number): Uint8Array => contentHash(said(n));

/** Five are answered, 6 and 7 are not. */
const HELD: JsonObject = {
  id: hex(OWN),
  answered: 5,
  answered_hash: hex(hash(5)),
  posts: [hex(said(6)), hex(said(7))],
};
const FRESH: JsonObject = { id: hex(OWN), answered: 0, answered_hash: '', posts: [hex(said(1))] };

const event = (name: string): JsonObject => ({ event: name });
const OPENS = event('opens');
const DURABLE = event('durable');
const reply = (answers: number, id: number, ...inner: readonly Uint8Array[]): JsonObject => ({
  answers,
  reply: hex(field(id, concat(...inner))),
});
const state = (answers: number, id: Uint8Array, highest: number, known: Uint8Array = EMPTY): JsonObject =>
  reply(
    answers,
    2,
    field(1, id),
    ...(highest > 0 ? [number(2, highest)] : []),
    ...(known.length > 0 ? [field(3, known)] : []),
  );
const stored = (answers: number, ...which: readonly (readonly [n: number, cursor: number])[]): JsonObject =>
  reply(
    answers,
    3,
    ...which.map(([n]) => field(1, hash(n))),
    ...which.map(([, cursor]) => number(2, cursor)),
  );
const result = (answers: number, n: number, cursor: number): JsonObject =>
  reply(answers, 4, number(1, n), number(3, cursor));
const refused = (answers: number, n: number, code: ErrorCode): JsonObject =>
  reply(answers, 4, number(1, n), number(2, code));
const refusal = (answers: number, code: ErrorCode): JsonObject => reply(answers, 9, number(1, code));

function one(
  name: string,
  note: string,
  req: readonly string[],
  steps: readonly JsonObject[],
  outbox: JsonObject = HELD,
  flags: readonly Flag[] = ['state-machine'],
): Vector {
  const input = { what: 'outbox', outbox, new_outbox_id: hex(NEW), steps };
  return { id: `chat/outbox/${name}`, note, req, flags, phase: 'state', input, output: judgeOutbox(input) };
}

const AGREED = ['CH-019~1', 'CH-025~1'];
const CONTRADICTED = ['CH-019~1', 'CH-023~1'];
const ANSWERED = ['CH-024~1', 'CH-007~2'];
const REPLACED = ['CH-023~1'];

/** What OutboxState says, row by row. */
function states(): readonly Vector[] {
  const agreed = (name: string, note: string, heard: JsonObject, outbox = HELD): Vector =>
    one(`state/${name}`, note, AGREED, [OPENS, heard], outbox);
  const contradicted = (name: string, note: string, heard: JsonObject, outbox = HELD): Vector =>
    one(`state/${name}`, note, CONTRADICTED, [OPENS, heard], outbox);
  return [
    agreed('same', 'Nothing happened.', state(1, OWN, 5, hash(5))),
    agreed('answer-lost', 'The answer to 6 was lost: it is posted again.', state(1, OWN, 6, hash(6))),
    agreed('all-answers-lost', 'The answers to 6 and 7 were lost.', state(1, OWN, 7, hash(7))),
    agreed('new-device', 'Nothing was ever posted.', state(1, OWN, 0), FRESH),
    contradicted('never-given', 'The host knows number 8.', state(1, OWN, 8, hash(8))),
    contradicted('other-hash', 'Another message was answered as 5.', state(1, OWN, 5, hash(9))),
    contradicted('other-hash-unanswered', 'Another message was posted as 7.', state(1, OWN, 7, hash(6))),
    contradicted('host-forgot', 'The host knows 4 and no more.', state(1, OWN, 4, hash(4))),
    contradicted('host-knows-nothing', 'The host knows none.', state(1, OWN, 0)),
    contradicted('other-outbox', 'A copy has replaced the outbox.', state(1, FOREIGN, 5, hash(5))),
    contradicted('other-outbox-empty', 'And has posted nothing yet.', state(1, FOREIGN, 0), FRESH),
  ];
}

/** The client's states, each with what fits and what does not. */
function conversations(): readonly Vector[] {
  const ready = [OPENS, state(1, OWN, 5, hash(5))];
  const comparing = [OPENS, state(1, OWN, 8, hash(9))];
  const storing = [...comparing, stored(2, [6, 1004])];
  const replacing = [...storing, DURABLE];
  const unfit = (name: string, note: string, before: readonly JsonObject[], heard: JsonObject): Vector =>
    one(`unfit/${name}`, note, ['CH-007~2'], [...before, heard]);
  return [
    one('posts', 'Both posts are answered, one after the other.', ANSWERED, [
      ...ready,
      result(2, 6, 1004),
      DURABLE,
      result(3, 7, 1010),
      DURABLE,
    ]),
    one('posts-refused', 'One is refused for good, and is posted no more.', ANSWERED, [
      ...ready,
      refused(2, 6, ErrorCode.ROOM_UNKNOWN),
      DURABLE,
      event('ends'),
      OPENS,
      state(1, OWN, 6, hash(6)),
    ]),
    one(
      'replace',
      'The outboxes contradict each other: 6 is stored, 7 is posted as 1 of a new one.',
      REPLACED,
      [...replacing, state(3, NEW, 0), result(4, 1, 1010), DURABLE],
    ),
    one('replace-all', 'Nothing of it is stored.', REPLACED, [
      ...comparing,
      stored(2),
      DURABLE,
      state(3, NEW, 0),
    ]),
    one('replace-none', 'All of it is stored.', REPLACED, [
      ...comparing,
      stored(2, [7, 1010], [6, 1004]),
      DURABLE,
      state(3, NEW, 0),
    ]),
    one('replace-empty', 'There is nothing to compare.', REPLACED, [...comparing, stored(2), DURABLE], {
      ...HELD,
      posts: [],
    }),
    one(
      'refused/open',
      'The host refuses the first question.',
      ['CH-028~1'],
      [OPENS, refusal(1, ErrorCode.INTERNAL)],
    ),
    one(
      'refused/post',
      'A newer stream has the outbox.',
      ['CH-028~1'],
      [...ready, refusal(2, ErrorCode.OUTBOX_UNKNOWN), OPENS, state(1, OWN, 5, hash(5))],
    ),
    one(
      'refused/compare',
      'The comparison is refused.',
      ['CH-028~1'],
      [...comparing, refusal(2, ErrorCode.OUTBOX_UNKNOWN)],
    ),
    one(
      'refused/replace',
      'The new outbox is refused.',
      ['CH-028~1'],
      [...replacing, refusal(3, ErrorCode.OUTBOX_MISMATCH)],
    ),
    one('ends/opening', 'The stream ends before an answer.', ['CH-025~1'], [OPENS, event('ends'), OPENS]),
    one(
      'ends/ready',
      'And with posts under way.',
      ['CH-025~1'],
      [...ready, event('ends'), OPENS, state(1, OWN, 6, hash(6))],
    ),
    one('ends/replacing', 'And before the host knows the new outbox.', REPLACED, [
      ...replacing,
      event('ends'),
      OPENS,
      state(1, OWN, 8, hash(9)),
    ]),
    one('crash/answered', 'It dies before an answer is durable: the post goes out again.', ANSWERED, [
      ...ready,
      result(2, 6, 1004),
      event('crash'),
      OPENS,
      state(1, OWN, 6, hash(6)),
    ]),
    one('crash/storing', 'It dies before the new outbox is durable: it compares again.', REPLACED, [
      ...storing,
      event('crash'),
      OPENS,
      state(1, OWN, 8, hash(9)),
    ]),
    one(
      'crash/replacing',
      'It dies behind that: the host knows the old outbox, and the rest is compared.',
      REPLACED,
      [...replacing, event('crash'), OPENS, state(1, OWN, 8, hash(9))],
    ),
    unfit('stored-while-opening', 'An OutboxStored that nobody asked for.', [OPENS], stored(1, [6, 1004])),
    unfit('state-while-comparing', 'Another OutboxState.', comparing, state(2, OWN, 5, hash(5))),
    unfit('state-while-ready', 'One more when all is said.', ready, state(3, OWN, 5, hash(5))),
    unfit('replaced-by-another', 'The new outbox has another id.', replacing, state(3, FOREIGN, 0)),
    unfit('replaced-and-used', 'The new outbox is not empty.', replacing, state(3, NEW, 1, hash(7))),
    unfit('result-out-of-order', '7 is answered before 6.', ready, result(3, 7, 1010)),
    unfit('result-of-another', 'The answer to the request with 6 names 7.', ready, result(2, 7, 1010)),
    unfit('result-while-opening', 'A result without a post.', [OPENS], result(1, 6, 1004)),
    unfit('broken', 'A reply that breaks the table.', ready, reply(2, 4, number(1, 6))),
  ];
}

/** Make them. */
export function outboxes(): readonly Vector[] {
  return [...states(), ...conversations()];
}
