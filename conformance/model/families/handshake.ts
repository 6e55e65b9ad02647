/** Vectors: whole handshakes (spec/04-handshake.md, 4.4); what goes wrong stands beside this file. */
import { EMPTY, stream } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import { type ClientSide, encodeReply } from '../handshake.ts';
import { clientOf, hostOf, KEY_ENDS_MS, SETTING, type Setting, whole } from '../sides.ts';
import { type Family, family, type Vector } from '../vector.ts';
import { handshakeClient } from './handshake-client.ts';
import { handshakeHost } from './handshake-host.ts';

function wholes(): Vector[] {
  const vary = (id: string, note: string, flags: readonly Flag[], other: Partial<Setting>): Vector => {
    const setting = { ...SETTING, tape: id, ...other };
    return whole(id, { note, flags }, clientOf(setting), hostOf(setting));
  };
  const reply = (verifiedSequence: number): Uint8Array =>
    encodeReply({ verifiedSequence, verifiedHash: stream(`record ${verifiedSequence}`, 32) });
  const nothing = encodeReply({ verifiedSequence: 0, verifiedHash: EMPTY });
  const two = { ...SETTING, tape: 'second-channel-key', channel: 1 };
  const ended = { publicKey: cast.channel(0).publicKey, notAfterMs: cast.NOW_MS - 1 };
  const lastInstant = { ...SETTING, tape: 'last-millisecond' };
  const keyUntilNow = (key: { publicKey: Uint8Array }): ClientSide['channelKeys'] => [
    { ...key, notAfterMs: cast.NOW_MS },
  ];
  const hostTwo = hostOf(two);
  const first = { secretKey: cast.channel(0).secretKey, notAfterMs: KEY_ENDS_MS };
  return [
    vary('device', 'A device, in full.', ['known-answer', 'wrong-direction'], {}),
    vary('invite', 'An invite: the keys derive from its secret.', ['known-answer'], {
      member: cast.invite('ada'),
      name: 'invite ada',
    }),
    vary('nothing-verified', 'The host has no verified record: both fields are absent.', ['known-answer'], {
      reply: nothing,
    }),
    vary('sequence-1', 'The lowest sequence.', ['boundary'], { reply: reply(1) }),
    vary('sequence-max', 'The highest sequence.', ['big-number', 'boundary'], {
      reply: reply(Number.MAX_SAFE_INTEGER),
    }),
    vary('epoch-1', 'The first epoch.', ['byte-order'], { epoch: 1 }),
    vary('epoch-max', 'The last epoch.', ['big-number'], { epoch: Number.MAX_SAFE_INTEGER }),
    vary('other-host', 'Another host.', ['known-answer'], { serverId: stream('another server id', 32) }),
    whole(
      'second-channel-key',
      {
        note: 'The first channel key is over for the client; the host tries both of its keys.',
        flags: ['wrong-key', 'clock'],
        req: ['HS-011~2'],
      },
      { ...clientOf(two), channelKeys: [ended, ...clientOf(two).channelKeys] },
      { ...hostTwo, channelKeys: [first, ...hostTwo.channelKeys] },
    ),
    whole(
      'last-millisecond',
      {
        note: 'The channel key is used in the last millisecond in which it may be.',
        flags: ['clock', 'boundary'],
        req: ['HS-011~2', 'CF-041~1'],
      },
      { ...clientOf(lastInstant), channelKeys: keyUntilNow(cast.channel(0)) },
      {
        ...hostOf(lastInstant),
        channelKeys: [{ secretKey: cast.channel(0).secretKey, notAfterMs: cast.NOW_MS }],
      },
    ),
  ];
}

/** Make the family. */
export function handshake(): Family {
  return family(
    'handshake',
    ['spec/04-handshake.md#44-the-noise-handshake'],
    'Handshakes: with `input.client` and `input.host` both sides can be run; with one of them only that side, against what it received.',
    [...wholes(), ...handshakeClient(), ...handshakeHost()],
  );
}
