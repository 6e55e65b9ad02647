/** What somebody reads of their own device. */
import { create } from '@bufbuild/protobuf';
import { afterEach, expect, it, vi } from 'vitest';
import { ControlClientStatusSchema, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { describeStatus } from './client-status.ts';

afterEach(() => vi.restoreAllMocks());

it('a store that no process reads is told from one that is about to be read', () => {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += text.toString();
    return true;
  });
  const show = (link: ControlLinkState): string => {
    printed = '';
    const stores = [{ name: 'https://s/f', standing: 'unknown' }];
    const validUntilMs = BigInt(Date.now() - 10_000);
    const about = { joined: true, sequence: 5n, unacknowledged: 1, validUntilMs, link, stores };
    describeStatus(create(ControlClientStatusSchema, about), false);
    return printed;
  };
  const idle = show(ControlLinkState.IDLE);
  expect(idle).toContain('https://s/f: not read while nothing is connected; clawchat doctor reads it\n');
  expect(idle).toMatch(/record {5}number 5, hash .*, ended 10 s ago\n/);
  expect(idle).toContain("waiting    1 message for the host's word\n");
  expect(show(ControlLinkState.CONNECTING)).toContain('https://s/f: not read yet\n');
});
