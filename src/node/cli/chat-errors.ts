/** What a chat says of errors. Chapter: spec/11-chat.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, fault } from '../../protocol/fault.ts';
import { shellWord, withCommands } from './typed-command.ts';

/** Whether a host refused what it does not know. */
export function isOlder(error: unknown): boolean {
  return error instanceof ClawChatError && error.code === ErrorCode.VERSION_UNSUPPORTED;
}

/** Say that a host is too old for a chat. */
export function olderHost(): ClawChatError {
  const why =
    "the host is of an older version, without what a chat needs: use 'send', 'listen' and 'history'";
  return new ClawChatError(fault('peer', ErrorCode.VERSION_UNSUPPORTED, why));
}

/** Say to whoever named a room that is not there, outside of the chat, what to do. */
export function elsewhere(error: unknown, room: string): unknown {
  if (!(error instanceof ClawChatError) || error.code !== ErrorCode.ROOM_UNKNOWN) return error;
  const make = `clawchat room create ${shellWord(room)}`;
  const text = `there is no room '${room}': \`clawchat rooms\` lists those that there are, \`${make}\` makes it`;
  return new ClawChatError(fault(error.by, error.code, text), { cause: error });
}

/** An error as a chat shows it. */
export function textOf(error: unknown): string {
  return error instanceof ClawChatError
    ? withCommands(error.message.replace(/^\[\w+\] /, ''))
    : String(error);
}
