/** Vectors: tokens of the upgrade request (spec/04-handshake.md, 4.3). */
import { concat, hex, stream, u64be } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import { base64url, type GateTable, judgeToken, makeToken, type Token } from '../gate.ts';
import { type Family, family, type JsonObject, type Vector } from '../vector.ts';

const EPOCH = 494_000;
const NAMES = ['ada', 'bob', 'cleo', 'invite dora'] as const;

const memberOf = (name: string): ReturnType<typeof cast.device> =>
  name.startsWith('invite ') ? cast.invite(name.slice(7)) : cast.device(name);

/** What the judging host knows: two epochs, three devices and an invite. */
const TABLE: GateTable = {
  accessKeys: [EPOCH, EPOCH - 1].map(epoch => ({ epoch, key: cast.accessKey(epoch) })),
  members: NAMES.map(name => ({ name, gateKey: memberOf(name).gateKey })),
};

const SHOWN_TABLE: JsonObject = {
  access_keys: TABLE.accessKeys.map(({ epoch, key }) => ({ epoch, key: hex(key) })),
  members: TABLE.members.map(({ name, gateKey }) => ({ name, gate_key: hex(gateKey) })),
};

const message1 = (name: string): Uint8Array => stream(`message 1 of ${name}`, 48);

const tokenOf = (name: string, epoch: number, access: number = epoch): Token =>
  makeToken(memberOf(name).gateKey, cast.accessKey(access), epoch, message1(name));

function made(id: string, name: string, epoch: number, flags: readonly Flag[]): Vector {
  const token = tokenOf(name, epoch);
  return {
    id: `gate/make/${id}`,
    note: `A token of ${name} in epoch ${epoch}. Message 1 is any 48 bytes here.`,
    req: ['GT-001~1', 'HS-003~1', 'KD-001~1'],
    flags,
    phase: 'auth',
    input: {
      what: 'make',
      gate_key: hex(memberOf(name).gateKey),
      access_key: hex(cast.accessKey(epoch)),
      epoch,
      message_1: hex(token.message1),
    },
    output: { token: token.text, header: token.header },
    debug: {
      epoch: hex(token.epoch),
      handle: hex(token.handle),
      mac_key: hex(token.macKey),
      mac: hex(token.mac),
      bytes: hex(token.bytes),
    },
  };
}

function judged(
  id: string,
  note: string,
  token: string,
  flags: readonly Flag[],
  req = 'GT-002~1',
  before: readonly string[] = [],
): Vector {
  const verdict = judgeToken(token, TABLE, before);
  const common = {
    id: `gate/judge/${id}`,
    note,
    req: [req],
    flags,
    phase: 'auth',
    input: {
      what: 'judge',
      token,
      ...(before.length > 0 && { before: before.map(each => ({ token: each })) }),
    },
  } as const;
  if (verdict.kind === 'refused') return { ...common, error: 'GATE_REFUSED', debug: { why: verdict.reason } };
  const { member, epoch, message1: inside } = verdict;
  return { ...common, output: { member, epoch, message_1: hex(inside) } };
}

function accepted(): Vector[] {
  return [
    ...NAMES.map(name =>
      judged(`${name.replace(' ', '-')}`, `A token of ${name}.`, tokenOf(name, EPOCH).text, ['known-answer']),
    ),
    judged(
      'older-epoch',
      'The epoch before has not ended yet.',
      tokenOf('bob', EPOCH - 1).text,
      ['wrong-epoch'],
      'GT-004~1',
    ),
  ];
}

