/** Chat messages as a program sees them. Chapter: spec/11-chat.md. */
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { hex } from '../../wire/bytes.ts';

/** A message that the host has stored. Ids are lower-case hexadecimal, times Unix milliseconds. */
export interface Message {
  /** Its place in the host's history, 1 to 2^53 - 1: rising, with gaps. Keep it to go on where you stopped. */
  readonly cursor: number;
  readonly room: string;
  /** Chosen by its sender: 32 digits. */
  readonly id: string;
  /** The device that sent it: 32 digits. */
  readonly device: string;
  /** The person whose device that is: 32 digits. */
  readonly person: string;
  /** The sender's name at that time. Names are not unique; `device` and `person` are. */
  readonly name: string;
  /** By the sender's clock. */
  readonly sentAtMs: number;
  /** By the host's clock. */
  readonly storedAtMs: number;
  /** Up to 32,768 bytes of UTF-8 from somebody else: escape it before a terminal or a page shows it. */
  readonly text: string;
  /** What it does instead of saying something, such as `join`, `leave`, `rename` or `delete`; `text` is then empty. */
  readonly act: string | undefined;
  /** Cursor of the message that it answers. */
  readonly replyTo: number | undefined;
  /** Cursor of the message whose text it replaces. */
  readonly edits: number | undefined;
  /** `text` is that of a later edit. */
  readonly edited: boolean;
  /** It was taken back: `text` is empty. */
  readonly deleted: boolean;
}

/** Show a message of the control socket to a program. @internal */
export function messageOf(item: ControlItem): Message {
  const { extra } = item;
  return {
    cursor: Number(item.cursor),
    room: item.room,
    id: hex(item.messageId),
    device: hex(item.deviceId),
    person: hex(item.personId),
    name: item.name,
    sentAtMs: Number(item.sentAtMs),
    storedAtMs: Number(item.storedAtMs),
    text: item.text,
    act: extra?.act.case,
    replyTo: cursorOf(extra?.replyTo),
    edits: cursorOf(extra?.edits),
    edited: item.edited,
    deleted: item.deleted,
  };
}

function cursorOf(value: bigint | undefined): number | undefined {
  return value === undefined || value === 0n ? undefined : Number(value);
}
