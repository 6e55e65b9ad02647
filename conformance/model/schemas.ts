/** What the vectors of each family hold, as schemas. */
import {
  bytes,
  bytesOf,
  choice,
  constant,
  either,
  familySchema,
  flag,
  key,
  list,
  number,
  object,
  type Schema,
  streamed,
  text,
} from './schema.ts';

const what = (name: string, fields: Readonly<Record<string, Schema>>): Schema =>
  object({ what: constant(name), ...fields });

const store: Schema = object({
  'local?': object({ path: text }),
  'https?': object({ read_url: text, spki_pin: bytes }),
  'mega?': object({ folder_link: text }),
});

const derivation = familySchema('derivation', {
  input: either(
    what('label', { name: text }),
    what('derive', { ikm: bytes, salt: bytes, name: text, context: list(bytes), length: number }),
    what('hash', { name: text, parts: list(bytes) }),
    what('server id', { identity: key }),
    what('next identity', { identity: key }),
    what('record hash', { payload: bytes }),
    what('device id', { device_key: key }),
    what('words hash', { identity: key, device_key: key }),
    what('content hash', { content: streamed }),
    what('invite checksum', { invite: bytes }),
    ...[
      'invite static',
      'invite psk',
      'invite gate',
      'invite file',
      'device psk',
      'device gate',
      'device file',
    ].map(name => what(name, { secret: key })),
    what('x25519 public', { secret_key: key }),
    what('stanza tag', { file_key: key, salt: key }),
    what('stanza key', { file_key: key, salt: key }),
    what('seal key', { content_key: key, salt: key }),
    what('gate handle', { gate_key: key, epoch: number }),
    what('gate mac key', { gate_key: key, access_key: key, epoch: number }),
    what('signed record', { identity_secret: key, identity: key, bytes }),
    what('signed succession', { identity_secret: key, identity: key, bytes }),
    what('prologue', { protocol_version: number, suite: number, server_id: key, epoch: number }),
  ),
  output: object({ value: bytes }),
  debug: object({ 'prk?': key, 'info?': bytes, 'hashed?': bytes, 'signed?': bytes }),
});

const words = familySchema('words', {
  input: either(object({ bytes: bytesOf(8) }), object({ identity: key, device_key: key })),
  output: object({ words: text }),
  debug: object({ bytes: bytesOf(8) }),
});

const inviteFields = object({
  secret: key,
  identity: key,
  server_id: key,
  expires_at_s: number,
  stores: list(store),
});

const invite = familySchema('invite', {
  input: either(
    what('write', { invite: bytes }),
    what('read', { text }),
    what('read bundle', { bundle: bytes }),
    what('read bundle', { invite: bytes, connection_file: streamed }),
    what('expiry', { text, now_ms: number }),
  ),
  output: either(
    object({
      text,
      fields: inviteFields,
      static_secret: key,
      static_public: key,
      psk: key,
      gate_key: key,
      file_key: key,
    }),
    object({ fields: inviteFields, 'connection_file?': bytes }),
    object({ expired: { const: false } }),
  ),
});

const accessKeys = list(object({ epoch: number, key }));

const gate = familySchema('gate', {
  shared: object({ access_keys: accessKeys, members: list(object({ name: text, gate_key: key })) }),
  input: either(
    what('make', { gate_key: key, access_key: key, epoch: number, message_1: bytesOf(48) }),
    what('judge', { token: text, 'before?': list(object({ token: text })) }),
  ),
  output: either(
    object({ token: text, header: text }),
    object({ member: text, epoch: number, message_1: bytesOf(48) }),
  ),
});

const client = object({
  server_id: key,
  now_ms: number,
  channel_keys: list(object({ public_key: key, not_after_ms: number })),
  access_keys: accessKeys,
  static_secret: key,
  psk: key,
  gate_key: key,
  ephemeral_secret: key,
  message_2: bytes,
});

const host = object({
  server_id: key,
  now_ms: number,
  channel_keys: list(object({ secret_key: key, not_after_ms: number })),
  access_keys: accessKeys,
  members: list(
    object({ name: text, gate_key: key, psk: key, static_public: key, removed_before_message_3: flag }),
  ),
  ephemeral_secret: key,
  reply_payload: bytesOf(64),
  token: text,
  message_3: bytes,
});

