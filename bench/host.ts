/** A host with an echo service, built from the parts of clawchatd: the server that is measured (bench/README.md). */
import { makeCertificate } from '../src/node/certificate.ts';
import { HostDriver } from '../src/node/host/driver.ts';
import { Listener } from '../src/node/listen.ts';
import { SILENT_LOG } from '../src/node/log.ts';
import { native } from '../src/node/native.ts';
import { Server } from '../src/protocol/server.ts';
import type { ServiceStream, StreamHandler } from '../src/services/ports.ts';
import { accessKey, channelKey, makeEnvelope, registry, trust } from './cast.ts';
import { answer } from './child.ts';
import { suiteOf } from './suite.ts';

/** What a load needs to reach a server. */
export interface Place {
  readonly port: number;
  readonly envelope: Uint8Array;
}

const [, , kind] = process.argv;
const streams = new Set<ServiceStream>();

/** Send back what comes. */
function echo(_service: string, stream: ServiceStream): StreamHandler {
  streams.add(stream);
  return {
    message: message => void stream.send(message),
    writable: () => {},
    closed: () => void streams.delete(stream),
  };
}

const responderKey = { privateKey: channelKey, notAfterMs: Number.MAX_SAFE_INTEGER };

async function start(devices: number): Promise<Place> {
  const server = new Server({
    suite: suiteOf(kind === 'unsealed' ? kind : 'clawchat'),
    serverId: trust.serverId,
    registry: registry(devices),
    accessKeys: [accessKey],
    channelKeys: [responderKey],
    envelope: new Uint8Array(0),
    witness: undefined,
    software: 'bench',
  });
  const driver = new HostDriver(
    server,
    {
      persist: () => Promise.resolve(),
      publish: () => {},
      failed: reason => {
        throw reason;
      },
      accept: () => echo,
      noticeFor: () => undefined,
      report: () => {},
    },
    SILENT_LOG,
  );
  const certificate = makeCertificate(native, Date.now());
  const listener = await Listener.open({ host: '127.0.0.1', port: 0, identity: certificate }, driver);
  const envelope = makeEnvelope(listener.port, certificate.spkiSha256);
  driver.step({ kind: 'record', envelope, channelKeys: [responderKey] });
  return { port: listener.port, envelope };
}

answer({
  start,
  /** Send one message to all. */
  fanOut: (bytes: number): number => {
    const message = new Uint8Array(bytes).fill(7);
    for (const stream of streams) stream.send(message);
    return streams.size;
  },
});
