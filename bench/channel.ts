/** A handshake and a channel without a network, both sides in one process (bench/README.md). */
import { HandshakeState } from '../src/crypto/noise.ts';
import { Records } from '../src/crypto/record.ts';
import type { Suite, X25519Key } from '../src/crypto/suite.ts';
import { PAYLOAD_BYTES_MAX } from '../src/gen/constants.ts';
import { RowReader, RowWriter } from '../src/wire/row.ts';
import { channelKey, named } from './cast.ts';

const EMPTY = new Uint8Array(0);
const psk = named('psk');

/** The value, which is no fault. */
export function must<T extends object>(value: T): Exclude<T, { readonly kind: 'fault' }> {
  if ('kind' in value && value.kind === 'fault') throw new Error(JSON.stringify(value));
  return value as Exclude<T, { readonly kind: 'fault' }>;
}

/** Three Noise messages, both sides, on any suite. */
function noiseHandshake(suite: Suite): readonly [Records, Records] {
  const prologue = named('prologue');
  const s = suite.x25519Key(named('device key 0'));
  const h = suite.x25519Key(channelKey);
  return exchange(suite, { prologue, psk }, s, h);
}

/** The same for keys that are ready. */
export function exchange(
  suite: Suite,
  about: { readonly prologue: Uint8Array; readonly psk: Uint8Array },
  client: X25519Key,
  host: X25519Key,
): readonly [Records, Records] {
  const initiator = HandshakeState.initiator({ suite, ...about, s: client, rs: host.public });
  const responder = HandshakeState.responder({ suite, ...about, s: host });
  const fresh = (): X25519Key => suite.x25519Key(suite.randomBytes(32));
  must(responder.readMessage(must(initiator.writeMessage(EMPTY, fresh())).message));
  must(initiator.readMessage(must(responder.writeMessage(new Uint8Array(64), fresh())).message));
  must(responder.readMessage(must(initiator.writeMessage(EMPTY)).message));
  return [new Records(initiator.split()), new Records(responder.split())];
}

/** A sender and a receiver that take fresh keys before the records run out. */
export function sealer(suite: Suite): (plaintext: Uint8Array) => Uint8Array {
  let [sender, receiver] = noiseHandshake(suite);
  return plaintext => {
    const record = sender.seal(plaintext);
    const opened = record && receiver.open(record);
    if (opened === undefined) throw new Error(`${sender.fault ?? receiver.fault}`);
    if (sender.renew) [sender, receiver] = noiseHandshake(suite);
    return opened;
  };
}

/** Write a message as frames, seal and open its records, and read the frames. */
export function messenger(suite: Suite, bytes: number): () => void {
  const seal = sealer(suite);
  const writer = new RowWriter();
  const message = new Uint8Array(bytes).fill(7);
  const send = (): void => {
    const reader = new RowReader(seal(writer.finish()));
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) must(frame);
  };
  return () => {
    for (let at = 0, sequence = 1; at < bytes; at += PAYLOAD_BYTES_MAX, sequence += 1) {
      const payload = message.subarray(at, at + PAYLOAD_BYTES_MAX);
      const more = at + payload.length < bytes;
      writer.hot({ kind: 'data', sequence, stream: 1, payload, more, open: undefined, end: undefined });
      send();
    }
  };
}
