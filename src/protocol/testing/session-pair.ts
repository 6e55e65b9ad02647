/** Two sessions and what goes between them, without paths. */
import { expect } from 'vitest';
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { DataFrame, Frame } from '../../wire/frame.ts';
import { RowReader, RowWriter } from '../../wire/row.ts';
import { Session } from '../session.ts';
import type { Budget, SessionEvent } from '../session-io.ts';

export const bytes = (length: number, fill = 1): Uint8Array => new Uint8Array(length).fill(fill);
export const budget = (bytesMax: number = 2 ** 40): Budget => ({ bytes: 0, bytesMax });

/** Take the records that a session would send now. */
export function records(session: Session, now = 0): Uint8Array[] {
  const writer = new RowWriter();
  const out: Uint8Array[] = [];
  for (let more = true; more; ) {
    more = session.fill(writer, now);
    if (writer.empty) return out;
    out.push(Uint8Array.from(writer.finish()));
  }
  return out;
}

export function framesOf(record: Uint8Array): Frame[] {
  const reader = new RowReader(record);
  const out: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    if (frame.kind === 'fault') throw new Error(frame.detail);
    out.push(frame);
  }
  return out;
}

/** Hand a frame over; gives the code of the fault it causes. */
export function give(session: Session, frame: Frame, now = 0): ErrorCode | undefined {
  if (frame.kind !== 'data' && frame.kind !== 'ack' && frame.kind !== 'credit') throw new Error(frame.kind);
  return session.receive(frame, now)?.code;
}

/** Exchange records until both sides are silent. */
export function settle(a: Session, b: Session, now = 0): void {
  for (let quiet = false; !quiet; ) {
    quiet = true;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const frame of records(from, now).flatMap(framesOf)) {
        quiet = false;
        expect(give(to, frame, now)).toBeUndefined();
      }
    }
  }
}

export function drain(session: Session): SessionEvent[] {
  return session.events.splice(0);
}

export const data = (over: Partial<DataFrame>): DataFrame => ({
  kind: 'data',
  sequence: 1,
  stream: 1,
  payload: bytes(1),
  more: false,
  open: 'x',
  end: undefined,
  ...over,
});

export function open(): { client: Session; host: Session; stream: number } {
  const client = new Session('client', budget());
  const host = new Session('host', budget());
  const stream = client.open('chat.v1') ?? 0;
  return { client, host, stream };
}
