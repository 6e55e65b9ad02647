/**
 * The worked examples of the spec: what stands between `<!-- example: vector-id part -->` and `<!-- end -->` is written
 * from the vectors, so that text and vectors cannot differ.
 */
import type { Family, Json, JsonObject, Vector } from './vector.ts';

/** The chapters that hold examples. */
export const CHAPTERS: readonly string[] = [
  'spec/03-connection-file.md',
  'spec/04-handshake.md',
  'spec/05-session.md',
  'spec/08-devices.md',
  'spec/11-chat.md',
];

const CAPTION = 22;
const WIDTH = 64;

/** One value under its caption, long ones over several lines. */
type Row = readonly [caption: string, value: string];

function print(rows: readonly Row[]): string {
  const lines = rows.flatMap(([caption, value]) => {
    // Only bytes are broken into lines.
    const pieces = value.includes(' ') ? [value] : (value.match(new RegExp(`.{1,${WIDTH}}`, 'g')) ?? ['']);
    return pieces.map((piece, i) => `${(i === 0 ? caption : '').padEnd(CAPTION)}${piece}`.trimEnd());
  });
  return `\`\`\`\n${lines.join('\n')}\n\`\`\``;
}

/** Reach into a vector: `input.secret`, `debug.steps`. */
function at(vector: Vector, path: string): Json {
  let value: Json | undefined = vector as unknown as JsonObject;
  for (const name of path.split('.')) {
    value = (value as { readonly [key: string]: Json | undefined })[name];
    if (value === undefined) throw new Error(`${vector.id} has no ${path}`);
  }
  return value;
}

const string = (vector: Vector, path: string): string => String(at(vector, path));

const rows =
  (...of: readonly (readonly [caption: string, path: string])[]) =>
  (vector: Vector): readonly Row[] =>
    of.map(([caption, path]) => [caption, string(vector, path)]);

/** The bytes of a token, part by part. */
function token(vector: Vector): readonly Row[] {
  const bytes = Buffer.from(string(vector, 'output.token'), 'base64url').toString('hex');
  const part = (from: number, to: number): string => bytes.slice(2 * from, 2 * to);
  return [
    ['epoch', part(0, 8)],
    ['handle', part(8, 24)],
    ['message 1: e', part(24, 56)],
    ['  sealed payload', part(56, 72)],
    ['mac', part(72, 88)],
    ['token', string(vector, 'output.token')],
  ];
}

/** Chaining key, hash and key after each step of the handshake, and the messages. */
function steps(vector: Vector): readonly Row[] {
  const noted = at(vector, 'debug.steps') as readonly { readonly [key: string]: string }[];
  const states = noted.flatMap((state): Row[] => {
    const { step = '', ck = '', h = '', k } = state;
    const head: Row = [`-- ${step}`, ''];
    const last: Row[] = k === undefined ? [] : [['   k', k]];
    return [head, ['   ck', ck], ['   h', h], ...last];
  });
  return states;
}

const isEmpty = (value: Json | undefined): boolean => Array.isArray(value) && value.length === 0;

/** The fields of a frame in words; what is false is left out. */
function phrase(fields: Json | undefined): string {
  return Object.entries(fields as JsonObject)
    .filter(([name, value]) => value !== false && name !== 'payload_bytes' && !isEmpty(value))
    .map(([name, value]) => {
      if (value === true) return name;
      return `${name} ${typeof value === 'object' ? Object.values(value ?? {}).join(' ') : String(value)}`;
    })
    .join(', ');
}

/** The records of a conversation, with the frames in them. */
function conversation(vector: Vector): readonly Row[] {
  const said = at(vector, 'input.records') as readonly JsonObject[];
  const heard = at(vector, 'output.records') as readonly JsonObject[];
  return said.flatMap((one, i): Row[] => {
    const frames = (heard[i]?.['frames'] ?? []) as readonly JsonObject[];
    const lost = one['arrives'] === true ? '' : ', lost';
    const bodies = frames.flatMap(frame => Object.entries(frame));
    return [
      [`-- ${String(one['path'])}, ${String(one['from'])}${lost}`, ''],
      ...bodies.map(([name, fields]): Row => [`   ${name}`, phrase(fields)]),
      ['   record', String(one['record'])],
    ];
  });
}