const handshake = familySchema('handshake', {
  input: { ...object({ 'client?': client, 'host?': host }), minProperties: 1 },
  output: object({
    'token?': text,
    'member?': text,
    'message_1?': bytesOf(48),
    'message_2?': bytesOf(112),
    'message_3?': bytesOf(64),
    'handshake_hash?': key,
    'initiator_key?': key,
    'responder_key?': key,
  }),
  debug: object({
    'why?': text,
    'prologue?': bytes,
    'steps?': list(object({ step: text, ck: key, h: key, 'k?': key, 'n?': number })),
  }),
});

const nullable = (of: Schema): Schema => either({ type: 'null' }, of);

const edits = list(
  either(
    object({ cut: number }),
    object({ append: bytes }),
    object({ at: number, flip: { type: 'integer', minimum: 0, maximum: 7 } }),
    object({ at: number, 'remove?': number, 'insert?': bytes }),
  ),
);

const file = either(
  bytes,
  streamed,
  object({
    version: number,
    salt: key,
    stanzas: object({
      count: number,
      filling: text,
      own: list(object({ at: number, stanza: bytesOf(56) })),
    }),
    'padding?': number,
    sealed: bytes,
  }),
  object({ base: text, edits }),
);

const reader = object({
  file_key: key,
  identity: key,
  server_id: key,
  next_identity_hash: nullable(key),
  highest: nullable(object({ sequence: number, hash: key })),
});

const record = object({
  protocol_version: number,
  server_id: key,
  epoch: number,
  sequence: number,
  issued_at_ms: number,
  valid_until_ms: number,
  next_rotation_ms: number,
  endpoints: list(object({ host: text, port: number, not_before_ms: number, not_after_ms: number })),
  channel_keys: list(object({ public_key: key, not_after_ms: number })),
  tls_pins: list(key),
  access_keys: accessKeys,
  next_identity_hash: key,
  suites: list(number),
  stores: list(store),
});

const accepted = object({ record, hash: key, identity: key, followed: number });

const connectionFile = familySchema('connection-file', {
  input: either(
    what('seal', {
      payload: either(bytes, streamed),
      identity_secret: key,
      salt: key,
      content_key: key,
      file_keys: either(list(key), object({ stream_each: text, count: number })),
      filling: text,
      places: either(list(number), constant('in order')),
    }),
    what('read file', { file, client: reader, now_ms: number }),
    what('read envelope', { envelope: either(bytes, streamed), client: reader, now_ms: number }),
  ),
  output: either(
    object({
      signature: bytesOf(64),
      size: number,
      stanzas: number,
      'padding?': number,
      own_stanzas_sha256: key,
      sealed_sha256: key,
      file_sha256: key,
      'file?': bytes,
    }),
    accepted,
  ),
});

const sessionFrame = {
  type: 'object',
  additionalProperties: false,
  maxProperties: 1,
  properties: {
    hello: object({ protocol_version: number, features: list(text), software: text }),
    attach: object({ session_id: bytesOf(16), generation: number, received_through: number, open: flag }),
    attached: object({ generation: number, received_through: number }),
    data: object({
      sequence: number,
      stream: number,
      payload_bytes: number,
      'payload?': bytes,
      more: flag,
      'open?': object({ service: text }),
      'end?': object({ code: text }),
    }),
    ack: object({ received_through: number }),
    credit: object({ stream: number, limit: number }),
    ping: object({ id: number }),
    pong: object({ id: number }),
    rotation_notice: object({ kind: text, rotates_in_ms: number, old_ends_in_ms: number, envelope: bytes }),
    close: object({ code: text, resumable: flag }),
    enrol: object({ device_key: bytes, name: text }),
    enrolled: object({ device_secret: bytes, envelope: bytes, name: text }),
  },
} as const;

const anyBytes = either(bytes, streamed);

const records = familySchema('records', {
  input: either(
    what('seal', { key, place: number, frames: list(anyBytes) }),
    what('open', { key, place: number, records: list(anyBytes) }),
    what('row', { plaintext: anyBytes }),
    what('frame', { frame: anyBytes }),
  ),
  output: either(
    object({ bytes: number, sha256: key, 'record?': bytes }),
    object({ frames: list(sessionFrame) }),
    object({ frame: sessionFrame }),
  ),
});

const does: Schema = { ...list(text), uniqueItems: true };

