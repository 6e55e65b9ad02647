/** What somebody reads of their own device. */
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ControlClientStatusSchema, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { describeStatus } from './client-status.ts';

afterEach(() => vi.restoreAllMocks());

let printed = '';
beforeEach(() => {
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += text.toString();
    return true;
  });
});

// DI-064~1
it('sequence and hash of the highest record are shown, so that they can be read out to the operator', () => {
  const recordHash = Uint8Array.from({ length: 32 }, (_, index) => index);
  const validUntilMs = BigInt(Date.now() + 60_000);
  const about = { joined: true, sequence: 2n ** 53n - 1n, recordHash, validUntilMs };
  const status = create(ControlClientStatusSchema, about);
  describeStatus(status, false);
  expect(printed).toMatch(/^record {5}number 9007199254740991, hash 0001020304050607, /m);
  printed = '';
  describeStatus(status, true);
  expect(JSON.parse(printed)).toMatchObject({
    sequence: Number.MAX_SAFE_INTEGER,
    record_hash: Buffer.from(recordHash).toString('hex'),
  });
});

it('a store that no process reads is told from one that is about to be read', () => {
  const show = (link: ControlLinkState): string => {
    printed = '';
    const stores = [{ name: 'https://s/f', standing: 'unknown' }];
    const validUntilMs = BigInt(Date.now() - 10_000);
    const about = { joined: true, sequence: 5n, unacknowledged: 1, validUntilMs, link, stores };
    describeStatus(create(ControlClientStatusSchema, about), false);
    return printed;
  };
  const idle = show(ControlLinkState.IDLE);
  expect(idle).toContain('https://s/f: not read while nothing is connected; to read it: clawchat doctor\n');
  expect(idle).toMatch(/record {5}number 5, hash .*, ended 10 s ago\n/);
  expect(idle).toContain("waiting    1 message for the host's word\n");
  expect(show(ControlLinkState.CONNECTING)).toContain('https://s/f: not read yet\n');
});

it('the words that its host has for this device stand among what names it (EN-041~1)', () => {
  const status = create(ControlClientStatusSchema, { joined: true, words: 'lusab-babad-gutih-tugad' });
  describeStatus(status, false);
  expect(printed).toContain('words      lusab-babad-gutih-tugad\n');
  printed = '';
  describeStatus(status, true);
  expect(JSON.parse(printed)).toMatchObject({ words: 'lusab-babad-gutih-tugad' });
});
