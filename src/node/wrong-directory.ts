/** What somebody is told who names the data directory of the other program (spec/12-control.md, 12.1). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { ClawChatError } from '../protocol/fault.ts';
import { shellWord } from './cli/typed-command.ts';
import { failure } from './failure.ts';

/** Make the error, with the command of the program whose directory it is. @impl CT-004~1 */
export function wrongDirectory(directory: string, program: 'host' | 'client'): ClawChatError {
  const [owner, other] = program === 'host' ? ['client', 'clawchat'] : ['host', 'clawchatd'];
  const text = `${directory} is the data directory of a ${owner}, not of a ${program}`;
  const hint = `what you want may be: \`${other} status --data ${shellWord(directory)}\``;
  return failure(ErrorCode.USAGE, `${text}; ${hint}`);
}
