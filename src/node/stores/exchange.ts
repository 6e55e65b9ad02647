/** One HTTPS request on a connection of its own, with bounds on what comes back (spec/07-discovery.md, 7.2). */
import { type IncomingMessage, request } from 'node:http';
import { StoreError } from './attempt.ts';
import type { TlsConnector } from './tls.ts';

/** One request. */
export interface Exchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** Send one request on a connection of its own and give the head of its answer. */
export async function exchange(
  connector: TlsConnector,
  { url, method, headers, body }: Exchange,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const socket = await connector.connect(url, signal);
  return await new Promise((resolve, reject) => {
    const asking = request({
      createConnection: () => socket,
      method,
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, ...headers, connection: 'close' },
      signal,
    });
    asking.once('response', resolve);
    asking.on('error', reject);
    asking.end(body);
  });
}

/** Read a body of at most `bytesMax`, and hardly a byte more. @impl DI-002~1, DI-044~1 */
export async function readBody(answer: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const { 'content-encoding': coding = 'identity', 'content-length': announced = '0' } = answer.headers;
  if (coding !== 'identity') {
    answer.destroy();
    throw new StoreError(
      'malformed',
      `sends the file with the coding ${JSON.stringify(coding.slice(0, 40))}`,
    );
  }
  const parts: Buffer[] = [];
  let length = 0;
  let tooLong = Number(announced) > bytesMax;
  if (!tooLong) {
    for await (const part of answer as AsyncIterable<Buffer>) {
      length += part.length;
      tooLong = length > bytesMax;
      if (tooLong) break;
      parts.push(part);
    }
  }
  answer.destroy();
  if (tooLong) throw new StoreError('oversized', `what lies there is longer than ${bytesMax} bytes`);
  return Uint8Array.from(Buffer.concat(parts, length));
}
