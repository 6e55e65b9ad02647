// Generated from spec/constants.md by `npm run generate`. Do not edit.

/** The constants that depend on the preset: times of the rotation table. */
export interface Constants {
  /** ms: from one rotation R to the next, by default. */
  readonly ROTATION_INTERVAL_MS: number;
  /** ms: the shortest interval that can be configured. */
  readonly ROTATION_INTERVAL_MS_MIN: number;
  /** ms: the longest interval that can be configured. */
  readonly ROTATION_INTERVAL_MS_MAX: number;
  /** ms: before R: the next port is bound, listening and mapped. */
  readonly PREPARE_LEAD_MS: number;
  /** ms: before R: without a mapping by now the rotation is held. */
  readonly MAPPING_LEAD_MS: number;
  /** ms: before R: the new record is published. */
  readonly PUBLISH_LEAD_MS: number;
  /** ms: before R: the first instant at which a client moves. */
  readonly MIGRATE_LEAD_MS: number;
  /** ms: before R: with no store verified by now the rotation is held. */
  readonly VERIFY_LEAD_MS: number;
  /** ms: after R: the last instant at which a client moves. */
  readonly MIGRATE_LAG_MS: number;
  /** ms: after R: as long as records promise the old port; valid_until is next_rotation plus this. */
  readonly GRACE_MS: number;
  /** ms: after R: listener, mapping, access key and TLS key of the old port end. */
  readonly RETIRE_MS: number;
  /** ms: a hold moves R by this. */
  readonly HOLD_MS: number;
  /** ms: after an emergency E every earlier listener ends, at the earliest. */
  readonly EMERGENCY_MS: number;
  /** ms: from issued_at to valid_until at the default interval; in general interval + PUBLISH_LEAD_MS + GRACE_MS. */
  readonly RECORD_LIFE_MS: number;
  /** ms: from one check of the host's clock to the next. */
  readonly CLOCK_CHECK_MS: number;
  /** ms: a host whose clock is off by more warns. */
  readonly CLOCK_WARN_MS: number;
  /** ms: a host whose clock is off by more holds. */
  readonly CLOCK_HOLD_MS: number;
  /** ms: a bind, a mapping or a commit that failed is tried again after this. */
  readonly RETRY_MS: number;
  /** ms: a client's clock off by up to this, either way, costs no failed attempt. */
  readonly SKEW_MS_MAX: number;
  /** ms: before next_rotation: a client that starts later than this reads its stores before it dials. */
  readonly READ_BEFORE_DIAL_MS: number;
  /** ms: a store lower than the host's newest record is read again after this, then reported stale. */
  readonly STORE_READ_AGAIN_MS: number;
}

/** The protocol. */
export const STANDARD: Constants = {
  ROTATION_INTERVAL_MS: 3_600_000,
  ROTATION_INTERVAL_MS_MIN: 900_000,
  ROTATION_INTERVAL_MS_MAX: 86_400_000,
  PREPARE_LEAD_MS: 240_000,
  MAPPING_LEAD_MS: 180_000,
  PUBLISH_LEAD_MS: 120_000,
  MIGRATE_LEAD_MS: 90_000,
  VERIFY_LEAD_MS: 15_000,
  MIGRATE_LAG_MS: 150_000,
  GRACE_MS: 300_000,
  RETIRE_MS: 310_000,
  HOLD_MS: 300_000,
  EMERGENCY_MS: 60_000,
  RECORD_LIFE_MS: 4_020_000,
  CLOCK_CHECK_MS: 3_600_000,
  CLOCK_WARN_MS: 60_000,
  CLOCK_HOLD_MS: 300_000,
  RETRY_MS: 3000,
  SKEW_MS_MAX: 300_000,
  READ_BEFORE_DIAL_MS: 120_000,
  STORE_READ_AGAIN_MS: 60_000,
};

/** The same protocol with an hour of 12 seconds, for tests in real time. */
export const MINIMAL: Constants = {
  ROTATION_INTERVAL_MS: 12_000,
  ROTATION_INTERVAL_MS_MIN: 3000,
  ROTATION_INTERVAL_MS_MAX: 288_000,
  PREPARE_LEAD_MS: 800,
  MAPPING_LEAD_MS: 600,
  PUBLISH_LEAD_MS: 400,
  MIGRATE_LEAD_MS: 300,
  VERIFY_LEAD_MS: 50,
  MIGRATE_LAG_MS: 500,
  GRACE_MS: 1000,
  RETIRE_MS: 1034,
  HOLD_MS: 1000,
  EMERGENCY_MS: 200,
  RECORD_LIFE_MS: 13_400,
  CLOCK_CHECK_MS: 12_000,
  CLOCK_WARN_MS: 200,
  CLOCK_HOLD_MS: 1000,
  RETRY_MS: 10,
  SKEW_MS_MAX: 1000,
  READ_BEFORE_DIAL_MS: 400,
  STORE_READ_AGAIN_MS: 200,
};