/** Hosts that have judged tokens before. */
function again(): Vector[] {
  const ada = tokenOf('ada', EPOCH).text;
  const other = makeToken(
    memberOf('ada').gateKey,
    cast.accessKey(EPOCH),
    EPOCH,
    stream('another message 1 of ada', 48),
  ).text;
  const wrong = `${ada.slice(0, -4)}${ada.at(-4) === 'A' ? 'B' : 'A'}${ada.slice(-3)}`;
  const seen = (id: string, note: string, token: string, ...before: readonly string[]): Vector =>
    judged(`again/${id}`, note, token, ['replay'], 'GT-007~1', before);
  return [
    seen('at-once', 'A token that was let through is refused the second time.', ada, ada),
    seen('third-time', 'And the third.', ada, ada, ada),
    seen('behind-another', 'Also when another one of the same device came between.', ada, ada, other),
    seen('fresh', 'Another token of the same device is good.', other, ada, ada),
    seen('other-device', 'And that of another device.', tokenOf('bob', EPOCH).text, ada),
    seen(
      'other-epoch',
      'Message 1 was seen in the epoch before, in another token.',
      ada,
      tokenOf('ada', EPOCH - 1).text,
    ),
    seen('behind-wrong-mac', 'With a wrong MAC it was not let through, and so not seen.', ada, wrong),
  ];
}

/** Flip the first and the last bit of each part, and one in its middle. */
function flips(): Vector[] {
  const { bytes } = tokenOf('ada', EPOCH);
  const parts = [
    ['epoch', 0, 8],
    ['handle', 8, 24],
    ['message-1', 24, 72],
    ['mac', 72, 88],
  ] as const;
  return parts.flatMap(([part, from, to]) => {
    const places = [
      ['first', from, 7],
      ['middle', (from + to) >> 1, 3],
      ['last', to - 1, 0],
    ] as const;
    return places.map(([where, at, bit]) => {
      const flipped = bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
      const note = `Bit ${bit} of byte ${at} is flipped, in ${part}.`;
      return judged(`flip/${part}/${where}`, note, base64url(flipped), ['bit-flip']);
    });
  });
}

function written(): Vector[] {
  const { text, bytes } = tokenOf('ada', EPOCH);
  // A token with both letters in which the two base64 alphabets differ.
  const both = Array.from({ length: 64 }, (_, i) =>
    makeToken(memberOf('ada').gateKey, cast.accessKey(EPOCH), EPOCH, stream(`letters ${i}`, 48)),
  ).find(token => token.text.includes('-') && token.text.includes('_'));
  if (both === undefined) throw new Error('no token with both letters');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(text.slice(-1));
  const leftover = [1, 2, 4, 8].map(bit =>
    judged(
      `leftover-bit-${bit}`,
      'An unused bit at the end is one.',
      text.slice(0, -1) + alphabet.charAt(last | bit),
      ['leftover-bits'],
    ),
  );
  const strange: readonly (readonly [string, string, string, readonly Flag[]])[] = [
    ['empty', 'Nothing.', '', ['truncation']],
    ['cut-1', 'A letter too few.', text.slice(0, -1), ['truncation']],
    ['cut-2', 'Two letters too few, which is a whole byte.', text.slice(0, -2), ['truncation']],
    ['half', 'The first half.', text.slice(0, 59), ['truncation']],
    ['longer-1', 'A letter too many.', `${text}A`, ['extension']],
    ['longer-2', 'A byte too many.', base64url(concat(bytes, Uint8Array.of(0))), ['extension']],
    ['padded', 'With padding.', `${text}==`, ['character-set', 'extension']],
    ['padded-118', 'With padding, of the right length.', `${text.slice(0, -2)}==`, ['character-set']],
    [
      'plain-alphabet',
      'In the plain base64 alphabet.',
      both.text.replaceAll('-', '+').replaceAll('_', '/'),
      ['character-set'],
    ],
    ['both-letters', 'The same in the right alphabet.', both.text, ['character-set']],
    ['space', 'A space in place of a letter.', `${text.slice(0, 50)} ${text.slice(51)}`, ['character-set']],
    [
      'line-feed',
      'A line feed at the end, in place of the last letter.',
      `${text.slice(0, -1)}\n`,
      ['character-set'],
    ],
    ['twice', 'The token twice.', text + text, ['extension']],
  ];
  return [
    ...leftover,
    ...strange.map(([id, note, token, flags]) => judged(`form/${id}`, note, token, flags)),
  ];
}

