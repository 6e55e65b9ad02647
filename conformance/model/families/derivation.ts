/** Vectors: labels, hashes and derivations (spec/04-handshake.md, 4.1). */
import { ascii, concat, EMPTY, hex, stream, u64be } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import * as labels from '../labels.ts';
import { ed25519Sign, hkdfExtract, x25519Public } from '../primitives.ts';
import { type Family, family, type JsonObject, type Vector } from '../vector.ts';

/** The labels that the table of 4.1 names. */
const LABEL_NAMES = [
  ...['server id', 'next identity', 'record', 'device id', 'words', 'content', 'invite checksum'],
  ...[
    'invite static',
    'invite psk',
    'invite gate',
    'invite file',
    'device psk',
    'device gate',
    'device file',
    'host file',
  ],
  ...['file tag', 'file wrap', 'file seal', 'gate handle', 'gate mac'],
  ...['connection record', 'succession', 'prologue'],
];

interface Case {
  readonly id: string;
  readonly note: string;
  readonly flags?: readonly Flag[];
  readonly req?: readonly string[];
  /** Which row of the table, or which function. */
  readonly what: string;
  readonly input: JsonObject;
}

function vector(of: Case, value: Uint8Array, debug: JsonObject): Vector {
  return {
    id: `derivation/${of.id}`,
    note: of.note,
    req: of.req ?? ['KD-001~1'],
    flags: of.flags ?? ['known-answer'],
    phase: 'derive',
    input: { what: of.what, ...of.input },
    output: { value: hex(value) },
    debug,
  };
}

interface Derivation {
  readonly ikm: Uint8Array;
  readonly salt?: Uint8Array;
  readonly name: string;
  readonly context?: readonly Uint8Array[];
  readonly length?: number;
}

/** A derive() with everything that it went through. */
function derived(of: Case, { ikm, salt = EMPTY, name, context = [], length = 32 }: Derivation): Vector {
  const debug = { prk: hex(hkdfExtract(salt, ikm)), info: hex(labels.info(name, context)) };
  return vector(of, labels.derive(ikm, salt, name, context, length), debug);
}

/** A hash() with the bytes that were hashed, unless they are many. */
function hashed(of: Case, name: string, parts: readonly Uint8Array[], length = 32): Vector {
  const bytes = labels.hashInput(name, ...parts);
  const debug = bytes.length > 1000 ? {} : { hashed: hex(bytes) };
  return vector(of, labels.hash(name, ...parts).slice(0, length), debug);
}

function functions(): Vector[] {
  const ikm = stream('some input key', 32);
  const salt = stream('some salt', 32);
  const derivation = (
    id: string,
    note: string,
    flags: readonly Flag[],
    by: Omit<Derivation, 'ikm'>,
  ): Vector => {
    const { name, context = [], length = 32 } = by;
    const input = { ikm: hex(ikm), salt: hex(by.salt ?? EMPTY), name, context: context.map(hex), length };
    return derived({ id: `derive/${id}`, note, flags, what: 'derive', input }, { ikm, ...by });
  };
  const lookAlikes = [
    [ascii('ab'), ascii('c')],
    [ascii('a'), ascii('bc')],
    [ascii('abc')],
    [ascii('abc'), EMPTY],
    [],
  ];
  const alike = 'One of several lists that are the same bytes when they are joined without lengths.';
  return [
    ...LABEL_NAMES.map(name => {
      const id = `label/${name.replaceAll(' ', '-')}`;
      const note = `The bytes of label("${name}").`;
      const of: Case = { id, note, flags: ['label-length'], what: 'label', input: { name } };
      return vector(of, labels.label(name), {});
    }),
    ...lookAlikes.map((context, i) =>
      derivation(`context-${i + 1}`, alike, ['context-length'], { salt, name: 'gate mac', context }),
    ),
    derivation('context-long', 'A part of 300 bytes: its length takes both bytes.', ['byte-order'], {
      salt,
      name: 'gate mac',
      context: [stream('long', 300)],
    }),
    derivation('no-salt', 'Without a salt.', ['empty-salt'], { name: 'file seal' }),
    ...[1, 8, 31, 32, 33, 64, 65].map(length =>
      derivation(`length-${length}`, `An output of ${length} bytes.`, ['long-output'], {
        salt,
        name: 'file seal',
        length,
      }),
    ),
    ...lookAlikes.map((parts, i) => {
      const input = { name: 'record', parts: parts.map(hex) };
      const flags = ['context-length'] as const;
      return hashed({ id: `hash/parts-${i + 1}`, note: alike, flags, what: 'hash', input }, 'record', parts);
    }),
  ];
}

