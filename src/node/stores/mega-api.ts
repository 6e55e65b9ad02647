/** Between megajs and Mega: limits, errors by number, and nothing but what megajs can take (spec/07-discovery.md). */

import type { IncomingMessage } from 'node:http';
import type { StoreTrouble } from '../../discovery/store.ts';
import { FILE_BYTES_MAX, STORE_PATIENCE_MS } from '../../gen/constants.ts';
import { StoreError } from './attempt.ts';
import { exchange, readBody } from './exchange.ts';
import { cleanAnswer } from './mega-clean.ts';
import type { MegaFetch, MegaFetchOptions, MegaResponse } from './megajs.ts';
import type { TlsConnector } from './tls.ts';

/** The whole list of an account's files. */
const API_BYTES_MAX = 8 * 1024 * 1024;
/** What the end of an upload answers. */
const TOKEN_BYTES_MAX = 1024;
/** Hashes of 12 MiB that a proof of work may cost on average: a few seconds. */
const WORK_MAX = 512;
const WORK_BLOCKS = 262_144;
const WORK_BLOCK_BYTES = 48;
const TOO_MANY_WAIT_MS = 60_000;

/** What Mega's errors mean to a host. `says` follows the store's name. */
const ERRORS: Readonly<Record<number, readonly [trouble: StoreTrouble, says: string]>> = {
  [-1]: ['busy', 'Mega had an internal error'],
  [-2]: ['malformed', 'Mega does not understand this program; it may need an update'],
  [-3]: ['busy', 'Mega is congested'],
  [-4]: ['busy', 'Mega was asked too often'],
  [-5]: ['busy', 'Mega lost the upload'],
  [-6]: ['busy', 'Mega counts too many addresses or requests here'],
  [-7]: ['malformed', 'Mega refuses the pieces of the upload'],
  [-8]: ['busy', 'the address of the upload ran out'],
  [-9]: ['refused', 'the folder or its link is gone; make a new link, or log in again'],
  [-11]: ['refused', 'Mega does not allow that with this account'],
  [-12]: ['busy', 'Mega is still busy with the same thing'],
  [-13]: ['busy', 'the file is not complete yet'],
  [-14]: ['malformed', 'Mega refuses a key'],
  [-15]: ['expired', 'the session has ended; run: `clawchatd mega login`'],
  [-16]: [
    'blocked',
    'Mega has blocked the account; its owner has to ask Mega, and another store helps meanwhile',
  ],
  [-17]: ['quota', 'the storage or transfer quota is used up'],
  [-18]: ['busy', 'Mega cannot reach the file now'],
  [-19]: ['busy', 'Mega counts too many connections'],
  [-24]: ['quota', 'the storage is almost full'],
  [-26]: ['refused', 'the account wants the code of its second factor'],
  [-27]: ['refused', 'only the main account may do that'],
  [-28]: ['blocked', 'the account is past due'],
  [-29]: ['quota', 'the account is over its quota and read only'],
  [-401]: ['quota', "the folder's owner is over quota"],
};

const WAITS_MS: Readonly<Record<number, number>> = { [-16]: STORE_PATIENCE_MS, [-6]: TOO_MANY_WAIT_MS };

/** Name an error of Mega. -6 and -16 say for how long to leave it alone. */
export function megaError(number: number): StoreError {
  const [trouble, says] = ERRORS[number] ?? ['malformed', 'Mega answers with an error that is not known'];
  return new StoreError(trouble, `${says} (${number})`, WAITS_MS[number]);
}

/** What requests need. */
export interface MegaWay {
  readonly connector: TlsConnector;
  /** With a slash at its end. */
  readonly gateway: string;
  readonly signal: AbortSignal;
}

/** Make the `fetch` of one attempt. What it cannot make sense of rejects, so that megajs never sees it. */
export function megaFetch(way: MegaWay): MegaFetch {
  return async (url, options = {}) => {
    if (way.signal.aborted) throw new StoreError('cancelled', 'cancelled');
    return url.startsWith(`${way.gateway}cs?`)
      ? await callApi(way, new URL(url), options)
      : await moveBytes(way, url, options);
  };
}

