/** Reads a command line, prints help, and turns errors into a line and an exit code. Chapter: spec/09-errors.md. */
import { parseArgs } from 'node:util';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, codeName } from '../../protocol/fault.ts';
import { PROTOCOL_VERSION } from '../../protocol/keys.ts';
import { UsageError } from '../../wire/usage-error.ts';
import { readDuration } from '../config/kinds.ts';
import { nearestOf } from '../config/nearest.ts';
import { asError, failure } from '../failure.ts';
import { SCHEMA_VERSION } from '../store.ts';
import { EXIT_INTERNAL, EXIT_OK, EXIT_TIMEOUT, exitCode } from './exit-code.ts';
import { harmless } from './terminal-text.ts';
import { withCommands } from './typed-command.ts';

/** One option: `--name` or `--name VALUE`. */
export interface Option {
  /** The name of the value in the help text; absent for a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly multiple?: boolean;
  /** The values it takes, when they can be listed. */
  readonly words?: readonly string[];
  readonly help: string;
}

/** What a command was called with. */
export interface Call {
  /** Positional arguments behind the command's name. */
  readonly words: readonly string[];
  /** The value of an option; undefined when it was not given. */
  text(name: string): string | undefined;
  /** Every value of an option that may be given several times. */
  texts(name: string): readonly string[];
  /** Was the switch given? */
  on(name: string): boolean;
}

/** One command of a program. */
export interface Command {
  /** '' for what the program does when no command is named. */
  readonly name: string;
  /** What follows the name, such as `DEVICE` or `[TEXT|-]`; absent for nothing. */
  readonly words?: string;
  /** How many positional arguments, at least and at most; absent for none. */
  readonly count?: readonly [min: number, max: number];
  readonly summary: string;
  /** Further lines for `--help`. */
  readonly details?: readonly string[];
  /** Those it does not share with every command. */
  readonly options?: Readonly<Record<string, Option>>;
  /** Why it has nothing to say as JSON, and what has. */
  readonly noJson?: string;
  /** Do it; the number is the exit code. */
  readonly run: (call: Call) => Promise<number>;
}

/** A program with its commands. */
export interface Program {
  readonly name: string;
  readonly version: string;
  readonly summary: string;
  readonly commands: readonly Command[];
  /** Options of every command. */
  readonly shared: Readonly<Record<string, Option>>;
}

/** Run a program with the arguments behind its name; gives the exit code and never throws. */
export async function runProgram(program: Program, args: readonly string[]): Promise<number> {
  const json = args.includes('--json');
  try {
    if (args.includes('--version')) {
      const { name, version } = program;
      const about = { program: name, version, protocol: PROTOCOL_VERSION, schema: SCHEMA_VERSION };
      const text = json
        ? JSON.stringify({ ...about, node: process.versions.node })
        : `${name} ${version} (protocol ${PROTOCOL_VERSION}, data directory ${SCHEMA_VERSION}, Node ${process.versions.node})`;
      process.stdout.write(`${text}\n`);
      return EXIT_OK;
    }
    const ordered = commandFirst(program, args);
    const [first] = ordered;
    const named = program.commands.find(command => command.name !== '' && command.name === first);
    const command = named ?? program.commands.find(({ name }) => name === '');
    const help = args.includes('--help') || args.includes('-h') || first === 'help';
    if (help && json) throw usage('help is a text for people: leave out --json');
    if (help && named === undefined) {
      const about = first === 'help' ? program.commands.find(({ name }) => name === ordered[1]) : undefined;
      process.stdout.write(about === undefined ? programHelp(program) : commandHelp(program, about));
      return EXIT_OK;
    }
    if (named === undefined && first !== undefined && !first.startsWith('-')) throw unknown(program, first);
    if (command === undefined) {
      // An option that there is not is told first.
      const itself = { name: '', summary: '', options: everyOption(program), run: async () => EXIT_OK };
      parse(program, itself, ordered);
      throw usage(
        `say what to do, such as: \`${program.name} ${firstName(program)}\` (see \`${program.name} --help\`)`,
      );
    }
    if (help) {
      process.stdout.write(commandHelp(program, command));
      return EXIT_OK;
    }
    return await command.run(parse(program, command, named === undefined ? ordered : ordered.slice(1)));
  } catch (error) {
    return report(program, error, json);
  }
}

/** Put the command before the options that were typed in front of it. */
function commandFirst(program: Program, args: readonly string[]): readonly string[] {
  const known = everyOption(program);
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (!arg.startsWith('-')) return [arg, ...args.slice(0, at), ...args.slice(at + 1)];
    const option = known[arg.replace(/^--/, '').replace(/=.*$/s, '')];
    if (option === undefined) return args;
    if (option.value !== undefined && !arg.includes('=')) at += 1;
  }
  return args;
}

function everyOption({ commands, shared }: Program): Readonly<Record<string, Option>> {
  return Object.assign({}, ...commands.map(({ options }) => options), shared);
}

/** What ends a command when its `--timeout` has run out; the exit code is 124. */
export class TimeLimitError extends ClawChatError {}

/** Make the error of a command line that cannot be understood. */
export function usage(text: string): ClawChatError {
  return failure(ErrorCode.USAGE, text);
}