function foreign(): Vector[] {
  const { gateKey } = memberOf('ada');
  const ada = tokenOf('ada', EPOCH);
  const bob = tokenOf('bob', EPOCH);
  const older = tokenOf('ada', EPOCH - 1);
  const splice = (...parts: readonly Uint8Array[]): string => base64url(concat(...parts));
  const wrongEpoch = (epoch: number): string =>
    makeToken(gateKey, cast.accessKey(epoch), epoch, message1('ada')).text;
  return [
    judged('stranger', 'A device that the host does not know.', tokenOf('mallory', EPOCH).text, [
      'wrong-key',
    ]),
    judged('epoch-ended', 'An epoch that has ended.', wrongEpoch(EPOCH - 2), ['wrong-epoch']),
    judged('epoch-ahead', 'An epoch that has not begun.', wrongEpoch(EPOCH + 1), ['wrong-epoch']),
    judged('epoch-0', 'Epoch 0.', wrongEpoch(0), ['wrong-epoch', 'range']),
    judged(
      'epoch-cut',
      'An epoch that is a known one in its lower 32 bits.',
      makeToken(gateKey, cast.accessKey(EPOCH), EPOCH + 2 ** 32, message1('ada')).text,
      ['big-number'],
    ),
    judged(
      'epoch-2-64',
      'The highest epoch that 64 bits hold.',
      makeToken(gateKey, cast.accessKey(EPOCH), 2n ** 64n - 1n, message1('ada')).text,
      ['big-number', 'range'],
    ),
    judged(
      'access-key-of-other-epoch',
      'The right epoch, but the access key of the one before.',
      tokenOf('ada', EPOCH, EPOCH - 1).text,
      ['wrong-epoch', 'wrong-key'],
    ),
    judged(
      'handle-of-other',
      'The handle of another device.',
      splice(ada.epoch, bob.handle, ada.message1, ada.mac),
      ['splice'],
    ),
    judged(
      'handle-of-epoch-before',
      'The handle of the epoch before.',
      splice(ada.epoch, older.handle, ada.message1, ada.mac),
      ['splice', 'wrong-epoch'],
    ),
    judged(
      'message-of-other',
      'Message 1 of another device.',
      splice(ada.epoch, ada.handle, bob.message1, ada.mac),
      ['splice'],
    ),
    judged(
      'mac-of-other',
      'The MAC of another device.',
      splice(ada.epoch, ada.handle, ada.message1, bob.mac),
      ['splice'],
    ),
    judged(
      'epoch-relabelled',
      'A token of the epoch before under the epoch of today.',
      splice(u64be(EPOCH), older.bytes.slice(8)),
      ['splice', 'wrong-epoch'],
    ),
    judged(
      'epoch-little-endian',
      'The epoch least significant byte first.',
      splice(ada.epoch.toReversed(), ada.bytes.slice(8)),
      ['byte-order'],
    ),
  ];
}

/** Make the family. */
export function gate(): Family {
  return family(
    'gate',
    ['spec/04-handshake.md#43-the-gate'],
    '"make" builds a token; "judge" gives one to a host that knows what `shared` says and has judged the tokens of `before`. To a stranger all refusals look the same: `debug.why` is for the log.',
    [
      made('device', 'ada', EPOCH, ['known-answer']),
      made('invite', 'invite dora', EPOCH, ['known-answer']),
      made('first-epoch', 'ada', 1, ['byte-order']),
      made('last-epoch', 'ada', Number.MAX_SAFE_INTEGER, ['big-number']),
      ...accepted(),
      ...again(),
      ...flips(),
      ...written(),
      ...foreign(),
    ],
    SHOWN_TABLE,
  );
}