/** bytes: the sizes that a connection file can have. */
export const FILE_CLASSES_BYTES: readonly number[] = [4096, 16_384, 65_536, 262_144];

/** bytes: more than this is refused before it is parsed. */
export const FILE_BYTES_MAX: number = 262_144;

/** bytes: one recipient's stanza. */
export const STANZA_BYTES: number = 56;

/** endpoints: in one connection record. */
export const ENDPOINTS_MAX: number = 16;

/** bytes: the host name or address of an endpoint. */
export const HOST_BYTES_MAX: number = 253;

/** keys: channel keys in one connection record: current, next, and room for an emergency. */
export const CHANNEL_KEYS_MAX: number = 4;

/** pins: TLS pins in one connection record. */
export const TLS_PINS_MAX: number = 4;

/** keys: access keys in one connection record, one per epoch. */
export const ACCESS_KEYS_MAX: number = 4;

/** suites: suites allowed in one connection record. */
export const SUITES_MAX: number = 8;

/** stores: stores in one connection record. */
export const STORES_MAX: number = 8;

/** bytes: the address of one store. */
export const STORE_URL_BYTES_MAX: number = 1024;

/** statements: the chain of succession in one envelope. */
export const SUCCESSIONS_MAX: number = 16;

/** ms: a host channel key is replaced at this age (30 days). */
export const CHANNEL_KEY_LIFE_MS: number = 2_592_000_000;

/** ms: a channel key in a record outlives that record's valid_until by at least this (7 days). */
export const CHANNEL_KEY_MARGIN_MS: number = 604_800_000;

/** port: the lowest port drawn. */
export const PORT_MIN: number = 49_152;

/** port: the highest port drawn. */
export const PORT_MAX: number = 65_535;

/** attempts: ports tried before a bind is given up. */
export const BIND_ATTEMPTS_MAX: number = 16;

/** ports: the last ports used, none of which is drawn again. */
export const RECENT_PORTS_MAX: number = 24;

/** notes: what a host remembers of its rotations. */
export const HISTORY_NOTES_MAX: number = 512;

/** listeners: open at once in a scheduled rotation. */
export const LISTENERS_MAX: number = 2;

/** listeners: open at once in an emergency, and beside two older places. */
export const LISTENERS_EMERGENCY_MAX: number = 3;

/** ms: wall minus monotonic time changes by more: fresh times are published at once. */
export const CLOCK_STEP_MS: number = 5000;

/** ms: a host looks this often whether its two clocks still agree. */
export const CLOCK_LOOK_MS: number = 1000;

/** ms: from a revocation to the end of the device's paths and sessions. */
export const REVOKE_MS_MAX: number = 1000;

/** ms: one attempt to read or write a store. */
export const STORE_ATTEMPT_MS_MAX: number = 10_000;

/** files: of one answer of a store that a reader judges: the file and what a synced folder or an interrupted exchange left beside it. */
export const STORE_CANDIDATES_MAX: number = 4;

/** redirects: followed in one read of an HTTPS store. */
export const STORE_REDIRECTS_MAX: number = 3;

/** ms: the bound of the first wait after a failed attempt to publish; it doubles with each failure. */
export const PUBLISH_BACKOFF_MS_MIN: number = 1000;

/** ms: the bound stops doubling here; the wait is uniform between 0 and the bound. */
export const PUBLISH_BACKOFF_MS_MAX: number = 60_000;

/** ms: the same bound for what only an operator can end, and the longest wait that a store can ask for. */
export const STORE_PATIENCE_MS: number = 900_000;

/** ms: the bound of the first wait after a failed dial; it doubles with each failure. */
export const DIAL_BACKOFF_MS_MIN: number = 1000;

/** ms: the bound stops doubling here; the wait is uniform between 0 and the bound. */
export const DIAL_BACKOFF_MS_MAX: number = 60_000;

/** ms: from accept to an authenticated message 3. */
export const AUTH_MS_MAX: number = 5000;

/** bytes: the head of the upgrade request. */
export const HTTP_HEAD_BYTES_MAX: number = 16_384;

/** bytes: after the HTTP head, up to and including message 3. */
export const PREAUTH_BYTES_MAX: number = 4096;

/** bytes: one binary WebSocket message, tag included. */
export const WIRE_RECORD_BYTES_MAX: number = 65_535;

/** bytes: the same without the tag of 16 bytes. */
export const WIRE_RECORD_PLAINTEXT_BYTES_MAX: number = 65_519;

/** records: in either direction of a path (2^19): the client opens a new path. */
export const WIRE_RECORDS_SOFT_MAX: number = 524_288;

