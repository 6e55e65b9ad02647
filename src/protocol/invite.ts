/** Invites and bundles: how somebody new learns whom to trust and where to look (spec/08-devices.md, 8.1). */
import { create, toBinary } from '@bufbuild/protobuf';
import { getTextEncoding } from '@bufbuild/protobuf/wire';
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { InviteBundleSchema, InviteSchema } from '../gen/clawchat/v1/invite_pb.ts';
import { asciiBytes, concat, sameBytes } from '../wire/bytes.ts';
import { tryParse } from '../wire/parse.ts';
import { BASE32, decodeLetters, encodeLetters } from './base-letters.ts';
import { parseStores, type Store, storeMessages } from './connection-record.ts';
import { type Fault, fault, isFault } from './fault.ts';
import { foldConfusable, foldText } from './invite-letters.ts';
import { inviteChecksum, SECRET_BYTES, serverId } from './keys.ts';
import type { Trust } from './succession.ts';

const INVITE_VERSION = 1;
const INVITE_BYTES_MAX = 2_048;
const CHECKSUM_BYTES = 4;
const TEXT_PREFIX = 'clawchat1';
const BUNDLE_KIND: Uint8Array = asciiBytes('ClawChat bundle ');
const BUNDLE_START: Uint8Array = asciiBytes('ClawChat bundle 1\n');
const BUNDLE_BYTES_MAX = 266_240;
const KEY_BYTES = 32;

/** An invite that keeps every rule of `invite.proto`. */
export interface Invite {
  /** Exactly as it came. */
  readonly bytes: Uint8Array;
  readonly secret: Uint8Array;
  /** The host's identity key and permanent name; no next identity yet. */
  readonly trust: Trust;
  readonly expiresAtMs: number;
  readonly stores: readonly Store[];
}

/** What a person was handed. */
export interface InviteInput {
  readonly invite: Invite;
  /** From a bundle: the bytes of a connection file, not looked at. */
  readonly connectionFile: Uint8Array | undefined;
}

/** What an invite is made of. */
export interface InviteRequest {
  readonly secret: Uint8Array;
  /** The host's current identity public key. */
  readonly identity: Uint8Array;
  readonly serverId: Uint8Array;
  /** Unix seconds. */
  readonly expiresAtS: number;
  readonly stores: readonly Store[];
}

/** Encode an invite. The server id is left out while it derives from the identity key. */
export function encodeInvite(suite: Suite, request: InviteRequest): Uint8Array {
  const { secret, identity, expiresAtS } = request;
  const isFirst = sameBytes(serverId(suite, identity), request.serverId);
  return toBinary(
    InviteSchema,
    create(InviteSchema, {
      version: INVITE_VERSION,
      secret,
      identity,
      serverId: isFirst ? new Uint8Array(0) : request.serverId,
      expiresAtS,
      stores: storeMessages(request.stores),
    }),
  );
}

/** Write an invite as people pass it on. */
export function inviteText(suite: Suite, invite: Uint8Array): string {
  return TEXT_PREFIX + encodeLetters(BASE32, concat(invite, inviteChecksum(suite, invite)));
}

/** Put an invite and the connection file of the moment into one file. */
export function encodeBundle(invite: Uint8Array, connectionFile: Uint8Array): Uint8Array {
  return concat(
    BUNDLE_START,
    toBinary(InviteBundleSchema, create(InviteBundleSchema, { invite, connectionFile })),
  );
}

/** Whether this is meant to be an invite in its text form, however it was typed. */
export function looksLikeInvite(text: string): boolean {
  return foldText(text).startsWith(TEXT_PREFIX);
}

