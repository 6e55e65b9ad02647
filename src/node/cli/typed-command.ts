/**
 * How a command is typed where this program runs, so that whoever is told of one can copy it.
 *
 * Texts name commands between backquotes, such as `clawchatd stop`: who writes the text does not know where it is read.
 */
import { existsSync } from 'node:fs';
import { basename, delimiter, dirname, join, resolve, sep } from 'node:path';

/** How this program was started. */
export interface Invocation {
  /** The program's file, as it was named. */
  readonly script: string;
  /** What stood behind it. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

function own(): Invocation {
  const [, script = '', ...args] = process.argv;
  return { script, args, cwd: process.cwd(), environment: process.env };
}

/** Write a command as it is typed here; one of this program names the data directory that this one was given. */
export function typedCommand(command: string, about: Invocation = own()): string {
  const [program = '', ...rest] = command.split(' ');
  const isOwn = program === programOf(about) && !/ --(?:data|help)\b/.test(command);
  return [prefix(program, about), ...rest, ...(isOwn ? places(program, about) : [])].join(' ');
}

/** Write a command as it is typed on another machine, where the programs came the same way. */
export function typedElsewhere(command: string, about: Invocation = own()): string {
  const [program = '', ...rest] = command.split(' ');
  return [!isUnknown(about) && isNpx(about) ? `npx ${program}` : program, ...rest].join(' ');
}

/** Replace each command that a text names by what is typed. */
export function withCommands(text: string, about: Invocation = own()): string {
  return text.replaceAll(/`(clawchatd?(?: [^`\n]*)?)`/g, (_, command: string) =>
    typedCommand(command, about),
  );
}

/** Quote a word for a shell, if it has to be. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function programOf({ script }: Invocation): string {
  return basename(script).replace(/\.js$/, '');
}

/** In another program, such as one that embeds a host, nothing is known of how these are started. */
function isUnknown(about: Invocation): boolean {
  return !/^clawchatd?$/.test(programOf(about));
}

/** In a clone, or in a project that depends on this one, npx finds the programs. */
function isNpx({ script, cwd }: Invocation): boolean {
  const bin = join('node_modules', '.bin');
  if (dirname(script).endsWith(sep + bin)) return true;
  const root = dirname(dirname(script));
  const isHere = cwd === root || cwd.startsWith(root + sep);
  return isHere && script.endsWith('.js') && existsSync(join(root, 'package.json'));
}

function prefix(program: string, about: Invocation): string {
  const { script, environment } = about;
  if (isUnknown(about)) return program;
  if (isNpx(about)) return `npx ${program}`;
  const directory = dirname(script);
  if (script.endsWith('.js')) return `node ${shellWord(join(directory, `${program}.js`))}`;
  const isOnPath = (environment['PATH'] ?? '').split(delimiter).includes(directory);
  return isOnPath ? program : shellWord(join(directory, program));
}

/** The options that say where, if this program was told. */
function places(program: string, about: Invocation): readonly string[] {
  const { environment, cwd } = about;
  const data = given('data', about) ?? environment[`${program.toUpperCase()}_DATA`] ?? '';
  const config = given('config', about) ?? '';
  return [
    ...(data === '' ? [] : ['--data', shellWord(resolve(cwd, data))]),
    ...(config === '' ? [] : ['--config', shellWord(resolve(cwd, config))]),
  ];
}

function given(option: string, { args }: Invocation): string | undefined {
  const at = args.lastIndexOf(`--${option}`);
  if (at >= 0) return args[at + 1];
  return args.find(arg => arg.startsWith(`--${option}=`))?.slice(option.length + 3);
}
