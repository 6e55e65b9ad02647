/** Asks a time server how far this machine's clock is off: SNTP (RFC 4330), or the Date of an HTTPS server. */
import { createSocket } from 'node:dgram';
import { request } from 'node:https';

/** How long a time server has to answer. */
const ANSWER_MS_MAX = 5000;
const NTP_PORT = 123;
const PACKET_BYTES = 48;
/** From 1900, where NTP begins to count, to 1970. */
const NTP_TO_UNIX_S = 2_208_988_800;
const CLIENT_MODE = 0x23;
const SERVER_MODE = 4;

/**
 * Say by how many milliseconds this clock is ahead (positive) or behind; undefined when nobody could tell.
 *
 * `server` is `host`, `host:port` (SNTP), or an `https://` URL whose Date is read, to a second.
 */
export function clockOffset(server: string): Promise<number | undefined> {
  if (server.startsWith('https://')) return httpsOffset(server);
  const match = /^(\[[0-9a-f:]+\]|[^:]+)(?::(\d+))?$/i.exec(server);
  if (match?.[1] === undefined) return Promise.resolve(undefined);
  const host = match[1].replace(/^\[|\]$/g, '');
  return sntpOffset(host, match[2] === undefined ? NTP_PORT : Number(match[2]));
}

function sntpOffset(host: string, port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => finish(undefined), ANSWER_MS_MAX);
    const finish = (offset: number | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      resolve(offset);
    };
    let sentAt = 0;
    // The server gives the transmit stamp back: an answer without it is somebody else's.
    const stamp = Buffer.alloc(8);
    socket.on('error', () => finish(undefined));
    socket.on('message', answer => {
      const receivedAt = Date.now();
      const isOurs = answer.length >= PACKET_BYTES && answer.subarray(24, 32).equals(stamp);
      const stratum = answer[1] ?? 0;
      if (!isOurs || ((answer[0] ?? 0) & 7) !== SERVER_MODE || stratum === 0) return;
      const arrived = readStamp(answer, 32);
      const left = readStamp(answer, 40);
      finish(Math.round((sentAt - arrived + (receivedAt - left)) / 2));
    });
    const packet = Buffer.alloc(PACKET_BYTES);
    packet[0] = CLIENT_MODE;
    sentAt = Date.now();
    writeStamp(stamp, sentAt);
    stamp.copy(packet, 40);
    socket.send(packet, port, host, error => {
      if (error !== null) finish(undefined);
    });
  });
}

function readStamp(bytes: Buffer, at: number): number {
  return (bytes.readUInt32BE(at) - NTP_TO_UNIX_S) * 1000 + (bytes.readUInt32BE(at + 4) / 2 ** 32) * 1000;
}

function writeStamp(bytes: Buffer, unixMs: number): void {
  bytes.writeUInt32BE((Math.floor(unixMs / 1000) + NTP_TO_UNIX_S) % 2 ** 32, 0);
  bytes.writeUInt32BE(Math.floor(((unixMs % 1000) / 1000) * 2 ** 32), 4);
}

function httpsOffset(url: string): Promise<number | undefined> {
  return new Promise(resolve => {
    const asked = request(url, { method: 'HEAD', timeout: ANSWER_MS_MAX }, response => {
      response.resume();
      const date = Date.parse(response.headers.date ?? '');
      // A Date is cut to the second: half of one is the best guess.
      resolve(Number.isNaN(date) ? undefined : Date.now() - date - 500);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}
