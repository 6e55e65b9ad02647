/** Judges vectors of `invite`. */
import { hex, utf8 } from '../bytes.ts';
import { bundle, decodeText, expired, inviteText, judgeInvite, readInvite } from '../invite.ts';
import { bytes, has, number, text } from '../json.ts';
import { inviteKeys } from '../labels.ts';
import { attempt, demand } from '../refusal.ts';
import { shownInvite } from '../samples.ts';
import type { JsonObject } from '../vector.ts';
import type { Judge } from './judge.ts';

/** Judge a vector of `invite`. */
export const judgeInviteVector: Judge = input => {
  const outcome = attempt(() => run(input));
  return 'refusal' in outcome ? { error: outcome.refusal.code } : { output: outcome.value };
};

function run(input: JsonObject): JsonObject {
  switch (text(input, 'what')) {
    case 'write':
      return write(bytes(input, 'invite'));
    case 'read':
      return { fields: fields(utf8(text(input, 'text'))) };
    case 'read bundle': {
      const described = !has(input, 'bundle');
      const given = described
        ? bundle(bytes(input, 'invite'), bytes(input, 'connection_file'))
        : bytes(input, 'bundle');
      const { file } = readInvite(given);
      const read = { fields: fields(given) };
      return described || file === undefined ? read : { ...read, connection_file: hex(file) };
    }
    default: {
      const invite = judgeInvite(decodeText(text(input, 'text')));
      demand(!expired(invite, number(input, 'now_ms')), 'INVITE_EXPIRED', 'expired');
      return { expired: false };
    }
  }
}

function fields(given: Uint8Array): JsonObject {
  return shownInvite(readInvite(given).invite);
}

function write(invite: Uint8Array): JsonObject {
  const keys = inviteKeys(judgeInvite(invite).secret);
  const written = inviteText(invite);
  return {
    text: written,
    fields: fields(utf8(written)),
    static_secret: hex(keys.secretKey),
    static_public: hex(keys.publicKey),
    psk: hex(keys.psk),
    gate_key: hex(keys.gateKey),
    file_key: hex(keys.fileKey),
  };
}