const enrolment = familySchema('enrolment', {
  input: either(
    what('host', {
      invite_key: key,
      expires_at_ms: number,
      invite_name: text,
      other_keys: list(key),
      other_devices: number,
      device_secret: key,
      steps: list(
        either(
          object({ at_ms: number, path: choice('invite', 'device'), frame: bytes, envelope: bytes }),
          object({
            at_ms: number,
            event: choice(
              'clock',
              'message 3 of the device',
              'revoke',
              'token of the invite',
              'token of the device',
            ),
          }),
        ),
      ),
    }),
    what('client', {
      client: reader,
      device_secret_key: key,
      steps: list(
        either(
          object({ at_ms: number, path: choice('invite', 'device'), frame: bytes }),
          object({ at_ms: number, event: constant('crash') }),
          object({ at_ms: number, join: object({ client: reader, device_secret_key: key }) }),
        ),
      ),
    }),
  ),
  output: object({
    steps: list(
      either(
        object({
          invite: choice('OPEN', 'CLAIMED', 'ENDED'),
          device: choice('none', 'pending', 'active'),
          does,
          'reply?': bytes,
          'accepts?': flag,
        }),
        object({
          state: choice('KEYED', 'GRANTED', 'DEVICE'),
          dials_as: choice('invite', 'device'),
          does,
          'error?': text,
          'granted?': object({
            name: text,
            identity: key,
            sequence: number,
            hash: key,
            device_key: key,
            psk: key,
            gate_key: key,
            file_key: key,
            words: text,
          }),
        }),
      ),
    ),
  }),
});

const pathKeys = object({ initiator_key: key, responder_key: key });

const delivery = either(
  object({ stream: number, opens: text }),
  object({ stream: number, message: bytes }),
  object({ stream: number, message_bytes: number, message_sha256: key }),
  object({ stream: number, ends: text }),
);

const sideInput = {
  session_ids: list(bytesOf(16)),
  busy: flag,
  reads: flag,
  steps: list(
    either(
      object({ at_ms: number, open: text, hello: flag }),
      object({ at_ms: number, path: text, frame: anyBytes }),
      object({ at_ms: number, lose: text }),
      object({ at_ms: number, attach: text }),
      object({ at_ms: number, clock: { const: true } }),
      object({
        at_ms: number,
        write: object({ stream: number, 'service?': text, message: anyBytes, end: flag }),
      }),
    ),
  ),
};

const session = familySchema('session', {
  input: either(
    what('host', sideInput),
    what('client', sideInput),
    what('conversation', {
      paths: { type: 'object', additionalProperties: pathKeys },
      records: list(object({ path: text, from: choice('client', 'host'), arrives: flag, record: bytes })),
    }),
    what('redial', {
      paths: list(
        object({
          attached_ms: nullable(number),
          ends: choice('lost', 'dead', 'garbled', 'close'),
          'code?': text,
          'resumable?': flag,
          'beside?': { const: true },
        }),
      ),
    }),
  ),
  output: either(
    object({
      steps: list(
        object({
          'sends?': list(object({ path: text, frame: sessionFrame })),
          'delivers?': list(delivery),
          'ends_streams?': list(number),
          'cuts?': list(text),
          'pings?': list(text),
          session: nullable(object({ taken: number, acknowledged: number, path: nullable(text) })),
        }),
      ),
    }),
    object({
      records: list(object({ frames: list(sessionFrame) })),
      host_delivers: list(delivery),
      client_delivers: list(delivery),
    }),
    object({ waits: list(nullable(number)) }),
  ),
});

const YES: Schema = { const: true };
const signed: Schema = { type: 'integer' };
const clocks = { wall_ms: signed, mono_ms: number };
const plan = object({
  sequence: number,
  epoch: number,
  issued_at_ms: number,
  next_rotation_ms: number,
  valid_until_ms: number,
  ports: list(object({ port: number, not_before_ms: number, not_after_ms: number })),
  epochs: list(number),
});
const times = { rotates_in_ms: number, old_ends_in_ms: number };
const notice = { kind: choice('move', 'hold', 'emergency'), ...times };
const told = { kind: choice('move', 'hold', 'emergency', 'record'), ...times, 'sequence?': number };

