/** The messages of the control socket and how they are framed (spec/12-control.md). */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type ControlRequest,
  ControlRequestSchema,
  type ControlResponse,
  ControlResponseSchema,
} from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CONTROL_MESSAGE_BYTES_MAX } from '../gen/constants.ts';
import { ClawChatError, codeName } from '../protocol/fault.ts';
import { knownCode } from '../wire/frame.ts';
import { failure } from './failure.ts';

/** The version of the control protocol. */
export const CONTROL_PROTOCOL = 1;

/** What is asked, as it is read. */
export type RequestBody = Exclude<ControlRequest['body'], { case: undefined }>;
/** What is asked, as it is written. */
export type RequestInit = Named<MessageInitShape<typeof ControlRequestSchema>['body']>;
/** What is answered, as it is read. */
export type ResponseBody = Exclude<ControlResponse['body'], { case: undefined }>;
/** What is answered, as it is written. */
export type ResponseInit = Named<MessageInitShape<typeof ControlResponseSchema>['body']>;

type Named<T> = T extends { case: string } ? T : never;

/** Who answers requests: the process that owns the data directory. */
export interface ControlOwner {
  /**
   * Answer one request, with one response or several. Called in the order in which a connection's requests arrive.
   *
   * `signal` aborts when nobody waits for the answer any more. A ClawChatError goes to who asked; any other error is
   * a fault of this program.
   */
  answer(request: RequestBody, signal: AbortSignal): Promise<ResponseInit> | AsyncIterable<ResponseInit>;
}

/** Tell a stream of responses from a single one. */
export function isStream<T>(answer: Promise<T> | AsyncIterable<T>): answer is AsyncIterable<T> {
  return Symbol.asyncIterator in answer;
}

/** Give a request its final form, as if it had travelled. */
export function requestBody(body: RequestInit): RequestBody {
  const made = create(ControlRequestSchema, { body }).body;
  if (made.case === undefined) throw failure(ErrorCode.USAGE, 'a control request without a body');
  return made;
}

/** Give a response its final form, as if it had travelled. */
export function responseBody(body: ResponseInit): ResponseBody {
  const made = create(ControlResponseSchema, { body }).body;
  if (made.case === undefined) throw failure(ErrorCode.INTERNAL, 'a control response without a body');
  return made;
}

/** Encode a request with its frame. @throws ClawChatError `USAGE` when it is too long. */
export function encodeRequest(requestId: number, body: RequestInit): Uint8Array {
  const message = toBinary(ControlRequestSchema, create(ControlRequestSchema, { requestId, body }));
  if (message.length <= CONTROL_MESSAGE_BYTES_MAX) return frame(message);
  throw failure(ErrorCode.USAGE, `a control request is at most ${CONTROL_MESSAGE_BYTES_MAX} bytes`);
}

/** Encode a response with its frame; one that is too long becomes the error that says so. */
export function encodeResponse(requestId: number, end: boolean, body: ResponseInit | undefined): Uint8Array {
  const parts = body === undefined ? { requestId, end } : { requestId, end, body };
  const message = toBinary(ControlResponseSchema, create(ControlResponseSchema, parts));
  if (message.length <= CONTROL_MESSAGE_BYTES_MAX) return frame(message);
  return encodeResponse(requestId, true, errorBody(failure(ErrorCode.INTERNAL, 'the answer is too long')));
}

/** Decode a request; undefined when it is none. */
export function decodeRequest(message: Uint8Array): ControlRequest | undefined {
  try {
    return fromBinary(ControlRequestSchema, message);
  } catch {
    return undefined;
  }
}

/** Decode a response; undefined when it is none. */
export function decodeResponse(message: Uint8Array): ControlResponse | undefined {
  try {
    return fromBinary(ControlResponseSchema, message);
  } catch {
    return undefined;
  }
}

const ERROR_TEXT_CHARS_MAX = 1024;

/** Turn whatever an owner threw into the response that says so. @impl CT-027~1 */
export function errorBody(error: unknown): ResponseInit & { case: 'error' } {
  const known = error instanceof ClawChatError;
  const code = known ? error.code : ErrorCode.INTERNAL;
  const prefix = `[${codeName(code)}] `;
  const message = known ? error.message : 'a fault of this program; its log says more';
  const text = message.startsWith(prefix) ? message.slice(prefix.length) : message;
  return { case: 'error', value: { code, text: [...text].slice(0, ERROR_TEXT_CHARS_MAX).join('') } };
}

/** Turn such a response back into the error. A code of a later version counts as INTERNAL. */
export function errorOf(body: ResponseBody & { case: 'error' }): ClawChatError {
  const code = knownCode(body.value.code);
  return failure(code === ErrorCode.UNSPECIFIED ? ErrorCode.INTERNAL : code, body.value.text);
}

function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(4 + message.length);
  new DataView(framed.buffer).setUint32(0, message.length);
  framed.set(message, 4);
  return framed;
}

/**
 * Cut a stream of bytes into messages: length (4 bytes, big endian) || message.
 *
 * @impl CT-020~1
 */
export class MessageReader {
  #chunks: Uint8Array[] = [];
  #length = 0;

  /** Take the next bytes; give the messages that are whole now, or undefined once one is announced as too long. */
  push(chunk: Uint8Array): Uint8Array[] | undefined {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const messages: Uint8Array[] = [];
    for (;;) {
      if (this.#length < 4) return messages;
      const buffer = this.#join(4);
      const length = new DataView(buffer.buffer, buffer.byteOffset, 4).getUint32(0);
      if (length > CONTROL_MESSAGE_BYTES_MAX) return undefined;
      if (this.#length < 4 + length) return messages;
      const whole = this.#join(4 + length);
      messages.push(whole.slice(4, 4 + length));
      this.#chunks = [whole.subarray(4 + length)];
      this.#length -= 4 + length;
    }
  }

  /** Make the first chunk at least `length` bytes long, joining no more often than needed. */
  #join(length: number): Uint8Array {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= length) return first;
    const joined = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [joined];
    return joined;
  }
}