/** Read the text form. Faults: INVITE_MALFORMED, INVITE_CHECKSUM, VERSION_UNSUPPORTED. @impl IN-005~1 */
export function parseInviteText(suite: Suite, text: string): Invite | Fault {
  const folded = foldText(text);
  if (!folded.startsWith(TEXT_PREFIX)) return malformed('it does not begin with "clawchat1"');
  const bytes = decodeLetters(BASE32, foldConfusable(folded.slice(TEXT_PREFIX.length)));
  if (bytes === undefined) return malformed('a letter is none that an invite has, or one is missing');
  if (bytes.length < CHECKSUM_BYTES) return malformed('it is cut off');
  const end = bytes.length - CHECKSUM_BYTES;
  const invite = bytes.slice(0, end);
  if (!sameBytes(inviteChecksum(suite, invite), bytes.subarray(end))) {
    return fault('peer', ErrorCode.INVITE_CHECKSUM, 'a letter of the invite is wrong');
  }
  return parseInvite(suite, invite);
}

/** Parse the bytes of an Invite. Faults: INVITE_MALFORMED, VERSION_UNSUPPORTED. @impl IN-005~1 */
export function parseInvite(suite: Suite, bytes: Uint8Array): Invite | Fault {
  if (bytes.length > INVITE_BYTES_MAX) return malformed('it is too long');
  const message = tryParse(InviteSchema, bytes);
  if (message === undefined) return malformed('it does not parse');
  if (message.version !== INVITE_VERSION) {
    return fault('peer', ErrorCode.VERSION_UNSUPPORTED, `the invite is of version ${message.version}`);
  }
  const { secret, identity, serverId: named } = message;
  const isNamed = named.length === 0 || named.length === KEY_BYTES;
  const stores = parseStores(message.stores);
  if (secret.length !== SECRET_BYTES || identity.length !== KEY_BYTES || !isNamed || stores === undefined) {
    return malformed('it breaks a rule');
  }
  return {
    bytes,
    secret,
    trust: {
      serverId: named.length === 0 ? serverId(suite, identity) : named,
      identity,
      nextIdentityHash: undefined,
    },
    expiresAtMs: message.expiresAtS * 1000,
    stores,
  };
}

/**
 * Read what a person was handed, a text or a bundle, told apart by the first bytes.
 *
 * Faults: INVITE_MALFORMED, INVITE_CHECKSUM, VERSION_UNSUPPORTED. @impl IN-007~1
 */
export function parseInviteInput(suite: Suite, bytes: Uint8Array): InviteInput | Fault {
  if (!startsWith(bytes, BUNDLE_KIND)) {
    const invite = parseInviteText(suite, getTextEncoding().decodeUtf8(bytes));
    return isFault(invite) ? invite : { invite, connectionFile: undefined };
  }
  if (!startsWith(bytes, BUNDLE_START)) {
    return fault('peer', ErrorCode.VERSION_UNSUPPORTED, 'the bundle is of another version');
  }
  const body = bytes.subarray(BUNDLE_START.length);
  const bundle = body.length <= BUNDLE_BYTES_MAX ? tryParse(InviteBundleSchema, body) : undefined;
  if (bundle === undefined || bundle.invite.length === 0 || bundle.connectionFile.length === 0) {
    return malformed('the bundle does not parse');
  }
  const invite = parseInvite(suite, bundle.invite.slice());
  return isFault(invite) ? invite : { invite, connectionFile: bundle.connectionFile };
}

/** Say whether an invite's time is over by the client's clock. Faults: INVITE_EXPIRED. @impl IN-006~1 */
export function inviteExpired(invite: Invite, wallMs: number): Fault | undefined {
  if (wallMs <= invite.expiresAtMs) return undefined;
  const detail = `the invite ended at ${new Date(invite.expiresAtMs).toISOString()} by this machine's clock`;
  return fault('time', ErrorCode.INVITE_EXPIRED, detail);
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return sameBytes(bytes.subarray(0, start.length), start);
}

function malformed(what: string): Fault {
  return fault('peer', ErrorCode.INVITE_MALFORMED, `the invite cannot be read: ${what}`);
}
