/** Vectors: whole conversations, as records (spec/05-session.md). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { hex } from '../bytes.ts';
import { type BodyInit, encodeFrame, pad, row } from '../frame.ts';
import { judgeSession } from '../judge/session.ts';
import { ack, attach, attached, closeBody, data } from '../session-cases.ts';
import { clientOf, converse, hostOf, SETTING } from '../sides.ts';
import { sealRecord } from '../transport.ts';
import type { JsonObject, Vector } from '../vector.ts';

const PATHS = {
  A: converse(clientOf(SETTING), hostOf(SETTING)).client,
  B: converse(clientOf({ ...SETTING, tape: 'second-path' }), hostOf({ ...SETTING, tape: 'second-path' }))
    .client,
};

interface Said {
  readonly path: 'A' | 'B';
  readonly from: 'client' | 'host';
  readonly arrives: boolean;
  readonly frames: readonly BodyInit[];
}

const says = (path: 'A' | 'B', from: 'client' | 'host', ...frames: readonly BodyInit[]): Said => ({
  path,
  from,
  arrives: true,
  frames,
});
const lost = (said: Said): Said => ({ ...said, arrives: false });

function conversation(id: string, note: string, said: readonly Said[]): Vector {
  const places = new Map<string, number>();
  const records = said.map(({ path, from, arrives, frames }) => {
    const place = places.get(path + from) ?? 0;
    places.set(path + from, place + 1);
    const key = from === 'client' ? PATHS[path].initiatorKey : PATHS[path].responderKey;
    const plain = pad(row(frames.map(encodeFrame)));
    return { path, from, arrives, record: hex(sealRecord(key, place, plain)) };
  });
  const keys = (path: 'A' | 'B'): JsonObject => ({
    initiator_key: hex(PATHS[path].initiatorKey),
    responder_key: hex(PATHS[path].responderKey),
  });
  const used = said.some(({ path }) => path === 'B') ? { A: keys('A'), B: keys('B') } : { A: keys('A') };
  const input: JsonObject = { what: 'conversation', paths: used, records };
  return {
    id: `session/conversation/${id}`,
    note,
    req: ['RC-001~1', 'RC-002~1', 'SE-015~1', 'SE-017~1'],
    flags: ['known-answer', 'nonce', 'retransmission'],
    phase: 'state',
    ...judgeSession(input, {}, new Map()),
    input,
  };
}

const hello = (software: string): BodyInit => ({ case: 'hello', value: { protocolVersion: 1, software } });
const credit = (stream: number, limit: bigint): BodyInit => ({ case: 'credit', value: { stream, limit } });

/** Make them. */
export function conversations(): Vector[] {
  const begin = [
    says('A', 'client', hello('example 1'), attach(1, 0, true)),
    says('A', 'host', hello('host 1'), attached(1)),
    says('A', 'client', data(1, 'one', { opens: 'echo.v1' }), data(2, 'two')),
    says('A', 'host', ack(2), data(1, 'ONE')),
  ];
  return [
    conversation('echo', 'A session on one path, from Hello to Close.', [
      ...begin,
      says('A', 'client', ack(1), data(3, 'three', { ends: 0 })),
      says('A', 'host', ack(3), data(2, 'THREE', { ends: 0 })),
      says('A', 'client', ack(2), closeBody('UNSPECIFIED')),
    ]),
    conversation(
      'resume',
      'The path dies while a frame of each side is under way; both are sent again on the next path, and arrive once.',
      [
        ...begin,
        lost(says('A', 'host', data(2, 'TWO'))),
        lost(says('A', 'client', ack(1), data(3, 'three'))),
        says('B', 'client', hello('example 1'), attach(2, 1)),
        says('B', 'host', hello('host 1'), attached(2, 2), data(2, 'TWO')),
        says('B', 'client', ack(2), data(3, 'three')),
        says('B', 'host', ack(3), credit(1, 16_384n)),
        says('B', 'client', closeBody('UNSPECIFIED')),
      ],
    ),
    conversation(
      'move',
      'Make before break: the older path carries frames until Attached, and is closed then.',
      [
        ...begin,
        says('B', 'client', hello('example 1'), attach(2, 1)),
        says('A', 'host', data(2, 'TWO')),
        says('A', 'host', { case: 'close', value: { code: ErrorCode.PATH_SUPERSEDED, resumable: true } }),
        says('B', 'host', hello('host 1'), attached(2, 2), data(2, 'TWO')),
        says('B', 'client', ack(2), data(3, 'three')),
        says('B', 'host', ack(3)),
      ],
    ),
  ];
}
