/** The exit code of each error. Chapter: spec/09-errors.md, column "exit". */
import { ErrorCode as E } from '../../gen/clawchat/v1/error_pb.ts';

/** Exit codes with a meaning of their own. */
export const EXIT_OK = 0;
/** A fault of this program. */
export const EXIT_INTERNAL = 1;
/** Host, store or network. */
export const EXIT_HOST = 4;
/** Something on this machine: its disk, locks, permissions, ports. */
export const EXIT_LOCAL = 6;
/** `--timeout` ran out. */
export const EXIT_TIMEOUT = 124;
/** Ended by a signal from the keyboard. */
const EXIT_INTERRUPTED = 130;
/** Nobody reads the output any more: what a shell says of SIGPIPE. */
export const EXIT_UNREAD = 141;

const GROUPS: readonly (readonly [exit: number, codes: readonly E[]])[] = [
  [
    2,
    [
      E.USAGE,
      E.NOT_JOINED,
      E.ALREADY_JOINED,
      E.DEVICE_UNKNOWN,
      E.INVITE_UNKNOWN,
      E.MESSAGE_TOO_LARGE,
      E.ROOM_UNKNOWN,
      E.ROOM_EXISTS,
      E.ROOM_FORBIDDEN,
      E.MESSAGE_UNKNOWN,
      E.ROOM_LIMIT,
      E.PERSON_UNKNOWN,
    ],
  ],
  [
    3,
    [E.INVITE_MALFORMED, E.INVITE_CHECKSUM, E.INVITE_EXPIRED, E.INVITE_USED, E.ENROL_INVALID, E.DEVICE_LIMIT],
  ],
  [
    EXIT_HOST,
    [
      E.FILE_TOO_LARGE,
      E.FILE_MALFORMED,
      E.VERSION_UNSUPPORTED,
      E.NOT_A_RECIPIENT,
      E.FILE_ALTERED,
      E.SIGNATURE_INVALID,
      E.SUCCESSION_INVALID,
      E.SERVER_MISMATCH,
      E.RECORD_INVALID,
      E.RECORD_ROLLBACK,
      E.RECORD_EQUIVOCATION,
      E.CLOCK_SUSPECT,
      E.STORE_UNAVAILABLE,
      E.HOST_UNREACHABLE,
      E.TLS_FAILED,
      E.GATE_REFUSED,
      E.HANDSHAKE_FAILED,
      E.TIMEOUT,
      E.PROXY_REFUSED,
      E.PROXY_UNREACHABLE,
      E.HOST_BUSY,
      E.DEVICE_REVOKED,
      E.OUTBOX_FULL,
    ],
  ],
  [
    5,
    [
      E.NOT_PERMITTED,
      E.FRAME_MALFORMED,
      E.FRAME_UNEXPECTED,
      E.SEQUENCE_GAP,
      E.ACK_INVALID,
      E.CREDIT_EXCEEDED,
      E.STREAM_LIMIT,
      E.STREAM_INVALID,
      E.SERVICE_UNKNOWN,
      E.MESSAGE_MALFORMED,
    ],
  ],
  [
    EXIT_LOCAL,
    [
      E.DIRECTORY_LOCKED,
      E.SCHEMA_NEWER,
      E.STORE_DAMAGED,
      E.PASSPHRASE_NEEDED,
      E.PASSPHRASE_WRONG,
      E.PERMISSIONS_LOOSE,
      E.OWNER_LOST,
      E.NO_PORT,
      E.STORAGE_FULL,
      E.FILE_UNWRITABLE,
      E.DATABASE_OLD,
    ],
  ],
  [EXIT_INTERRUPTED, [E.CANCELLED]],
  [EXIT_INTERNAL, [E.INTERNAL]],
];

const EXITS: ReadonlyMap<E, number> = new Map(
  GROUPS.flatMap(([exit, codes]) => codes.map((code): [E, number] => [code, exit])),
);

/** The exit code of a program that ends with this error; 4 for what a path or a session ended with. */
export function exitCode(code: E): number {
  return EXITS.get(code) ?? EXIT_HOST;
}
