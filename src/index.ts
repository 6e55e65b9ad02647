/**
 * ClawChat for programs: `connect` is a client, `serve` a host. What is not exported here is not an interface.
 *
 * Guide: docs/embedding.md. Times are Unix milliseconds, ids lower-case hexadecimal. What goes wrong is a
 * `ClawChatError`: match on `code` (the members of `ErrorCode`; spec/09-errors.md says what to do about each), never on
 * its text.
 */

export { ErrorCode } from './gen/clawchat/v1/error_pb.ts';
export {
  type CallOptions,
  type Client,
  type ClientStatus,
  type ConnectOptions,
  connect,
  type HistoryOptions,
  type JoinedDevice,
  type JoinOptions,
  type ListenOptions,
  type SendOptions,
} from './node/api/connect.ts';
export type { Message } from './node/api/message.ts';
export type { CommonOptions } from './node/api/options.ts';
export {
  type CloseOptions,
  type Device,
  type Host,
  type Invitation,
  type InviteOptions,
  type OpenInvite,
  type Peer,
  type ServeOptions,
  type Service,
  serve,
} from './node/api/serve.ts';
export { ClawChatError, codeName, type FaultBy } from './protocol/fault.ts';
export type { Channel } from './runtime/channel.ts';
