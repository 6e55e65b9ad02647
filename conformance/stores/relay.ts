/** A TCP relay on loopback that stands in front of a server and makes its network slow, dead or brittle. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What the relay does to new connections. */
export type RelayMode =
  | { readonly kind: 'pass' }
  /** Accept, and never say a word. */
  | { readonly kind: 'silent' }
  /** Accept, and cut. */
  | { readonly kind: 'dead' }
  /** Cut once the client has sent this many bytes. */
  | { readonly kind: 'cutUp'; readonly bytes: number }
  /** Cut once the server has sent this many bytes. */
  | { readonly kind: 'cutDown'; readonly bytes: number };

/** A relay that listens. */
export interface Relay {
  readonly port: number;
  mode: RelayMode;
  /** Connections accepted so far. */
  readonly accepted: number;
  close(): Promise<void>;
}

/** Relay connections to a port of this machine. */
export async function relayTo(targetPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const state: { mode: RelayMode; accepted: number } = { mode: { kind: 'pass' }, accepted: 0 };
  const server = createServer(client => {
    state.accepted += 1;
    keep(sockets, client);
    const { mode } = state;
    if (mode.kind === 'dead') client.destroy();
    if (mode.kind === 'dead' || mode.kind === 'silent') return;
    const target = connect(targetPort, '127.0.0.1');
    keep(sockets, target);
    const cut = (): void => {
      client.destroy();
      target.destroy();
    };
    pump(client, target, mode.kind === 'cutUp' ? mode.bytes : Number.POSITIVE_INFINITY, cut);
    pump(target, client, mode.kind === 'cutDown' ? mode.bytes : Number.POSITIVE_INFINITY, cut);
  });
  const port = await listen(server);
  return {
    port,
    get mode(): RelayMode {
      return state.mode;
    },
    set mode(mode: RelayMode) {
      state.mode = mode;
    },
    get accepted(): number {
      return state.accepted;
    },
    close: () => closeServer(server, sockets),
  };
}

/** How a lab of the store suite (behaviour.ts) makes its network slow, dead, or cut after so many bytes of an answer. */
export function relayFaults(
  relay: Relay,
  cutAfter: number,
): Readonly<Record<'slow' | 'down' | 'cut', () => Promise<void>>> {
  const set = (mode: RelayMode) => async (): Promise<void> => {
    relay.mode = mode;
  };
  return {
    slow: set({ kind: 'silent' }),
    down: set({ kind: 'dead' }),
    cut: set({ kind: 'cutDown', bytes: cutAfter }),
  };
}

/** Write `bytes` of a file, and cut `after` of the way, 0 to 1; `more` bytes of a protocol go with them. */
export async function cutWrite(
  relay: Relay,
  { bytes, after, more }: { readonly bytes: number; readonly after: number; readonly more: number },
  write: () => Promise<unknown>,
): Promise<void> {
  relay.mode = { kind: 'cutUp', bytes: Math.ceil(after * (bytes + more)) };
  await write();
  relay.mode = { kind: 'pass' };
}

function pump(from: Socket, to: Socket, bytesMax: number, cut: () => void): void {
  let bytes = 0;
  from.on('data', (part: Buffer) => {
    const left = bytesMax - bytes;
    bytes += part.length;
    if (part.length <= left) to.write(part);
    else to.write(part.subarray(0, Math.max(0, left)), cut);
  });
  from.on('end', () => to.end());
  from.on('close', () => to.destroy());
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
}

/** Listen on a free port of loopback. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Close a server and everything that it has open. */
export async function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await new Promise<void>(resolve => server.close(() => resolve()));
}
