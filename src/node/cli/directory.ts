/** Which data directory a command works on, and how it reaches its owner. Chapter: spec/12-control.md. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { type Constants, MINIMAL, STANDARD } from '../../gen/constants.ts';
import type { ResponseBody } from '../control.ts';
import { failure } from '../failure.ts';
import { LOG_LEVELS, type Log, type LogLevel, standardErrorLog } from '../log.ts';
import { native } from '../native.ts';
import { type DirectoryOptions, type Owner, OwnerLink, type Wish } from '../owner.ts';
import { SCHEMA_VERSION } from '../store.ts';
import { VERSION } from '../version.ts';
import { type Call, type Option, usage } from './command-line.ts';

/** Options of every command. */
export const SHARED_OPTIONS: Readonly<Record<string, Option>> = {
  data: { value: 'DIR', help: 'data directory' },
  json: { help: 'results and errors as JSON, one value a line' },
  preset: {
    value: 'NAME',
    help: 'standard, or minimal for tests: an hour of 12 seconds, on host and clients alike',
  },
  'log-level': { value: 'LEVEL', help: `${LOG_LEVELS.join(', ')} (default: warn)` },
};

/** The data directory of a call: `--data`, the environment, or the place where the system wants it. */
export function dataDirectory(call: Call, program: 'clawchat' | 'clawchatd'): string {
  const given = call.text('data') ?? process.env[`${program.toUpperCase()}_DATA`];
  if (given === '') throw usage('--data takes a directory');
  if (given !== undefined) return resolve(given);
  const base = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share');
  return join(base, program);
}

/** The log of a call. */
export function callLog(call: Call, standard: LogLevel = 'warn'): Log {
  const given = call.text('log-level');
  const level = LOG_LEVELS.find(known => known === (given ?? standard));
  if (level === undefined) throw usage(`--log-level takes ${LOG_LEVELS.join(', ')}, not '${given}'`);
  return standardErrorLog(level);
}

/** The constants of a call's preset: what host and clients share, and nothing on the wire names. */
export function callConstants(call: Call): Constants {
  const preset = call.text('preset') ?? process.env['CLAWCHAT_PRESET'] ?? 'standard';
  if (preset === 'standard') return STANDARD;
  if (preset === 'minimal') return MINIMAL;
  throw usage(`--preset takes standard or minimal, not '${preset}'`);
}

/** How a program reaches the owner of a directory, or becomes it. */
export function directoryOptions(
  program: ControlProgram,
  directory: string,
  log: Log,
  open: () => Promise<Owner>,
  resident = false,
): DirectoryOptions {
  const identity = { program, version: VERSION, schema: SCHEMA_VERSION };
  return { directory, identity, suite: native, open, resident, log };
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