function hashes(): Vector[] {
  const { publicKey: first } = cast.identity(0);
  const { publicKey: second } = cast.identity(1);
  const { publicKey: device } = cast.device('ada');
  const payload = stream('a record payload', 300);
  const content = { stream: 'a chat content', length: 70_000 };
  const invite = stream('some invite', 90);
  const of = (
    what: string,
    note: string,
    input: JsonObject,
    flags: readonly Flag[] = ['known-answer'],
  ): Case => {
    return { id: what.replaceAll(' ', '-'), what, note, input, flags };
  };
  return [
    hashed(of('server id', 'The permanent name of the host.', { identity: hex(first) }), 'server id', [
      first,
    ]),
    hashed(
      of('next identity', 'What a record says of the key that follows.', { identity: hex(second) }),
      'next identity',
      [second],
    ),
    hashed(of('record hash', 'The name of a record.', { payload: hex(payload) }), 'record', [payload]),
    hashed(of('device id', 'The name of a device.', { device_key: hex(device) }), 'device id', [device], 16),
    hashed(
      of('words hash', 'What the words are written from.', { identity: hex(first), device_key: hex(device) }),
      'words',
      [first, device],
      8,
    ),
    hashed(
      of('content hash', 'A content of 70,000 bytes: its length takes three bytes.', { content }, [
        'byte-order',
      ]),
      'content',
      [stream(content.stream, content.length)],
    ),
    hashed(
      of('invite checksum', 'What stands behind an invite.', { invite: hex(invite) }),
      'invite checksum',
      [invite],
      4,
    ),
  ];
}

function memberKeys(): Vector[] {
  return ['invite', 'device'].flatMap(kind =>
    ['ada', 'bob'].flatMap(name => {
      const secret = kind === 'invite' ? cast.inviteSecret(name) : cast.deviceSecret(name);
      const uses = kind === 'invite' ? ['static', 'psk', 'gate', 'file'] : ['psk', 'gate', 'file'];
      return uses.map(use => {
        const what = `${kind} ${use}`;
        const note = `What derives from the secret of ${kind} "${name}" under "${what}".`;
        const input = { secret: hex(secret) };
        const id = `${kind}-${use}/${name}`;
        return derived(
          { id, note, flags: ['known-answer', 'empty-salt'], what, input },
          { ikm: secret, name: what },
        );
      });
    }),
  );
}

function publicKeys(): Vector[] {
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ['invite-ada', cast.invite('ada').secretKey],
    ['all-ones', new Uint8Array(32).fill(0xff)],
    ['all-zeros', new Uint8Array(32)],
  ];
  return cases.map(([id, secretKey]) => {
    const note =
      'The public key of a private key that is clamped when it is used, and stored as it was drawn.';
    const input = { secret_key: hex(secretKey) };
    const of: Case = { id: `x25519-public/${id}`, note, flags: ['clamping'], what: 'x25519 public', input };
    return vector(of, x25519Public(secretKey), {});
  });
}

