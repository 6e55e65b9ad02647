/** The reference client against the vectors of session.json that say how long it waits before it dials again (spec/05-session.md, 5.9). */
import { expect, it } from 'vitest';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { PATH_DEAD_MS, PING_IDLE_MS } from '../../src/gen/constants.ts';
import {
  ClientBench,
  close,
  device,
  hello,
  kinds,
  type Peer,
} from '../../src/protocol/testing/client-bench.ts';
import { type Fields, list, loadFamily, number, text } from './load.ts';

const vectors = loadFamily('session').vectors.filter(({ input }) => input['what'] === 'redial');
/** Beside a path that awaits its answer nothing is dialled for as long as it may. */
const ANSWER_MS = 10_000;

/** Attach a path, keep it alive, and end it; the older one is ended when another awaits Attached beside it. */
function end(bench: ClientBench, peer: Peer, path: Fields): boolean {
  const wantsNeed = (outputs: Parameters<typeof kinds>[0]): boolean => kinds(outputs).includes('need');
  const how = text(path['ends']);
  if (path['attached_ms'] === null) peer.say(hello);
  else {
    peer.attached();
    const silentMs = how === 'dead' ? PATH_DEAD_MS : 0;
    let left = number(path['attached_ms']) - silentMs;
    for (; left > 0; left -= PING_IDLE_MS) {
      bench.pass(Math.min(left, PING_IDLE_MS));
      peer.say({ kind: 'pong', id: 0 });
    }
  }
  if (path['beside'] === true) {
    bench.step({ kind: 'move' });
    bench.again();
  }
  switch (how) {
    case 'lost':
      return wantsNeed([...bench.step({ kind: 'closed', path: peer.path }), ...bench.flush()]);
    case 'dead':
      return wantsNeed(bench.pass(PATH_DEAD_MS));
    case 'garbled': {
      const bytes = new Uint8Array(128);
      return wantsNeed([...bench.step({ kind: 'message', path: peer.path, bytes }), ...bench.flush()]);
    }
    default: {
      const code = ErrorCode[text(path['code']) as keyof typeof ErrorCode];
      return wantsNeed(peer.say(close(code, path['resumable'] === true)));
    }
  }
}

/** The longest wait until the client asks for a dial, in whole milliseconds. */
function waitMs(bench: ClientBench): number {
  const from = bench.mono;
  for (;;) {
    const at = bench.client.deadline({ wall: 0, mono: bench.mono })?.at;
    if (at === undefined) throw new Error('no path is asked for');
    if (kinds(bench.pass(at - bench.mono)).includes('need')) return Math.ceil(bench.mono - from);
  }
}

it.each(vectors.map(vector => [vector.id, vector] as const))('%s', (_id, { input, output }) => {
  const bench = new ClientBench(device());
  const waits = list(input['paths']).map((path, i) => {
    const peer = i === 0 ? bench.connect() : bench.again();
    if (end(bench, peer, path)) return 0;
    if (path['beside'] !== true) return waitMs(bench);
    return kinds(bench.pass(ANSWER_MS)).includes('need') ? ANSWER_MS : null;
  });
  expect(waits).toEqual(output['waits']);
});
