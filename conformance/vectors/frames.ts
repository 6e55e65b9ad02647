/** Frames as the vectors show them, and records made of frames that no writer of `src/` would write. */
import { CipherState } from '../../src/crypto/cipher-state.ts';
import type { Aead, Suite } from '../../src/crypto/suite.ts';
import { codeName } from '../../src/protocol/fault.ts';
import { concat } from '../../src/wire/bytes.ts';
import type { Frame } from '../../src/wire/frame.ts';
import { paddedBytes } from '../../src/wire/row.ts';
import { varintBytes, writeVarint } from '../../src/wire/varint.ts';
import { type Fields, hex } from './load.ts';

const KINDS = ['', 'MOVE', 'HOLD', 'EMERGENCY', 'RECORD'] as const;
/** The longest payload that a vector shows whole. */
const SHOWN_BYTES_MAX = 64;

/** Show a frame with the names of `proto/`; one that is ignored shows nothing. */
export function shownFrame(frame: Frame): Fields {
  switch (frame.kind) {
    case 'unknown':
      return {};
    case 'hello': {
      const { protocolVersion, features, software } = frame.hello;
      return { hello: { protocol_version: protocolVersion, features: [...features], software } };
    }
    case 'attach': {
      const { sessionId, generation, receivedThrough, open } = frame;
      return {
        attach: { session_id: hex(sessionId), generation, received_through: receivedThrough, open },
      };
    }
    case 'attached': {
      const { generation, receivedThrough } = frame;
      return { attached: { generation, received_through: receivedThrough } };
    }
    case 'data': {
      const { sequence, stream, payload, more, open, end } = frame;
      return {
        data: {
          sequence,
          stream,
          payload_bytes: payload.length,
          ...(payload.length > SHOWN_BYTES_MAX ? {} : { payload: hex(payload) }),
          more,
          ...(open === undefined ? {} : { open: { service: open } }),
          ...(end === undefined ? {} : { end: { code: codeName(end) } }),
        },
      };
    }
    case 'ack':
      return { ack: { received_through: frame.receivedThrough } };
    case 'credit':
      return { credit: { stream: frame.stream, limit: frame.limit } };
    case 'ping':
    case 'pong':
      return { [frame.kind]: { id: frame.id } };
    case 'rotationNotice': {
      const { kind, rotatesInMs, oldEndsInMs, envelope } = frame.notice;
      const name = KINDS[kind];
      if (name === undefined || name === '') return {};
      const times = { rotates_in_ms: rotatesInMs, old_ends_in_ms: oldEndsInMs };
      return { rotation_notice: { kind: name, ...times, envelope: hex(envelope) } };
    }
    case 'close':
      return { close: { code: codeName(frame.code), resumable: frame.resumable } };
    case 'enrol':
      return { enrol: { device_key: hex(frame.enrol.deviceKey), name: frame.enrol.name } };
    case 'enrolled': {
      const { deviceSecret, envelope, name } = frame.enrolled;
      return { enrolled: { device_secret: hex(deviceSecret), envelope: hex(envelope), name } };
    }
  }
}

/** Put encoded frames, whatever is in them, into the plaintext of a record. */
export function rowOf(frames: readonly Uint8Array[]): Uint8Array {
  const row = concat(
    ...frames.flatMap(frame => {
      const length = new Uint8Array(varintBytes(frame.length));
      writeVarint(length, 0, frame.length);
      return [length, frame];
    }),
  );
  const plaintext = new Uint8Array(paddedBytes(row.length));
  plaintext.set(row);
  return plaintext;
}

/** Make one direction of a path that has carried `place` records: up to there its cipher only counts. The key is copied. */
export function cipherAt(suite: Suite, key: Uint8Array, place: number): CipherState {
  let calls = 0;
  const skips = (): boolean => {
    calls += 1;
    return calls <= place;
  };
  const at = (of: Suite): Suite => ({
    ...of,
    aead: k => {
      const real = of.aead(k);
      const aead: Aead = {
        seal: (...given) => (skips() ? new Uint8Array(0) : real.seal(...given)),
        sealInto: (...given) => void (skips() || real.sealInto(...given)),
        open: (...given) => (skips() ? new Uint8Array(0) : real.open(...given)),
        destroy: () => real.destroy(),
      };
      return aead;
    },
  });
  return new CipherState(at(suite), key.slice());
}
