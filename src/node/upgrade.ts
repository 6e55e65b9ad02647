/** Recognises the one upgrade request that a client sends. Chapter: spec/04-handshake.md 4.2. */
import { SUBPROTOCOL, TOKEN_CHARS } from '../protocol/gate.ts';
import type { Head } from './http/head.ts';

const OFFER = new RegExp(`^${SUBPROTOCOL.replace('.', '\\.')}, ?([A-Za-z0-9_-]{${TOKEN_CHARS}})$`);
const UPGRADES = /(^|,) *upgrade *(,|$)/i;
const WEBSOCKET_KEY = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Return the token of a well-formed upgrade request, '' for one without it, undefined for what is no upgrade.
 *
 * Whatever `ws` would refuse with an answer of its own is refused here first, so that every stranger
 * gets the same bytes. @impl HS-003~1, HS-005~3
 */
export function upgradeToken({ request, status, body }: Head): string | undefined {
  if (request === undefined || status !== 404) return undefined;
  const { line, headers } = request;
  // All of it is looked at in any case: what a request lacks does not show in when it is answered.
  const connection = UPGRADES.test(headers.get('connection') ?? '');
  const protocol = headers.get('upgrade')?.toLowerCase() === 'websocket';
  const version = headers.get('sec-websocket-version') === '13';
  const key = WEBSOCKET_KEY.test(headers.get('sec-websocket-key') ?? '');
  const token = OFFER.exec(headers.get('sec-websocket-protocol') ?? '')?.[1] ?? '';
  if (!connection || !protocol) return undefined;
  const isOurs = body === 0 && line.method === 'GET' && line.target === '/' && line.minor === 1;
  return isOurs && version && key ? token : '';
}
