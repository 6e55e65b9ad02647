/** Where the commands get the passphrase of a data directory, and how it is set. Chapter: spec/12-control.md 12.1. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { PASSPHRASE_BYTES_MAX } from '../../gen/constants.ts';
import { PASSPHRASE_VARIABLE } from '../config/variables.ts';
import { failure } from '../failure.ts';
import { readFileCapped } from '../files.ts';
import { isNextIdentityExported } from '../host/identity.ts';
import { native } from '../native.ts';
import { changePassphrase, type StoreProgram } from '../store.ts';
import { Asker, terminal } from './asker.ts';
import { type Call, type Command, usage } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';
import { jsonLine, line } from './output.ts';
import { dataDirectory } from './settings.ts';
import { withCommands } from './typed-command.ts';

const CHARS_MIN = 8;
/** A takeover opens the directory again, and nobody is there to be asked again. */
const given = new Map<string, Promise<string | undefined>>();

/** Give a directory's passphrase: from the file that the environment names, else from whoever sits at the terminal. */
export function askedPassphrase(directory: string): Promise<string | undefined> {
  const known = given.get(directory) ?? obtain(directory);
  given.set(directory, known);
  return known;
}

async function obtain(directory: string): Promise<string | undefined> {
  const file = process.env[PASSPHRASE_VARIABLE];
  if (file !== undefined && file !== '') return readPassphrase(file);
  return ask(async asker => asker.question(`Passphrase of ${directory}: `, false));
}

/** One line of text; the line feed is not part of it. */
async function readPassphrase(file: string): Promise<string> {
  // No rule about its mode: it may be a pipe, or a credential that a service manager hands over.
  const bytes = await readFileCapped(file, PASSPHRASE_BYTES_MAX + 2);
  if (bytes === undefined) throw failure(ErrorCode.PASSPHRASE_NEEDED, `there is no file ${file}`);
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, '');
}

async function ask<T>(question: (asker: Asker) => Promise<T>): Promise<T | undefined> {
  const input = terminal();
  if (input === undefined) return undefined;
  const asker = new Asker(input);
  try {
    return await question(asker);
  } finally {
    asker.close();
  }
}

/** The command that sets, changes or removes the passphrase of a program's data directory. */
export function passphraseCommand(program: StoreProgram): Command {
  return {
    name: 'passphrase',
    words: 'set|remove',
    count: [1, 1],
    summary: 'put the data directory under a passphrase, change it, or remove it (while nothing runs on it)',
    details: [
      'Whoever then has the disk or a backup can read nothing without it - and neither can you: there is no way around it.',
      `Commands ask for it when they open the directory; ${PASSPHRASE_VARIABLE} names a file that holds it, for services.`,
    ],
    options: { new: { value: 'FILE', help: 'read the new passphrase from the first line of FILE' } },
    run: call => run(call, program),
  };
}

async function run(call: Call, program: StoreProgram): Promise<number> {
  const [what] = call.words;
  if (what !== 'set' && what !== 'remove')
    throw usage('say what to do: passphrase set, or passphrase remove');
  const directory = dataDirectory(call, program === 'host' ? 'clawchatd' : 'clawchat');
  const next = what === 'set' ? await newPassphrase(call.text('new')) : undefined;
  await changePassphrase({ directory, program, suite: native, passphrase: askedPassphrase }, next);
  if (call.on('json')) jsonLine({ passphrase: what === 'set' });
  else
    line(what === 'set' ? `${directory} is under the passphrase.` : `${directory} is under no passphrase.`);
  if (what === 'set' && program === 'host' && !(await isNextIdentityExported(directory))) {
    const text =
      'next-identity.key is not under it: move it off this machine (`clawchatd export-next-identity FILE`)';
    process.stderr.write(`${withCommands(text)}\n`);
  }
  return EXIT_OK;
}

async function newPassphrase(file: string | undefined): Promise<string> {
  const passphrase = file === undefined ? await askTwice() : await readPassphrase(file);
  if ([...passphrase].length < CHARS_MIN) throw usage(`a passphrase has at least ${CHARS_MIN} characters`);
  return passphrase;
}

async function askTwice(): Promise<string> {
  const answers = await ask(async asker => [
    await asker.question('New passphrase: ', false),
    await asker.question('The same again: ', false),
  ]);
  if (answers === undefined) throw usage('there is no terminal to ask on: give --new FILE');
  const [first = '', second] = answers;
  if (first !== second) throw usage('the two are not the same; nothing was changed');
  return first;
}