/** records: in either direction of a path (2^20): the path closes, resumable. */
export const WIRE_RECORDS_HARD_MAX: number = 1_048_576;

/** bytes: up to here a wire record is padded to a multiple of WIRE_STEP_BYTES. */
export const WIRE_SMALL_BYTES_MAX: number = 1024;

/** bytes: the step of the small wire classes. */
export const WIRE_STEP_BYTES: number = 128;

/** bytes: the step of the wire classes above WIRE_SMALL_BYTES_MAX. */
export const WIRE_LARGE_STEP_BYTES: number = 1024;

/** bytes: one encoded frame; the rest of a wire record is for lengths, control frames and padding. */
export const FRAME_BYTES_MAX: number = 65_280;

/** bytes: the payload of one Data frame. */
export const PAYLOAD_BYTES_MAX: number = 65_000;

/** bytes: the name of a service. */
export const SERVICE_BYTES_MAX: number = 32;

/** frames: the highest sequence number (2^53 - 1). */
export const SEQUENCE_MAX: number = 9_007_199_254_740_991;

/** ms: a session without a path is kept this long. */
export const SESSION_RESUME_MS: number = 3_600_000;

/** paths: of one session at once: the older and the one that replaces it. */
export const SESSION_PATHS_MAX: number = 2;

/** bytes: the most that a receiver grants to all streams of a session together. */
export const SESSION_CREDIT_BYTES: number = 4_194_304;

/** bytes: the credit that a stream begins with, in each direction. */
export const STREAM_CREDIT_BYTES: number = 8192;

/** bytes: the most that a receiver grants to one stream beyond what its application has taken. */
export const STREAM_WINDOW_BYTES_MAX: number = 262_144;

/** bytes: what a Data frame counts against credit and retention besides its payload. */
export const DATA_COST_BYTES: number = 32;

/** streams: open in one session at once, of those that one side opened. */
export const STREAMS_MAX: number = 128;

/** bytes: sent and not acknowledged, in one session, which is all that a device has. */
export const SESSION_RETAINED_BYTES_MAX: number = 16_777_216;

/** bytes: the same, over all sessions of a host. */
export const GLOBAL_RETAINED_BYTES_MAX: number = 268_435_456;

/** ms: from taking a Data frame to sending an Ack that covers it. */
export const ACK_DELAY_MS_MAX: number = 5000;

/** bytes: taken and not acknowledged, payload and DATA_COST_BYTES of each frame; from there on an Ack is sent at once. */
export const ACK_BYTES_MAX: number = 65_536;

/** ms: from message 3 to the first Attach or Enrol on a path. */
export const ATTACH_MS_MAX: number = 5000;

/** ms: of silence, then a ping. */
export const PING_IDLE_MS: number = 20_000;

/** ms: of silence, then the path is dead. */
export const PATH_DEAD_MS: number = 45_000;

/** ms: from a Ping on waking or on another network to a dead path. */
export const PROBE_MS_MAX: number = 5000;

/** ms: from making an invite to its expiry, by default (24 h). */
export const INVITE_LIFE_MS: number = 86_400_000;

/** ms: the longest life that can be asked for (7 days). */
export const INVITE_LIFE_MS_MAX: number = 604_800_000;

/** ms: from a claim to the end of a device that is still pending, and of its invite (24 h). */
export const CLAIM_LIFE_MS: number = 86_400_000;

/** ms: a device that was not seen for this long is removed (180 days). */
export const DEVICE_UNUSED_MS: number = 15_552_000_000;

/** devices: enrolled and pending, of one host. */
export const DEVICES_MAX: number = 4096;

/** invites: open and claimed, of one host. */
export const INVITES_MAX: number = 256;

/** bytes: a device's name in UTF-8. */
export const DEVICE_NAME_BYTES_MAX: number = 64;

/** tokens: bucket of a client address (IPv4, IPv6 /64), one token an accept. */
export const ADDRESS_TOKENS_MAX: number = 32;

/** ms: one token back. */
export const ADDRESS_REFILL_MS: number = 2000;

/** tokens: bucket of its own for an address that authenticated lately. */
export const KNOWN_ADDRESS_TOKENS_MAX: number = 512;

/** ms: one token back. */
export const KNOWN_ADDRESS_REFILL_MS: number = 100;

/** ms: how long ago "lately" is. */
export const KNOWN_ADDRESS_MS: number = 3_600_000;

/** addresses: buckets kept; a full one is forgotten first, then the oldest. */
export const ADDRESSES_MAX: number = 65_536;

/** tokens: bucket of a gate handle, one token a valid MAC. */
export const HANDLE_TOKENS_MAX: number = 64;

/** tokens: right tokens of a gate handle that a host remembers. */
export const HANDLE_SEEN_MAX: number = 256;