const rotation = familySchema('rotation', {
  input: either(
    what('host', {
      'preset?': choice('minimal'),
      interval_ms: number,
      ports: list(number),
      steps: list(
        either(
          object({ ...clocks, start: YES }),
          object({ ...clocks, tick: YES }),
          object({ ...clocks, verified: number }),
          object({ ...clocks, clock_offset_ms: either(signed, { type: 'null' }) }),
          object({ ...clocks, rotate: YES }),
          object({ ...clocks, emergency: choice('soft', 'hard') }),
        ),
      ),
    }),
    what('move', { notice: object(notice) }),
    what('retry', { failures: number }),
    what('start', { now_ms: number, next_rotation_ms: number }),
    what('interval', { asked_ms: number }),
  ),
  output: either(
    object({
      steps: list(
        object({
          listens: list(number),
          accepts: list(number),
          rotates_at_ms: number,
          'record?': plan,
          'notices?': list(object(told)),
          'asks_for_the_time?': YES,
          'clock?': choice('warns', 'holds'),
        }),
      ),
    }),
    object({ first_ms: number, last_ms: number }),
    object({ from_ms: number, before_ms: number }),
    object({ reads_first: flag }),
    object({ interval_ms: number }),
  ),
});

/** Schemas by the name of their family. */
const chatAct = either(
  object({ kind: choice('join', 'leave', 'remove') }),
  object({ kind: constant('delete'), cursor: number }),
  object({ kind: constant('create'), topic: text, closed: flag }),
  object({ kind: constant('topic'), topic: text }),
  object({ kind: constant('grant'), person: bytesOf(16), role: number }),
  object({ kind: constant('keep'), keep_ms: number }),
  object({ kind: constant('rename'), name: text }),
);

const chatOutbox = object({
  id: bytesOf(16),
  answered: number,
  answered_hash: bytes,
  posts: list(bytes),
});

const chatRooms = list(
  object({
    name: text,
    closed: flag,
    roles: list(object({ person: bytesOf(16), role: number })),
    kept_from: number,
    gone: number,
  }),
);
const chatMarks = object({ delivered: number, read: number });
const chatGap = { after_cursor: number, first_cursor: number };

const chat = familySchema('chat', {
  shared: object({ histories: { type: 'object', additionalProperties: list(bytes) } }),
  input: either(
    what('content', { bytes }),
    what('request', { bytes }),
    what('reply', { bytes }),
    what('outbox', {
      outbox: chatOutbox,
      new_outbox_id: bytesOf(16),
      steps: list(
        either(
          object({ event: choice('opens', 'ends', 'durable', 'crash') }),
          object({ answers: number, reply: bytes }),
        ),
      ),
    }),
    what('page', {
      person: bytesOf(16),
      rooms: chatRooms,
      kept_from: number,
      history: text,
      request: either(
        object({ after_cursor: number, room: text, limit: number }),
        object({ before_cursor: number, room: text, limit: number, search: text }),
      ),
    }),
    what('marks', {
      last_cursor: number,
      marks: list(object({ delivered: number, read: number, hidden: flag })),
    }),
    what('rewrite', {
      rooms: chatRooms,
      history: text,
      post: object({ cursor: number, person: bytesOf(16), content: bytes }),
    }),
    what('display', { messages: list(bytes) }),
    what('room-name', { rooms: list(text), name: text }),
  ),
  output: either(
    object({
      cursors: list(number),
      'gap?': object(chatGap),
      'room_gaps?': list(object({ room: text, ...chatGap })),
    }),
    object({
      changed: list(
        object({
          cursor: number,
          content: bytes,
          'edited_by?': number,
          'deleted_by?': number,
          'message_id?': bytesOf(16),
          'room?': text,
        }),
      ),
    }),
    object({
      shown: list(
        either(
          object({ cursor: number, text, 'edited?': constant(true) }),
          object({ cursor: number, deleted: constant(true) }),
        ),
      ),
    }),
    object({}),
    object({
      message_id: bytesOf(16),
      room: text,
      text,
      sent_at_ms: number,
      'reply_to?': number,
      'edits?': number,
      'act?': chatAct,
    }),
    object({ request_id: number, kind: text }),
    object({
      steps: list(
        object({
          'own?': chatMarks,
          'others?': chatMarks,
          'sends?': list(bytes),
          'keeps?': chatOutbox,
          'reports?': list(
            either(
              object({ message_id: bytesOf(16), cursor: number }),
              object({ message_id: bytesOf(16), code: text }),
            ),
          ),
          'aborts?': text,
        }),
      ),
    }),
  ),
});

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  derivation,
  words,
  invite,
  gate,
  handshake,
  'connection-file': connectionFile,
  records,
  enrolment,
  session,
  rotation,
  chat,
};
