/** Frames as the tables of paths give them to a machine, and words for what a machine does (spec/05-session.md). */
import { create } from '@bufbuild/protobuf';
import { EnrolledSchema, EnrolSchema } from '../../../src/gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../../../src/gen/clawchat/v1/handshake_pb.ts';
import { RotationNoticeSchema } from '../../../src/gen/clawchat/v1/rotation_pb.ts';
import { codeName } from '../../../src/protocol/fault.ts';
import { named } from '../../../src/protocol/fixtures.ts';
import { encodeFrame, type Frame } from '../../../src/wire/frame.ts';
import { suite } from './grid.ts';

export const SESSION_ID: Uint8Array = named(suite, 'session').slice(0, 16);
export const OTHER_ID: Uint8Array = named(suite, 'another session').slice(0, 16);

export const HELLO: Frame = { kind: 'hello', hello: create(HelloSchema, { protocolVersion: 1 }) };
export const ENROL: Frame = {
  kind: 'enrol',
  enrol: create(EnrolSchema, { deviceKey: named(suite, 'key of the joiner'), name: 'bob' }),
};
export const NOTICE: Frame & { readonly kind: 'rotationNotice' } = {
  kind: 'rotationNotice',
  notice: create(RotationNoticeSchema, { kind: 1, rotatesInMs: 120_000, oldEndsInMs: 420_000 }),
};
/** A frame without a body that this version knows: field 99. */
export const UNKNOWN: Uint8Array = Uint8Array.of(0x9a, 0x06, 0);
/** A Ping whose body is cut off. */
export const MALFORMED: Uint8Array = Uint8Array.of(0x3a, 5, 0);

export function enrolled(envelope: Uint8Array): Frame {
  const about = { deviceSecret: named(suite, 'device secret'), envelope, name: 'bob' };
  return { kind: 'enrolled', enrolled: create(EnrolledSchema, about) };
}

export function attach(sessionId: Uint8Array, generation: number, receivedThrough = 0, open = false): Frame {
  return { kind: 'attach', sessionId, generation, receivedThrough, open };
}

export function attached(generation: number, receivedThrough = 0): Frame {
  return { kind: 'attached', generation, receivedThrough };
}

export function close(code: ErrorCode, resumable: boolean): Frame {
  return { kind: 'close', code, resumable };
}

/** Data `sequence` of stream 1, which the first one opens. */
export function data(sequence: number, stream = 1): Frame {
  const payload = Uint8Array.of(sequence);
  const open = sequence === 1 ? 'echo.v1' : undefined;
  return { kind: 'data', sequence, stream, payload, more: false, open, end: undefined };
}

export const bytesOf = (frame: Frame | Uint8Array): Uint8Array =>
  frame instanceof Uint8Array ? frame : encodeFrame(frame);

/** Which frames came, for a person. */
export function frameWord(frame: Frame): string {
  if (frame.kind !== 'close') return `${frame.kind[0]?.toUpperCase()}${frame.kind.slice(1)}`;
  const code = frame.code === ErrorCode.UNSPECIFIED ? 'unspecified' : `\`${codeName(frame.code)}\``;
  return `Close{${code}${frame.resumable ? ', resumable' : ''}}`;
}