/** Print an error for people, or as JSON, on standard error; gives the exit code. */
export function report(program: Pick<Program, 'name'>, error: unknown, json: boolean): number {
  const known =
    error instanceof ClawChatError
      ? error
      : failure(error instanceof UsageError ? ErrorCode.USAGE : ErrorCode.INTERNAL, asError(error).message);
  const exit = exitOf(error);
  if (json) {
    const text = withCommands(known.message.replace(/^\[\w+\] /, ''));
    process.stderr.write(
      `${JSON.stringify({ error: { code: codeName(known.code), by: known.by, text, exit } })}\n`,
    );
  } else {
    process.stderr.write(`${program.name}: ${harmless(withCommands(known.message))}\n`);
    if (exit === EXIT_INTERNAL && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  }
  return exit;
}

function exitOf(error: unknown): number {
  if (error instanceof TimeLimitError) return EXIT_TIMEOUT;
  return error instanceof ClawChatError ? exitCode(error.code) : EXIT_INTERNAL;
}

function parse(program: Program, command: Command, args: readonly string[]): Call {
  const options: Record<string, { type: 'string' | 'boolean'; multiple: boolean; short?: string }> = {};
  const all = { ...program.shared, ...command.options };
  for (const [name, { value, multiple = false }] of Object.entries(all)) {
    options[name] = { type: value === undefined ? 'boolean' : 'string', multiple };
  }
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's text says which option and why; what it suggests about '--' is for its own readers.
    const told = error instanceof Error ? (error.message.split(/\.\s/)[0] ?? '') : String(error);
    const text = told.replace(
      /^Option '(--[\w-]+).*' argument is ambiguous$/,
      '$1 takes a value; one that begins with a dash is written $1=-...',
    );
    const asked = [program.name, command.name, '--help'].filter(part => part !== '').join(' ');
    const mistyped = /^Unknown option '--([^'=]+)'/.exec(text)?.[1];
    const near = mistyped === undefined ? undefined : nearestOf(mistyped, Object.keys(all));
    throw usage(`${text}${near === undefined ? '' : `; did you mean --${near}?`} (see \`${asked}\`)`);
  }
  const [min, max] = command.count ?? [0, 0];
  const { length } = parsed.positionals;
  if (length < min || length > max) {
    const what =
      length < min ? 'something is missing' : 'too many words: several that belong together go in quotes';
    throw usage(`${what}; usage: ${usageLine(program, command)}`);
  }
  const { values } = parsed;
  if (values['json'] === true && command.noJson !== undefined) throw usage(command.noJson);
  return {
    words: parsed.positionals,
    text(name) {
      const value = values[name];
      return typeof value === 'string' ? value : undefined;
    },
    texts(name) {
      const value = values[name];
      return Array.isArray(value) ? value.filter(item => typeof item === 'string') : [];
    },
    on: name => values[name] === true,
  };
}

function synopsis(program: Program, { name, words = '' }: Command): string {
  return [program.name, name, words].filter(part => part !== '').join(' ');
}

function usageLine(program: Program, command: Command): string {
  return `${synopsis(program, command)} [options]`;
}

function optionLines(options: Readonly<Record<string, Option>>): string[] {
  const rows = Object.entries(options).map(([name, { value, help }]): [string, string] => [
    `--${name}${value === undefined ? '' : ` ${value}`}`,
    help,
  ]);
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`);
}

function commandHelp(program: Program, command: Command): string {
  return [
    `usage: ${usageLine(program, command)}`,
    '',
    command.summary,
    ...(command.details === undefined ? [] : ['', ...command.details]),
    '',
    'options:',
    // What a command says of an option counts more than what all of them say.
    ...optionLines({ ...command.options, ...program.shared, ...command.options }),
    '',
  ].join('\n');
}

/** What is longer has its summary on the next line. */
const SYNOPSIS_MAX = 36;

function programHelp(program: Program): string {
  const rows = program.commands.map(command => [synopsis(program, command), command.summary]);
  const width = Math.max(...rows.map(([left = '']) => left.length).filter(length => length <= SYNOPSIS_MAX));
  const itself = program.commands.find(({ name }) => name === '')?.options ?? {};
  const own = Object.entries(itself).filter(([name, { help }]) => program.shared[name]?.help !== help);
  return [
    `${program.name} ${program.version} - ${program.summary}`,
    '',
    ...rows.map(([left = '', summary = '']) =>
      left.length > width
        ? `  ${left}\n  ${' '.repeat(width)}  ${summary}`
        : `  ${left.padEnd(width)}  ${summary}`,
    ),
    '',
    ...(own.length === 0 ? [] : [`options of ${program.name} itself:`]),
    ...optionLines(Object.fromEntries(own)),
    ...(own.length === 0 ? [] : ['']),
    'options of every command:',
    ...optionLines({
      ...program.shared,
      help: { help: 'how a command is used' },
      version: { help: 'which version this is' },
    }),
    '',
  ].join('\n');
}

function firstName(program: Program): string {
  return program.commands[0]?.name ?? '--help';
}

function unknown(program: Program, name: string): ClawChatError {
  const names = program.commands.map(command => command.name).filter(other => other !== '');
  const close = nearestOf(name, names);
  const near = names.filter(other => other.startsWith(name.slice(0, 2)) || other === close);
  const help = `see \`${program.name} --help\``;
  return usage(
    `there is no command '${name}'; ${near.length > 0 ? `did you mean ${near.join(' or ')}? (${help})` : help}`,
  );
}

/** Read a time such as `500ms`, `10s`, `24h` as milliseconds. @throws ClawChatError `USAGE` */
export function duration(text: string, option: string): number {
  const ms = readDuration(text);
  if (ms === undefined)
    throw usage(`${option} takes a time with its unit, such as 10s, 30m or 24h, not '${text}'`);
  return ms;
}

/** Read a whole number from `min` to `max`. @throws ClawChatError `USAGE` */
export function wholeNumber(text: string, option: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw usage(`${option} takes a whole number from ${min} to ${max}, not '${text}'`);
  }
  return value;
}
