/** Whatever an authenticated peer says, in every state of a path: an answer, and nothing lost that was held (ER-001~1). */
import { create } from '@bufbuild/protobuf';
import { fc, test as property } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { EnrolledSchema } from '../../src/gen/clawchat/v1/enrolment_pb.ts';
import type { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { type RotationKind, RotationNoticeSchema } from '../../src/gen/clawchat/v1/rotation_pb.ts';
import { encodeMember } from '../../src/protocol/storage.ts';
import { encodeFrame, type Frame } from '../../src/wire/frame.ts';
import { STATES as CLIENT_STATES } from './tables/client-path.ts';
import {
  attach,
  attached,
  close,
  data,
  ENROL,
  HELLO,
  MALFORMED,
  NOTICE,
  OTHER_ID,
  SESSION_ID,
  UNKNOWN,
} from './tables/frames.ts';
import { DEVICE } from './tables/host-end.ts';
import { STATES as HOST_STATES } from './tables/host-path.ts';

const number = fc.oneof(fc.nat(9), fc.maxSafeNat());
const small = fc.oneof(fc.nat(9), fc.nat(2 ** 31 - 1));
const bytes = fc.uint8Array({ maxLength: 40 });
const flag = fc.boolean();
const id = fc.oneof(fc.constantFrom(SESSION_ID, OTHER_ID), fc.uint8Array({ minLength: 16, maxLength: 16 }));

const enrolled = fc.tuple(fc.uint8Array({ maxLength: 33 }), bytes, fc.string()).map(
  ([deviceSecret, envelope, name]): Frame => ({
    kind: 'enrolled',
    enrolled: create(EnrolledSchema, { deviceSecret, envelope, name }),
  }),
);
const notice = fc.tuple(fc.nat(5), fc.nat(86_400_000), fc.nat(90_000_000), bytes).map(
  ([kind, rotatesInMs, oldEndsInMs, envelope]): Frame => ({
    kind: 'rotationNotice',
    notice: create(RotationNoticeSchema, { kind: kind as RotationKind, rotatesInMs, oldEndsInMs, envelope }),
  }),
);
const code = fc.constantFrom(0, 54, 9_999).map(of => of as ErrorCode);
const anyData = fc
  .tuple(number, small, bytes, flag, fc.constantFrom(undefined, 'echo.v1', ''), fc.option(code))
  .map(
    ([sequence, stream, payload, more, open, end]): Frame => ({
      kind: 'data',
      sequence,
      stream,
      payload,
      more,
      open,
      end: end ?? undefined,
    }),
  );
const frame: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    fc.constantFrom<Frame>(HELLO, ENROL, NOTICE, data(1), data(2), data(1, 2)),
    fc.tuple(id, number, number, flag).map(all => attach(...all)),
    fc.tuple(number, number).map(all => attached(...all)),
    fc.tuple(fc.oneof(code, fc.nat(99)), flag).map(([of, resumable]) => close(of as ErrorCode, resumable)),
    fc.tuple(fc.constantFrom('ping', 'pong'), number).map(([kind, of]): Frame => ({ kind, id: of })),
    number.map((receivedThrough): Frame => ({ kind: 'ack', receivedThrough })),
    fc.tuple(small, number).map(([stream, limit]): Frame => ({ kind: 'credit', stream, limit })),
    anyData,
    enrolled,
    notice,
  )
  .map(of => encodeFrame(of));
const broken = fc.tuple(frame, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([of, at, mask]) => {
  const out = of.slice();
  if (out.length > 0) out[at % out.length] = (out[at % out.length] ?? 0) ^ mask;
  return out;
});
const anything = fc.oneof(
  { weight: 6, arbitrary: frame },
  { weight: 2, arbitrary: broken },
  { weight: 1, arbitrary: bytes },
  { weight: 1, arbitrary: fc.constantFrom(UNKNOWN, MALFORMED) },
);
const records = fc.array(fc.array(anything, { maxLength: 5 }), { minLength: 1, maxLength: 4 });
const wait = fc.constantFrom(0, 1_000, 60_000);

describe('whatever comes on a path', () => {
  property.prop([fc.constantFrom(...HOST_STATES), records, wait], { numRuns: 300 })(
    'leaves a host its members, and able to serve the device',
    ([, make], said, waitMs) => {
      const { world, path } = make();
      const { registry } = world.server;
      for (const frames of said) path.say(...frames);
      world.pass(waitMs);
      world.commit();
      for (const [device, before] of registry.devices) {
        const now = world.server.registry.devices.get(device);
        expect({ ...now, lastSeenAtMs: 0, pending: false }).toEqual({
          ...before,
          lastSeenAtMs: 0,
          pending: false,
        });
      }
      const again = world.dial(DEVICE).open(HELLO, attach(new Uint8Array(16).fill(7), 1, 0, true), data(1));
      expect(again.state).toBe('attached');
      expect(world.take(again)).toContain('delivers');
    },
  );

  property.prop([fc.constantFrom(...CLIENT_STATES), records, wait], { numRuns: 300 })(
    'leaves a client its membership and its record',
    ([, make], said, waitMs) => {
      const { world, path } = make();
      const member = world.client.member;
      if (member === undefined) throw new Error('no member');
      const before = encodeMember(member);
      for (const frames of said) path.say(...frames);
      world.pass(waitMs);
      expect(world.client.member && encodeMember(world.client.member)).toEqual(before);
    },
  );
});
