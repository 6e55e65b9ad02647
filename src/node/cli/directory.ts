/** How a command reaches the owner of its data directory. Chapter: spec/12-control.md. */
import type { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { ResponseBody } from '../control.ts';
import { failure } from '../failure.ts';
import type { Log } from '../log.ts';
import { native } from '../native.ts';
import type { DirectoryOptions, Owner, Wish } from '../owner.ts';
import { OwnerLink } from '../owner-link.ts';
import { SCHEMA_VERSION } from '../store.ts';
import { VERSION } from '../version.ts';

/** How a program reaches the owner of a directory, or becomes it. */
export function directoryOptions(
  program: ControlProgram,
  directory: string,
  log: Log,
  open: () => Promise<Owner>,
): DirectoryOptions {
  const identity = { program, version: VERSION, schema: SCHEMA_VERSION };
  return { directory, identity, suite: native, open, resident: false, log };
}

/** Work with the owner of a directory, and let go of it whatever happens. */
export async function withOwner<T>(
  options: DirectoryOptions,
  work: (link: OwnerLink) => Promise<T>,
  wish: Wish = 'either',
): Promise<T> {
  const link = await OwnerLink.open(options, wish);
  try {
    return await work(link);
  } finally {
    await link.close();
  }
}

/** Insist that an answer is of the kind that its request gets. */
export function expectAnswer<C extends ResponseBody['case']>(answer: ResponseBody, kind: C): AnswerOf<C> {
  if (isAnswer(answer, kind)) return answer.value;
  throw failure(ErrorCode.INTERNAL, `the owner answered ${answer.case} where ${kind} was due`);
}

type Answers = { [B in ResponseBody as B['case']]: B['value'] };
type AnswerOf<C extends ResponseBody['case']> = Answers[C];

function isAnswer<C extends ResponseBody['case']>(
  answer: ResponseBody,
  kind: C,
): answer is ResponseBody & { case: C; value: AnswerOf<C> } {
  return answer.case === kind;
}
