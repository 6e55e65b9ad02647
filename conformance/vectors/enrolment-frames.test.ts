/** The host's machine against the vectors of enrolment.json that are about frames on a path of an invite or a device. */
import { describe, expect, it } from 'vitest';
import { noble } from '../../src/crypto/noble.ts';
import type { Suite } from '../../src/crypto/suite.ts';
import { native } from '../../src/node/native.ts';
import { encodeFrame } from '../../src/wire/frame.ts';
import { HostSide } from './host-side.ts';
import { bytes, type Fields, hex, list, loadFamily, type Vector } from './load.ts';
import { refusal } from './wire-end.ts';

const PREFIX = 'enrolment/host/frame/';
const vectors = loadFamily('enrolment').vectors.filter(({ id }) => id.startsWith(PREFIX));

/** What the machine does and says, in the words of the vectors. */
function play(side: HostSide, frame: Uint8Array): Fields {
  const [acts, says] = [side.log.length, side.effects.sent.length];
  const before = side.registry;
  side.hear('P', frame);
  const does = new Set<string>();
  for (const { kind } of side.log.slice(acts)) {
    if (kind === 'persist') does.add('commit');
    else if (kind === 'publish' || kind === 'alarm') does.add(kind);
    else if (kind === 'close') does.add('close this path');
  }
  const replies = side.effects.sent.slice(says).map(sent => hex(encodeFrame(sent.frame)));
  expect(replies.length).toBeLessThan(2);
  // None of these frames changes who is known: the invite stays open, and nobody has enrolled.
  expect(side.registry).toEqual(before);
  const state = { invite: 'OPEN', device: 'none', does: [...does] };
  return replies[0] === undefined ? state : { ...state, reply: replies[0] };
}

function check(suite: Suite, { input, output, error }: Vector): void {
  const [step, ...more] = list(input['steps']);
  if (step === undefined || more.length > 0) throw new Error('the test knows vectors of one step');
  const side = new HostSide(suite);
  side.open('P', true, step['path'] === 'device' ? 'device' : 'invite');
  expect([play(side, bytes(step['frame']))]).toEqual(output['steps']);
  expect(refusal(side.effects)).toBe(error);
}

for (const suite of [native, noble]) {
  describe(suite.name, () => {
    it.each(vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) => check(suite, vector));
  });
}

it('there are such vectors', () => expect(vectors.length).toBe(12));