/** ms: one token back. */
export const HANDLE_REFILL_MS: number = 1000;

/** ms: refused for so long without a break, a message that waits is told; at least what fills an empty bucket of a handle. */
export const REFUSED_MS: number = 60_000;

/** tokens: bucket of the whole host, one token a valid MAC. */
export const GLOBAL_TOKENS_MAX: number = 1024;

/** ms: one token back. */
export const GLOBAL_REFILL_MS: number = 5;

/** connections: accepted and not yet authenticated, of one host, from addresses that are not known. */
export const PREAUTH_CONNECTIONS_MAX: number = 512;

/** connections: the same, from addresses that authenticated lately. */
export const KNOWN_PREAUTH_CONNECTIONS_MAX: number = 256;

/** sessions: live or resumable, of one host. */
export const SESSIONS_MAX: number = 8192;

/** bytes: one message of a chat stream, either way. */
export const CHAT_MESSAGE_BYTES_MAX: number = 1_048_576;

/** bytes: one encoded ChatContent. */
export const CONTENT_BYTES_MAX: number = 33_024;

/** bytes: one chat message in UTF-8. */
export const TEXT_BYTES_MAX: number = 32_768;

/** bytes: a room's name in UTF-8. */
export const ROOM_NAME_BYTES_MAX: number = 64;

/** bytes: what a room is about, in UTF-8. */
export const TOPIC_BYTES_MAX: number = 256;

/** bytes: what is searched for, in UTF-8. */
export const SEARCH_BYTES_MAX: number = 256;

/** people: of one room. */
export const ROOM_PEOPLE_MAX: number = 1024;

/** ms: that somebody counts as writing after they said so. */
export const TYPING_MS: number = 6000;

/** invites: open at once, for further devices of one person. */
export const DEVICE_INVITES_MAX: number = 4;

/** devices: of one person, when they ask for an invite for one more; open invites count. */
export const PERSON_DEVICES_MAX: number = 16;

/** rooms: of one host. */
export const ROOMS_MAX: number = 256;

/** rooms: that one person made and that are not deleted. */
export const PERSON_ROOMS_MAX: number = 32;

/** messages: in one answer to a request for history. */
export const HISTORY_PAGE_MESSAGES_MAX: number = 256;

/** bytes: all messages of one such answer together. */
export const HISTORY_PAGE_BYTES_MAX: number = 524_288;

/** messages: that a host looks at for one such answer. */
export const HISTORY_SCAN_MAX: number = 1024;

/** messages: that a client keeps in one outbox without an answer. */
export const OUTBOX_UNACKNOWLEDGED_MAX: number = 1024;

/** hashes: of an outbox's last messages that a host keeps. */
export const OUTBOX_HASHES_MAX: number = 1024;

/** messages: that a client names to a host whose outbox state differs from its own. */
export const OUTBOX_SUSPECTS_MAX: number = 1024;

/** bytes: one message of a bench stream. */
export const BENCH_MESSAGE_BYTES_MAX: number = 65_536;

/** messages: that a client has sent on a bench stream and not got an answer to. */
export const BENCH_UNANSWERED_MAX: number = 64;

/** bytes: a longer path of control.sock is replaced by a hashed name in the runtime directory (macOS takes no more). */
export const SOCKET_PATH_BYTES_MAX: number = 103;

/** bytes: one message on the control socket. */
export const CONTROL_MESSAGE_BYTES_MAX: number = 1_048_576;

/** bytes: all chat items of one message on the control socket. */
export const CONTROL_ITEMS_BYTES_MAX: number = 524_288;

/** connections: attached to one owner. */
export const CONTROL_CONNECTIONS_MAX: number = 256;

/** requests: of one connection that have not ended. */
export const CONTROL_REQUESTS_MAX: number = 64;

/** bytes: that wait for an attacher to read them. */
export const CONTROL_QUEUE_BYTES_MAX: number = 8_388_608;

/** ms: an attacher that takes none of what waits for it for this long is cut off. */
export const CONTROL_STALL_MS: number = 60_000;

/** ms: from connecting to hello, and from hello to welcome. */
export const CONTROL_HELLO_MS_MAX: number = 5000;

/** ms: in which a command either attaches or owns, or gives up. */
export const CONTROL_TAKEOVER_MS_MAX: number = 10_000;

/** messages: whose ids and results a client's owner keeps, so that a repeated send is recognized. */
export const CONTROL_IDS_MAX: number = 16_384;

/** bytes: a passphrase in UTF-8. */
export const PASSPHRASE_BYTES_MAX: number = 1024;

/** bits: logarithm of the cost N of scrypt for a data key that is sealed now. */
export const PASSPHRASE_COST_LOG2: number = 17;

/** bits: the highest that is accepted: 1 GiB. */
export const PASSPHRASE_COST_LOG2_MAX: number = 20;
