/** Frames a server's WebSocket messages, which `ws` would write in two pieces (RFC 6455, 5.2). */

const BINARY_AND_FINAL = 0x82;
const LENGTH_16 = 126;
/** Longer messages have another header; no message of the protocol is. */
const MESSAGE_BYTES_MAX = 65_535;

/**
 * Put the header of a binary message before `bytes`, in place when their buffer has `room` for it.
 * At most 65,535 bytes. A message is one write, so that TLS neither joins pieces nor seals two records.
 */
export function serverMessage(bytes: Uint8Array, room: number): Uint8Array {
  const { buffer, byteOffset, length } = bytes;
  if (length > MESSAGE_BYTES_MAX) throw new RangeError(`a message has ${length} bytes`);
  const head = length < LENGTH_16 ? 2 : 4;
  let message: Uint8Array;
  if (room >= head) message = new Uint8Array(buffer, byteOffset - head, head + length);
  else {
    message = new Uint8Array(head + length);
    message.set(bytes, head);
  }
  message[0] = BINARY_AND_FINAL;
  if (head === 2) message[1] = length;
  else {
    message[1] = LENGTH_16;
    message[2] = length >>> 8;
    message[3] = length & 0xff;
  }
  return message;
}
