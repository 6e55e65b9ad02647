/** A time server on the loopback, for tests of who asks one (RFC 4330). */
import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

const UNIX_AT_NTP_S = 2_208_988_800;

/** A server that answers. */
export interface TimeServer {
  readonly address: string;
  close(): void;
}

/** Start one whose clock is `offMs` ahead of this machine's; `change` may spoil its answer, an empty one is not sent. */
export async function startTimeServer(
  offMs: number,
  change: (answer: Buffer) => Buffer = answer => answer,
): Promise<TimeServer> {
  const socket = createSocket('udp4');
  socket.on('message', (asked, peer) => {
    const answer = Buffer.alloc(48);
    answer[0] = 0x24;
    answer[1] = 2;
    asked.copy(answer, 24, 40, 48);
    for (const at of [32, 40]) {
      const now = Date.now() + offMs;
      answer.writeUInt32BE(Math.floor(now / 1000) + UNIX_AT_NTP_S, at);
      answer.writeUInt32BE(Math.floor(((now % 1000) / 1000) * 2 ** 32), at + 4);
    }
    const sent = change(answer);
    if (sent.length > 0) socket.send(sent, peer.port, peer.address);
  });
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, close: () => socket.close() };
}
