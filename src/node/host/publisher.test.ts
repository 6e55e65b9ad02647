/** The end of a publisher: what it gave up does not write any more. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { fault } from '../../protocol/fault.ts';
import { SILENT_LOG } from '../log.ts';
import { Publisher } from './publisher.ts';

test('is over when no store is written any more', async () => {
  const written: string[] = [];
  const publisher = new Publisher({
    stores: [
      {
        remote: true,
        reader: { name: 'slow', read: async () => ({ kind: 'absent' }) },
        writer: {
          name: 'slow',
          publish: async () => {
            written.push('begun');
            await sleep(100);
            written.push('ended');
            return { kind: 'published' };
          },
        },
      },
    ],
    readAgainMs: 60_000,
    open: () => fault('peer', ErrorCode.FILE_MALFORMED, 'no file'),
    verified: () => {},
    older: () => {},
    ended: () => {},
    log: SILENT_LOG,
  });
  publisher.surveyed(0);
  const record = { sequence: 1, hash: new Uint8Array(32) };
  const published = publisher.publish({ record, bytes: new Uint8Array(1) }, 60_000);
  expect(written).toEqual(['begun']);
  await publisher.close();
  expect(written).toEqual(['begun', 'ended']);
  expect(await published).toBe(false);
});