function file(): Vector[] {
  const salt = stream('file salt', 32);
  const contentKey = stream('content key', 32);
  return [
    ...['ada', 'bob'].flatMap(name => {
      const { fileKey } = cast.device(name);
      const input = { file_key: hex(fileKey), salt: hex(salt) };
      return [
        derived(
          { id: `stanza-tag/${name}`, note: 'How a recipient finds its stanza.', what: 'stanza tag', input },
          { ikm: fileKey, salt, name: 'file tag', length: 8 },
        ),
        derived(
          { id: `stanza-key/${name}`, note: 'What a stanza is sealed with.', what: 'stanza key', input },
          { ikm: fileKey, salt, name: 'file wrap' },
        ),
      ];
    }),
    derived(
      {
        id: 'seal-key',
        note: 'What the signed envelope is sealed with.',
        what: 'seal key',
        input: { content_key: hex(contentKey), salt: hex(salt) },
      },
      { ikm: contentKey, salt, name: 'file seal' },
    ),
  ];
}

function gate(): Vector[] {
  const { gateKey } = cast.device('ada');
  const note = 'The gate of one device in one epoch.';
  return [1, 494_000, 2 ** 32, Number.MAX_SAFE_INTEGER].flatMap(epoch => {
    const accessKey = cast.accessKey(epoch);
    const flags = epoch < 2 ** 32 ? (['byte-order'] as const) : (['byte-order', 'big-number'] as const);
    const hashedBytes = concat(labels.label('gate handle'), u64be(epoch));
    return [
      vector(
        {
          id: `gate-handle/${epoch}`,
          note,
          flags,
          what: 'gate handle',
          input: { gate_key: hex(gateKey), epoch },
        },
        labels.gateHandle(gateKey, epoch),
        { hashed: hex(hashedBytes) },
      ),
      derived(
        {
          id: `gate-mac-key/${epoch}`,
          note,
          flags,
          what: 'gate mac key',
          input: { gate_key: hex(gateKey), access_key: hex(accessKey), epoch },
        },
        { ikm: gateKey, salt: accessKey, name: 'gate mac', context: [u64be(epoch)] },
      ),
    ];
  });
}

function signatures(): Vector[] {
  const bytes = stream('some signed bytes', 200);
  const { secret, publicKey } = cast.identity(0);
  const sign = (what: string, name: string, message: Uint8Array): Vector => {
    const note = `A signature over label("${name}") and the bytes.`;
    const input = { identity_secret: hex(secret), identity: hex(publicKey), bytes: hex(bytes) };
    const of: Case = { id: what.replaceAll(' ', '-'), note, req: ['KD-001~1', 'CF-007~1'], what, input };
    return vector(of, ed25519Sign(secret, message), { signed: hex(message) });
  };
  return [
    sign('signed record', 'connection record', labels.signedRecord(bytes)),
    sign('signed succession', 'succession', labels.signedSuccession(bytes)),
  ];
}

function prologues(): Vector[] {
  return [1, 494_000, 2 ** 40, Number.MAX_SAFE_INTEGER].map(epoch => {
    const input = { protocol_version: 1, suite: 1, server_id: hex(cast.SERVER_ID), epoch };
    const flags = ['label-length', 'byte-order', 'wrong-epoch'] as const;
    const note = 'What both sides feed into the handshake before its first message.';
    return vector(
      { id: `prologue/${epoch}`, note, req: ['KD-001~1', 'HS-010~1'], flags, what: 'prologue', input },
      labels.prologue(1, 1, cast.SERVER_ID, epoch),
      {},
    );
  });
}

/** Make the family. */
export function derivation(): Family {
  return family(
    'derivation',
    ['spec/04-handshake.md#41-labels-and-key-derivation'],
    'Every label, hash and key of the protocol. `input.what` names the function or the row of the table in 4.1.',
    [
      ...functions(),
      ...hashes(),
      ...memberKeys(),
      ...publicKeys(),
      ...file(),
      ...gate(),
      ...signatures(),
      ...prologues(),
    ],
  );
}
