/** The reference implementation against chat.json: contents with their acts, requests and replies. */
import { describe, expect, it } from 'vitest';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { type Act, encodeContent, isCode, parseContent } from '../../src/services/chat/content.ts';
import { parseReply } from '../../src/services/chat/reply.ts';
import { parseRequest } from '../../src/services/chat/request.ts';
import { bytes, hex, loadFamily, type Vector } from './load.ts';

const { vectors } = loadFamily('chat');
const of = (what: string): [string, Vector][] =>
  vectors.filter(({ input }) => input['what'] === what).map(vector => [vector.id, vector]);

function actOf(act: Act): Readonly<Record<string, unknown>> {
  switch (act.kind) {
    case 'grant':
      return { kind: act.kind, person: hex(act.personId), role: act.role };
    case 'keep':
      return { kind: act.kind, keep_ms: act.keepMs };
    default:
      return act;
  }
}

/** The name that proto/ gives to a body. */
const nameOf = (kind: string): string =>
  kind === 'backwards' ? 'history' : kind.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);

describe('contents', () => {
  it.each(of('content'))('%s', (_id, { input, output, error }) => {
    const encoded = bytes(input['bytes']);
    const content = parseContent(encoded);
    if (isCode(content)) {
      expect(codeName(content)).toBe(error);
      return;
    }
    const { messageId, room, text, sentAtMs, replyTo, edits, act } = content;
    expect(error).toBeUndefined();
    expect({
      message_id: hex(messageId),
      room,
      text,
      sent_at_ms: sentAtMs,
      ...(replyTo !== undefined && { reply_to: replyTo }),
      ...(edits !== undefined && { edits }),
      ...(act && { act: actOf(act) }),
    }).toEqual(output);
    // What is written again reads the same.
    expect(parseContent(encodeContent(content))).toEqual(content);
  });
});

describe('requests', () => {
  it.each(of('request'))('%s', (_id, { input, output, error }) => {
    const request = parseRequest(bytes(input['bytes']));
    if (isFault(request)) throw new Error(request.detail);
    if (request.kind === 'invalid') {
      expect(error).toBe('MESSAGE_MALFORMED');
      return;
    }
    const { kind } = request.body;
    expect(error).toBeUndefined();
    expect({ request_id: request.requestId, kind: nameOf(kind) }).toEqual(output);
  });
});

describe('replies', () => {
  it.each(of('reply'))('%s', (_id, { input, output, error }) => {
    const reply = parseReply(bytes(input['bytes']));
    if (isFault(reply)) {
      expect(codeName(reply.code)).toBe(error);
      return;
    }
    expect(error).toBeUndefined();
    expect({ request_id: reply.requestId, kind: nameOf(reply.body.kind) }).toEqual(output);
  });
});
