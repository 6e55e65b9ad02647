/** The answers of nginx 1.22 that a stranger can get (spec/04-handshake.md, 4.6). */
import type { Head, Status } from './head.ts';

/** A status line, and the sentence on the page when it is not the same. */
const TEXTS: Readonly<Record<Status, readonly [status: string, more?: string]>> = {
  400: ['400 Bad Request'],
  404: ['404 Not Found'],
  405: ['405 Not Allowed'],
  413: ['413 Request Entity Too Large'],
  414: ['414 Request-URI Too Large'],
  494: ['400 Bad Request', 'Request Header Or Cookie Too Large'],
  497: ['400 Bad Request', 'The plain HTTP request was sent to HTTPS port'],
  501: ['501 Not Implemented'],
  505: ['505 HTTP Version Not Supported'],
};
const PADDING = '<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n'.repeat(6);

/** The whole answer, as bytes. A function of the request and the time alone. @impl HS-005~3, HS-026~1, HS-027~1 */
export function strangersAnswer(
  { status, shape, isPadded }: Pick<Head, 'status' | 'shape' | 'isPadded'>,
  now: Date,
): string {
  const [text, more] = TEXTS[status];
  const body = [
    '<html>',
    `<head><title>${more === undefined ? text : `400 ${more}`}</title></head>`,
    '<body>',
    `<center><h1>${text}</h1></center>`,
    ...(more === undefined ? [] : [`<center>${more}</center>`]),
    '<hr><center>nginx</center>',
    '</body>',
    '</html>',
    isPadded && shape !== 'bodyOnly' ? PADDING : '',
  ].join('\r\n');
  if (shape === 'bodyOnly') return body;
  const head = [
    `HTTP/1.1 ${text}`,
    'Server: nginx',
    `Date: ${now.toUTCString()}`,
    'Content-Type: text/html',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '',
    '',
  ].join('\r\n');
  return shape === 'headOnly' ? head : head + body;
}
