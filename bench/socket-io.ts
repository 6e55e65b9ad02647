/** What is used of the packages that people use instead; they are installed by `npm ci --prefix bench` (bench/README.md). */

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
