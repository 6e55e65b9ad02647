/** What is used of the packages that people use instead; they are installed by `npm ci --prefix bench` (bench/README.md). */
import { createRequire } from 'node:module';

/** The directory of bench/, which the bundler puts in: bundles lie elsewhere. */
declare const __BENCH__: string;

/** Load one of those packages; throws when it is not installed. */
export function requirePeer<T>(name: string): T {
  return createRequire(__BENCH__)(name) as T;
}

/** One side of a socket.io connection. */
export interface SocketIo {
  on(event: string, listener: (data: unknown) => void): unknown;
  emit(event: string, data: unknown): unknown;
  disconnect(): unknown;
}

/** The class Server of socket.io. */
export type SocketIoServer = new (
  server: unknown,
  options: object,
) => { on(event: 'connection', listener: (socket: SocketIo) => void): unknown };

/** The function io of socket.io-client. */
export type SocketIoConnect = (url: string, options: object) => SocketIo;
