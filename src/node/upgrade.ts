/** Recognises the one upgrade request that a client sends. Chapter: spec/04-handshake.md 4.2. */

import type { IncomingMessage } from 'node:http';

const OFFER = /^clawchat\.v1, ?([A-Za-z0-9_-]{118})$/;
const WEBSOCKET_KEY = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Return the token of a well-formed upgrade request, or '' for anything else.
 *
 * Whatever `ws` would refuse with an answer of its own is refused here first, so that every stranger
 * gets the same bytes. @impl HS-003~1, HS-005~1
 */
export function upgradeToken(request: IncomingMessage): string {
  const { method, url, httpVersion, headers } = request;
  if (method !== 'GET' || url !== '/' || httpVersion !== '1.1') return '';
  if (headers.upgrade?.toLowerCase() !== 'websocket') return '';
  if (headers['sec-websocket-version'] !== '13') return '';
  if (!WEBSOCKET_KEY.test(headers['sec-websocket-key'] ?? '')) return '';
  return OFFER.exec(headers['sec-websocket-protocol'] ?? '')?.[1] ?? '';
}
