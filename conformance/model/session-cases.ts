/** How the vectors of sessions are put together: steps for one side. */
import { EMPTY, hex, stream, utf8 } from './bytes.ts';
import type { Flag } from './flags.ts';
import { type BodyInit, closeBody, encodeFrame } from './frame.ts';
import { judgeSession } from './judge/session.ts';
import type { JsonObject, Vector } from './vector.ts';

export type Step = JsonObject;

/** The n-th session id that a client draws. */
export const sessionId = (n: number): Uint8Array => stream(`session ${n}`, 16);

/** A path has its keys, and both have said Hello. */
export const opens = (path: string, atMs = 0, hello?: boolean): Step => ({
  at_ms: atMs,
  open: path,
  hello: hello ?? true,
});
/** A path ends without a word. */
export const loses = (path: string, atMs = 0): Step => ({ at_ms: atMs, lose: path });
/** The client puts its session on a path. */
export const attaches = (path: string, atMs = 0): Step => ({ at_ms: atMs, attach: path });
/** Nothing happens but time. */
export const passes = (atMs: number): Step => ({ at_ms: atMs, clock: true });

/** A frame arrives. */
export const hears = (path: string, body: BodyInit, atMs = 0): Step => {
  const frame = encodeFrame(body);
  const payload = body.case === 'data' ? (body.value.payload ?? EMPTY) : EMPTY;
  if (payload.length <= 256) return raw(path, frame, atMs);
  const at = Buffer.from(frame).indexOf(payload);
  const prefix = hex(frame.slice(0, at));
  const suffix = hex(frame.slice(at + payload.length));
  return { at_ms: atMs, path, frame: { prefix, stream: 'payload', length: payload.length, suffix } };
};
export const raw = (path: string, frame: Uint8Array, atMs = 0): Step => ({
  at_ms: atMs,
  path,
  frame: hex(frame),
});

/** The application writes. */
export const writes = (
  at: number,
  message: string | number,
  more: { readonly service?: string; readonly end?: boolean } = {},
): Step => {
  const { service, end = false } = more;
  const shown = typeof message === 'string' ? hex(utf8(message)) : { stream: 'payload', length: message };
  const text = { stream: at, message: shown, end };
  return { at_ms: 0, write: service === undefined ? text : { ...text, service } };
};

export const attach = (
  generation: number,
  receivedThrough = 0,
  open = false,
  id: Uint8Array = sessionId(0),
): BodyInit => ({
  case: 'attach',
  value: { sessionId: id, generation: BigInt(generation), receivedThrough: BigInt(receivedThrough), open },
});
export const attached = (generation: number, receivedThrough = 0): BodyInit => ({
  case: 'attached',
  value: { generation: BigInt(generation), receivedThrough: BigInt(receivedThrough) },
});
export const ack = (receivedThrough: number): BodyInit => ({
  case: 'ack',
  value: { receivedThrough: BigInt(receivedThrough) },
});
export const credit = (at: number, limit: number): BodyInit => ({
  case: 'credit',
  value: { stream: at, limit: BigInt(limit) },
});

export interface DataOf {
  readonly on?: number;
  readonly opens?: string;
  readonly more?: boolean;
  /** The code of an end. */
  readonly ends?: number;
}

/** Some bytes: a text, or so many of a stream. */
const content = (text: string | number): Uint8Array =>
  typeof text === 'string' ? utf8(text) : stream('payload', text);

/** A Data frame with a text, or so many bytes, as its payload. */
export function data(sequence: number, text: string | number, of: DataOf = {}): BodyInit {
  const { on = 1, opens: service, more = false, ends } = of;
  return {
    case: 'data',
    value: {
      sequence: BigInt(sequence),
      stream: on,
      payload: content(text),
      more,
      ...(service === undefined ? {} : { open: { service } }),
      ...(ends === undefined ? {} : { end: { code: ends as never } }),
    },
  };
}

export { closeBody };

export type Head = Pick<Vector, 'note' | 'req'> & { readonly flags: readonly Flag[] };

/** What a vector is about. */
export const head = (note: string, req: string, ...flags: Head['flags']): Head => ({
  note,
  req: [req],
  flags: flags.length === 0 ? ['state-machine'] : flags,
});
interface Options {
  readonly busy?: boolean;
  readonly reads?: boolean;
  readonly hello?: boolean;
}

function side(
  what: 'host' | 'client',
  id: string,
  head: Head,
  steps: readonly Step[],
  options: Options = {},
): Vector {
  const { busy = false, reads = true } = options;
  const ids = what === 'client' ? [0, 1].map(n => hex(sessionId(n))) : [];
  const input = { what, session_ids: ids, busy, reads, steps };
  return {
    id: `session/${what}/${id}`,
    ...head,
    phase: 'state',
    ...judgeSession(input, {}, new Map()),
    input,
  };
}

/** A vector for a host; its first path is A. */
export const host = (id: string, head: Head, steps: readonly Step[], options?: Options): Vector =>
  side('host', id, head, [opens('A', 0, options?.hello), ...steps], options);

/** A vector for a client; its first path is A. */
export const client = (id: string, head: Head, steps: readonly Step[], options?: Options): Vector =>
  side('client', id, head, [opens('A', 0, options?.hello), ...steps], options);

/** A host with a session on path A, and one frame taken. */
export const attachedHost: readonly Step[] = [
  hears('A', attach(1, 0, true)),
  hears('A', data(1, 'one', { opens: 'echo.v1' })),
];

/** A client with a session on path A that has sent one frame and taken none. */
export const attachedClient: readonly Step[] = [
  attaches('A'),
  hears('A', attached(1)),
  writes(1, 'one', { service: 'echo.v1' }),
];
