/** Completion for bash, zsh and fish, made of a program's own commands and options. docs/operations.md. */
import { type Call, type Command, type Option, type Program, usage } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** The command that prints the completion of a program; `program` is asked when it runs, because it has this command, too. */
export function completionCommand(program: () => Program): Command {
  return {
    name: 'completion',
    words: SHELLS.join('|'),
    count: [1, 1],
    summary: 'print completion for a shell',
    noJson: 'what it prints is for a shell: leave out --json',
    details: [
      'bash: source <(PROGRAM completion bash), in ~/.bashrc. zsh: PROGRAM completion zsh > a file _PROGRAM in $fpath.',
      'fish: PROGRAM completion fish > ~/.config/fish/completions/PROGRAM.fish.',
    ],
    run: async (call: Call) => {
      const shell = SHELLS.find(known => known === call.words[0]);
      if (shell === undefined) throw usage(`say for which shell: ${SHELLS.join(', ')}`);
      process.stdout.write(completion(program(), shell));
      return EXIT_OK;
    },
  };
}

/** Write the completion of a program for a shell. */
function completion(program: Program, shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bash(program);
    case 'zsh':
      return zsh(program);
    case 'fish':
      return fish(program);
  }
}

interface Named {
  readonly name: string;
  readonly option: Option;
}

function optionsOf(program: Program, command: Command | undefined): readonly Named[] {
  const all = { ...command?.options, ...program.shared };
  const named = Object.entries(all).map(([name, option]) => ({ name, option }));
  return [...named, { name: 'help', option: { help: 'how it is used' } }];
}

/** Whether what an option takes is a file or a directory: then the shell's own completion serves. */
function isPath({ value = '' }: Option): boolean {
  return /FILE|DIR|OUT/.test(value);
}

/** What a shell's completion does for the value of an option: lists words, finds files, or nothing. */
function forValue<T>(option: Option, words: (listed: readonly string[]) => T, files: T, nothing: T): T {
  if (option.words !== undefined) return words(option.words);
  return isPath(option) ? files : nothing;
}

/** Words that can follow a command's name, when they are listed, such as `check|show` or `delete|owner ROOM`. */
function wordsOf({ words = '' }: Command): readonly string[] {
  const [first = ''] = words.split(' ');
  return first
    .replace(/[[\]]/g, '')
    .split('|')
    .filter(word => /^[a-z][a-z-]*$/.test(word));
}

function named(program: Program): readonly Command[] {
  return program.commands.filter(({ name }) => name !== '');
}

/** What a program does without a command, if it does anything. */
function bare(program: Program): Command | undefined {
  return program.commands.find(({ name }) => name === '');
}

function bash(program: Program): string {
  const name = program.name.replaceAll('-', '_');
  const options = (command: Command | undefined): string =>
    optionsOf(program, command)
      .map(option => `--${option.name}`)
      .join(' ');
  const cases = named(program).map(
    command => `    ${command.name}) words='${wordsOf(command).join(' ')}'; options='${options(command)}' ;;`,
  );
  const every = new Map<string, Option>();
  for (const command of program.commands)
    for (const option of optionsOf(program, command)) every.set(option.name, option.option);
  const values = [...every].flatMap(([flag, option]) => {
    if (option.value === undefined) return [];
    const words = (listed: readonly string[]): string =>
      `COMPREPLY=($(compgen -W '${listed.join(' ')}' -- "$current"))`;
    const files = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$current"))';
    return [`    --${flag}) ${forValue(option, words, files, ':')}; return ;;`];
  });
  return `# Completion of ${program.name} for bash.
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words='' options=''
  COMPREPLY=()
  case "$previous" in
${values.join('\n')}
  esac
  case "\${COMP_WORDS[1]-}" in
${cases.join('\n')}
    *) words='${named(program)
      .map(command => command.name)
      .join(' ')}'; options='${options(bare(program))} --version'; ((COMP_CWORD > 1)) && words='' ;;
  esac
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$current"))
  else compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -F _${name} ${program.name}
`;
}

/** Quoted for zsh and fish: between single quotes nothing has a meaning but the quote itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function zsh(program: Program): string {
  const argument = ({ name, option }: Named): string => {
    const text = option.help.replace(/[[\]\\:]/g, '\\$&');
    const action = forValue(option, listed => `(${listed.join(' ')})`, '_files', ' ');
    const repeated = option.multiple === true ? '*' : '';
    return quoted(
      `${repeated}--${name}[${text}]${option.value === undefined ? '' : `:${option.value.replaceAll(':', '\\:')}:${action}`}`,
    );
  };
  const lines = (command: Command | undefined): string =>
    optionsOf(program, command)
      .map(option => `      ${argument(option)} \\`)
      .join('\n');
  const cases = named(program).map(command => {
    const words = wordsOf(command);
    const rest = words.length > 0 ? quoted(`1:what:(${words.join(' ')})`) : quoted('*:file:_files');
    return `    ${command.name})\n    _arguments \\\n${lines(command)}\n      ${rest} ;;`;
  });
  const commands = named(program).map(
    ({ name, summary }) => `      ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`,
  );
  return `#compdef ${program.name}
# Completion of ${program.name} for zsh.
_${program.name}() {
  local -a commands
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    commands=(
${commands.join('\n')}
    )
    _describe command commands
    return
  fi
  local command=$words[2]
  if [[ $command != -* ]]; then
    shift words
    (( CURRENT -= 1 ))
  fi
  case $command in
${cases.join('\n')}
    *)
    _arguments \\
${lines(bare(program))}
      '--version[which version this is]' ;;
  esac
}
if [[ $funcstack[1] == _${program.name} ]]; then _${program.name} "$@"; else compdef _${program.name} ${program.name}; fi
`;
}

function fish(program: Program): string {
  const all = named(program)
    .map(({ name }) => name)
    .join(' ');
  const none = `not __fish_seen_subcommand_from ${all}`;
  const line = (condition: string, { name, option }: Named): string => {
    const words = (listed: readonly string[]): string => ` -x -a ${quoted(listed.join(' '))}`;
    const takes = option.value === undefined ? '' : forValue(option, words, ' -r -F', ' -x');
    return `complete -c ${program.name} -n ${quoted(condition)} -l ${name}${takes} -d ${quoted(option.help)}`;
  };
  const lines = named(program).flatMap(command => {
    const seen = `__fish_seen_subcommand_from ${command.name}`;
    const words = wordsOf(command);
    const listed =
      words.length > 0
        ? [`complete -c ${program.name} -n ${quoted(seen)} -f -a ${quoted(words.join(' '))}`]
        : [];
    return [
      `complete -c ${program.name} -n ${quoted(none)} -f -a ${command.name} -d ${quoted(command.summary)}`,
      ...listed,
      ...optionsOf(program, command).map(option => line(seen, option)),
    ];
  });
  const first = optionsOf(program, bare(program)).map(option => line(none, option));
  const version = line(none, { name: 'version', option: { help: 'which version this is' } });
  return [`# Completion of ${program.name} for fish.`, ...lines, ...first, version, ''].join('\n');
}