async function callApi(way: MegaWay, url: URL, options: MegaFetchOptions): Promise<MegaResponse> {
  const asked = typeof options.body === 'string' ? options.body : '[]';
  const body = Buffer.from(asked);
  const headers = { ...stringHeaders(options.headers), 'content-length': String(body.length) };
  const ask = async (proof: Readonly<Record<string, string>>): Promise<IncomingMessage> =>
    await exchange(
      way.connector,
      { url, method: 'POST', headers: { ...headers, ...proof }, body },
      way.signal,
    );
  let answer = await ask({});
  const challenge = answer.headers['x-hashcash'];
  if (typeof challenge === 'string') {
    answer.destroy();
    // megajs could do this work itself, but then asks again without the handle of the link.
    answer = await ask({ 'x-hashcash': await proveWork(challenge, way.signal) });
  }
  const { statusCode = 0 } = answer;
  if (statusCode !== 200) {
    answer.destroy();
    throw statusError(statusCode, undefined);
  }
  const text = Buffer.from(await readBody(answer, API_BYTES_MAX)).toString('utf8');
  const parsed = parseJson(text);
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  if (typeof first === 'number' && first < 0) throw megaError(first);
  const clean = cleanAnswer(parseJson(asked), first);
  if (clean === undefined) throw new StoreError('malformed', 'Mega gives an answer that makes no sense');
  return respond([clean]);
}

/** How many hashes a challenge `1:EASINESS:...` costs on average. */
export function workOf(challenge: string): number {
  const [version, easiness] = challenge.split(':').map(Number);
  if (version !== 1 || easiness === undefined || !(easiness >= 0 && easiness < 256))
    return Number.POSITIVE_INFINITY;
  const threshold = (((easiness & 63) << 1) + 1) * 2 ** ((easiness >> 6) * 7 + 3);
  return 2 ** 32 / threshold;
}

/** Find the four bytes that, before the token 262,144 times over, hash below a threshold: `1:EASINESS:TIME:TOKEN`. */
async function proveWork(challenge: string, signal: AbortSignal): Promise<string> {
  if (workOf(challenge) > WORK_MAX)
    throw new StoreError('busy', 'Mega asks for more work than is sensible (402)');
  const [, , , token = ''] = challenge.split(':');
  const block = Buffer.from(token, 'base64');
  if (block.length !== WORK_BLOCK_BYTES)
    throw new StoreError('malformed', 'Mega asks for work of another kind (402)');
  const buffer = new Uint8Array(4 + WORK_BLOCKS * WORK_BLOCK_BYTES);
  for (let i = 0; i < WORK_BLOCKS; i += 1) buffer.set(block, 4 + i * WORK_BLOCK_BYTES);
  const view = new DataView(buffer.buffer);
  const limit = 2 ** 32 / workOf(challenge);
  for (let nonce = 0; !signal.aborted; nonce += 1) {
    view.setUint32(0, nonce);
    // Not on this thread: each hash is over 12 MiB.
    const hash = new DataView(await globalThis.crypto.subtle.digest('SHA-256', buffer));
    if (hash.getUint32(0) <= limit)
      return `1:${token}:${Buffer.from(buffer.subarray(0, 4)).toString('base64url')}`;
  }
  throw new StoreError('busy', 'Mega asks for work that takes too long (402)');
}

/** Download or upload a piece. */
async function moveBytes(way: MegaWay, text: string, options: MegaFetchOptions): Promise<MegaResponse> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:')
    throw new StoreError('malformed', 'Mega gives an address that is not https');
  const { method = 'GET', body } = options;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const headers = { ...stringHeaders(options.headers), 'accept-encoding': 'identity' };
  const answer = await exchange(way.connector, { url, method, headers, body: bytes }, way.signal);
  const { statusCode = 0 } = answer;
  if (statusCode !== 200) {
    const left = answer.headers['x-mega-time-left'];
    answer.destroy();
    throw statusError(statusCode, typeof left === 'string' ? left : undefined);
  }
  const received = await readBody(answer, method === 'GET' ? FILE_BYTES_MAX : TOKEN_BYTES_MAX);
  if (method !== 'GET') {
    const said = Buffer.from(received.subarray(0, 8)).toString('latin1');
    if (/^-\d{1,3}$/.test(said)) throw megaError(Number(said));
  }
  return respond(received);
}

function statusError(status: number, timeLeft: string | undefined): StoreError {
  if (status === 509) {
    const seconds = Number(timeLeft);
    const waitMs = seconds > 0 ? Math.min(seconds * 1000, STORE_PATIENCE_MS) : STORE_PATIENCE_MS;
    return new StoreError(
      'quota',
      'the transfer quota of this network address is used up for a while (509)',
      waitMs,
    );
  }
  if (status === 402) return new StoreError('busy', 'Mega asks for work without saying which (402)');
  if (status === 403 || status === 404 || status === 408 || status === 429 || (status >= 500 && status < 600))
    return new StoreError('busy', `Mega answers ${status}`);
  return new StoreError('malformed', `Mega answers ${status}`);
}

function respond(content: unknown): MegaResponse {
  return {
    ok: true,
    status: 200,
    statusText: 'OK',
    headers: { get: () => null },
    json: async () => content,
    arrayBuffer: async () => (content instanceof Uint8Array ? content.slice().buffer : new ArrayBuffer(0)),
  };
}

function stringHeaders(headers: MegaFetchOptions['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
