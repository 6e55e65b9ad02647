/** The error for a caller in this process who broke a contract (spec/09-errors.md). */

/** Say that the calling code is wrong: never thrown for anything that a peer, a file or the network can send. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
