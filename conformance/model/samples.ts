/** Stores and invites that several families use. */
import { create, toBinary } from '@bufbuild/protobuf';
import { type Store, StoreSchema } from '../../src/gen/clawchat/v1/connection_file_pb.ts';
import { type Invite, InviteSchema } from '../../src/gen/clawchat/v1/invite_pb.ts';
import { EMPTY, hex, stream } from './bytes.ts';
import * as cast from './cast.ts';
import { serverIdOf } from './invite.ts';
import type { Json, JsonObject } from './vector.ts';

export const https = (readUrl: string, spkiPin: Uint8Array = EMPTY): Store =>
  create(StoreSchema, { kind: { case: 'https', value: { readUrl, spkiPin } } });
const local = (path: string): Store => create(StoreSchema, { kind: { case: 'local', value: { path } } });
const mega = (folderLink: string): Store =>
  create(StoreSchema, { kind: { case: 'mega', value: { folderLink } } });

export const HTTPS: Store = https('https://files.example/claw/a.bin');
export const HTTPS_PINNED: Store = https('https://192.0.2.7:8443/a', stream('authority pin', 32));
export const LOCAL: Store = local('/srv/clawchat/connection');
export const MEGA: Store = mega('https://mega.nz/folder/abcdEFGH#0123456789abcdefghijkl');

/** Stores that break a rule, and the longest that break none. */
export const STORE_BOUNDS: readonly (readonly [string, string, Store])[] = [
  ['path-1024', 'The longest path.', local(`/${'a'.repeat(1023)}`)],
  ['path-1025', 'A path that is too long.', local(`/${'a'.repeat(1024)}`)],
  ['path-empty', 'An empty path.', local('')],
  ['url-1024', 'The longest URL.', https(`https://${'a'.repeat(1016)}`)],
  ['url-1025', 'A URL that is too long.', https(`https://${'a'.repeat(1017)}`)],
  ['url-empty', 'An empty URL.', https('')],
  ['pin-31', 'A pin of 31 bytes.', https('https://a', stream('pin', 31))],
  ['pin-33', 'A pin of 33 bytes.', https('https://a', stream('pin', 33))],
  ['link-256', 'The longest folder link.', mega('m'.repeat(256))],
  ['link-257', 'A folder link that is too long.', mega('m'.repeat(257))],
  ['link-empty', 'An empty folder link.', mega('')],
];

/** A store as a vector shows it. */
export function shownStore({ kind }: Store): Json {
  if (kind.case === 'local') return { local: { path: kind.value.path } };
  if (kind.case === 'https')
    return { https: { read_url: kind.value.readUrl, spki_pin: hex(kind.value.spkiPin) } };
  if (kind.case === 'mega') return { mega: { folder_link: kind.value.folderLink } };
  return {};
}

/** An invite as a vector shows it. */
export function shownInvite(invite: Invite): JsonObject {
  return {
    secret: hex(invite.secret),
    identity: hex(invite.identity),
    server_id: hex(serverIdOf(invite)),
    expires_at_s: invite.expiresAtS,
    stores: invite.stores.map(shownStore),
  };
}

export interface InviteFields {
  readonly version?: number;
  readonly secret?: Uint8Array;
  readonly identity?: Uint8Array;
  readonly serverId?: Uint8Array;
  readonly expiresAtS?: number;
  readonly stores?: Store[];
}

export const EXPIRES_S: number = Math.floor(cast.NOW_MS / 1000) + 86_400;

const ADA: InviteFields = {
  version: 1,
  secret: cast.inviteSecret('ada'),
  identity: cast.identity(0).publicKey,
  expiresAtS: EXPIRES_S,
  stores: [HTTPS],
};

/** Encode the invite "ada", with other values for some of its fields. */
export function encodeInvite(other: InviteFields = {}): Uint8Array {
  return toBinary(InviteSchema, create(InviteSchema, { ...ADA, ...other }));
}

export const ADA_INVITE: Uint8Array = encodeInvite();
