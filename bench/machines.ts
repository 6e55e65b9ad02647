/** Both machines in one process without sockets: what a profile of their own cost looks at (bench/README.md). */
import { native } from '../src/node/native.ts';
import { Client } from '../src/protocol/client.ts';
import type { Now } from '../src/protocol/now.ts';
import { Server } from '../src/protocol/server.ts';
import type { SessionEvent } from '../src/protocol/session-io.ts';
import { Streams } from '../src/runtime/streams.ts';
import type { ServiceStream } from '../src/services/ports.ts';
import { accessKey, channelKey, held, makeEnvelope, member, named, registry, trust } from './cast.ts';

const [bytes = 256, inFlight = 64, messages = 400_000] = process.argv.slice(2).map(Number);
const envelope = makeEnvelope(50_000, named('pin'));
const server = new Server({
  suite: native,
  serverId: trust.serverId,
  registry: registry(1),
  accessKeys: [accessKey],
  channelKeys: [{ privateKey: channelKey, notAfterMs: Number.MAX_SAFE_INTEGER }],
  envelope,
  witness: undefined,
  software: 'bench',
});
const client = new Client({ suite: native, member: member(0, held(envelope)), software: 'bench' });
const now = (): Now => ({ wall: Date.now(), mono: Math.floor(performance.now()) });

const toServer: Uint8Array[] = [];
const toClient: Uint8Array[] = [];
const flush = (): void => {};
let hostUs = 0;
let records = 0;
let hostStreams: Streams | undefined;
let clientStreams: Streams | undefined;
let echo: ServiceStream | undefined;
let echoed = 0;
let sent = 0;
const message = new Uint8Array(bytes).fill(7);

function send(): void {
  if (sent >= messages) return;
  sent += 1;
  echo?.send(message);
}

function stepServer(input: Parameters<Server['step']>[0]): void {
  const at = now();
  for (const output of server.step(input, at)) {
    if (output.kind === 'send') toClient.push(output.bytes);
    else if (output.kind === 'deliver') hostStreams?.take(output.event as SessionEvent, at.wall);
    else if (output.kind === 'opened') {
      const { session } = output;
      const { sessions } = server;
      hostStreams = new Streams(
        {
          write: (stream, payload) => sessions.write(session, stream, payload),
          end: stream => sessions.end(session, stream),
          abort: (stream, code) => sessions.abort(session, stream, code),
          taken: (stream, cost) => sessions.taken(session, stream, cost),
          flush,
        },
        (_service, stream) => ({
          message: each => void stream.send(each),
          writable: () => {},
          closed: () => {},
        }),
      );
    }
  }
}

function stepClient(input: Parameters<Client['step']>[0]): void {
  for (const output of client.step(input, now())) {
    if (output.kind === 'need') stepClient({ kind: 'dial', entropy: native.randomBytes(64) });
    else if (output.kind === 'dial') {
      const { path, token } = output;
      stepServer({ kind: 'offer', path: 1, token, acceptedAt: now().mono, entropy: native.randomBytes(64) });
      stepClient({ kind: 'open', path });
    } else if (output.kind === 'send') toServer.push(output.bytes);
    else if (output.kind === 'deliver') clientStreams?.take(output.event, 0);
    else if (output.kind === 'opened') {
      const { session } = output;
      clientStreams = new Streams(
        {
          write: (stream, payload) => client.write(session, stream, payload),
          end: stream => client.end(session, stream),
          abort: (stream, code) => client.abort(session, stream, code),
          taken: (stream, cost) => client.taken(session, stream, cost),
          flush,
        },
        () => undefined,
      );
      const id = client.open(session, 'echo');
      if (id === undefined) throw new Error('no stream');
      clientStreams.bind(id, stream => {
        echo = stream;
        return {
          message: () => {
            echoed += 1;
            send();
          },
          writable: () => {},
          closed: () => {},
        };
      });
    } else if (output.kind === 'attached') for (let i = 0; i < inFlight; i += 1) send();
  }
}

/** One turn of the event loop on each side. */
function turn(): void {
  const before = process.cpuUsage();
  for (const each of toServer.splice(0)) {
    records += 1;
    stepServer({ kind: 'message', path: 1, bytes: each });
    stepServer({ kind: 'written', path: 1, bytes: 65_535 });
  }
  stepServer({ kind: 'tick' });
  const { user, system } = process.cpuUsage(before);
  hostUs += user + system;
  for (const each of toClient.splice(0)) {
    stepClient({ kind: 'message', path: 1, bytes: each });
    stepClient({ kind: 'written', path: 1, bytes: 65_535 });
  }
  stepClient({ kind: 'tick' });
}

stepClient({ kind: 'start' });
stepClient({ kind: 'tick' });
while (echoed < messages / 4) turn();
hostUs = 0;
records = 0;
const from = echoed;
while (echoed < messages) turn();
const count = echoed - from;
console.log(
  `${(hostUs / count).toFixed(2)} us of the host for each message, ${(count / records).toFixed(1)} a record`,
);