const VIEWS: Readonly<Record<string, (vector: Vector) => readonly Row[]>> = {
  value: rows(['value', 'output.value']),
  derive: rows(
    ['secret', 'input.secret'],
    ['info', 'debug.info'],
    ['prk', 'debug.prk'],
    ['value', 'output.value'],
  ),
  hash: rows(['hashed bytes', 'debug.hashed'], ['value', 'output.value']),
  'gate mac key': rows(
    ['gate key', 'input.gate_key'],
    ['access key', 'input.access_key'],
    ['info', 'debug.info'],
    ['value', 'output.value'],
  ),
  'file key': rows(
    ['file key', 'input.file_key'],
    ['salt', 'input.salt'],
    ['info', 'debug.info'],
    ['value', 'output.value'],
  ),
  seal: rows(
    ['payload', 'input.payload'],
    ['identity private key', 'input.identity_secret'],
    ['signature', 'output.signature'],
    ['salt', 'input.salt'],
    ['content key', 'input.content_key'],
    ['file key', 'input.file_keys.0'],
    ['its stanza', 'debug.own.0'],
    ['stanzas in the file', 'output.stanzas'],
    ['bytes of padding', 'output.padding'],
    ['header begins', 'debug.header_start'],
    ['seal key', 'debug.seal_key'],
    ['SHA-256 of sealed', 'output.sealed_sha256'],
    ['SHA-256 of the file', 'output.file_sha256'],
  ),
  record: rows(['key', 'input.key'], ['plaintext', 'debug.plaintext'], ['record', 'output.record']),
  enrol: rows(['Enrol', 'input.steps.2.frame'], ['Enrolled', 'output.steps.2.reply']),
  words: rows(
    ['identity', 'input.identity'],
    ['device key', 'input.device_key'],
    ['first 8 bytes', 'debug.bytes'],
    ['words', 'output.words'],
  ),
  invite: rows(['Invite', 'input.invite'], ['checksum', 'debug.checksum'], ['text', 'output.text']),
  'invite keys': rows(
    ['static private key', 'output.static_secret'],
    ['static public key', 'output.static_public'],
    ['PSK', 'output.psk'],
    ['gate key', 'output.gate_key'],
    ['file key', 'output.file_key'],
  ),
  inputs: rows(
    ['client static', 'input.client.static_secret'],
    ['client ephemeral', 'input.client.ephemeral_secret'],
    ['host channel key', 'input.host.channel_keys.0.secret_key'],
    ['host ephemeral', 'input.host.ephemeral_secret'],
    ['PSK', 'input.client.psk'],
    ['gate key', 'input.client.gate_key'],
    ['access key', 'input.client.access_keys.0.key'],
    ['prologue', 'debug.prologue'],
  ),
  post: rows(
    ['content', 'debug.content'],
    ['content hash', 'debug.content_hash'],
    ['ChatRequest', 'input.bytes'],
  ),
  token,
  steps,
  conversation,
  messages: rows(
    ['message 1', 'output.message_1'],
    ['payload of message 2', 'input.host.reply_payload'],
    ['message 2', 'output.message_2'],
    ['message 3', 'output.message_3'],
    ['initiator sends with', 'output.initiator_key'],
    ['responder sends with', 'output.responder_key'],
  ),
};

/** Write the examples of a chapter anew. */
export function fillExamples(chapter: string, old: string, made: readonly Family[]): string {
  const vectors = new Map(made.flatMap(one => one.vectors.map(vector => [vector.id, vector] as const)));
  return old.replaceAll(
    /<!-- example: (\S+) (.+?) -->\n[\s\S]*?<!-- end -->/g,
    (_, id: string, view: string) => {
      const vector = vectors.get(id);
      const show = VIEWS[view];
      if (vector === undefined) throw new Error(`${chapter}: there is no vector ${id}`);
      if (show === undefined) throw new Error(`${chapter}: there is no view ${view}`);
      return `<!-- example: ${id} ${view} -->\n${print(show(vector))}\n<!-- end -->`;
    },
  );
}
