/** `clawchatd mega login` and `mega check`. Chapter: spec/07-discovery.md 7.2; docs/stores.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import { failure } from '../failure.ts';
import type { HostOptions } from '../host/options.ts';
import { megaSessions, readStoreConfigs, storeConfigPath } from '../host/stores.ts';
import { native } from '../native.ts';
import { openStore, type Store } from '../store.ts';
import { logInToMega } from '../stores/mega.ts';
import { checkMega, megaReach, type StoreEnvironment } from '../stores/open.ts';
import { Asker } from './asker.ts';
import { type Call, usage } from './command-line.ts';
import { EXIT_HOST, EXIT_OK } from './exit-code.ts';
import { jsonLine, line } from './output.ts';
import { askedPassphrase } from './passphrase.ts';
import { withCommands } from './typed-command.ts';

const FOLDER_NAME = 'clawchat';
const CHECK_MS = 60_000;
const LOGIN_MS = 120_000;

/** Run `mega login` or `mega check` on a host's directory. The host must not run: its database has one owner. */
export async function mega(call: Call, options: HostOptions): Promise<number> {
  const { directory } = options;
  const [what] = call.words;
  if (what !== 'login' && what !== 'check') throw usage('say what to do: mega login, or mega check');
  const database = await openStore({
    directory,
    program: 'host',
    suite: native,
    passphrase: askedPassphrase,
  });
  try {
    return what === 'login' ? await logIn(call, options, database) : await check(call, options, database);
  } finally {
    await database.close();
  }
}

const READ: ReadonlyMap<string, string> = new Map([
  ['file', 'a connection file lies there'],
  ['absent', 'the folder is there, and empty until the host writes into it'],
]);

async function logIn(
  call: Call,
  { directory, environment = process.env }: HostOptions,
  database: Store,
): Promise<number> {
  const ask = new Asker();
  try {
    const email = await ask.question('E-mail address of the account: ', true);
    const password = await ask.question('Password (not shown, not kept): ', false);
    const code = await ask.question('Code of the second factor (empty for none): ', true);
    const second = code === '' ? {} : { secondFactorCode: code };
    const login = { email, password, ...second, folderName: FOLDER_NAME };
    const reach = megaReach({ environment });
    const answer = await logInToMega(login, reach, AbortSignal.timeout(LOGIN_MS));
    if (answer.kind === 'failed') throw failure(answer.code, answer.detail);
    await megaSessions(database).save(answer.session);
    const store = { kind: 'mega', folder: answer.folderLink };
    if (call.on('json')) jsonLine(store);
    else {
      line(
        `Logged in. Add this to the list in ${storeConfigPath(directory)}, beside a store of another kind:`,
      );
      line(JSON.stringify(store));
      line(withCommands('Then: `clawchatd mega check`, and start the host: `clawchatd`'));
    }
    return EXIT_OK;
  } finally {
    ask.close();
  }
}

async function check(call: Call, options: HostOptions, database: Store): Promise<number> {
  const { directory, environment = process.env } = options;
  const configs = await readStoreConfigs(options);
  const folders = configs.flatMap(config => (config.kind === 'mega' ? [config.folder] : []));
  if (folders.length === 0)
    throw usage(
      `${storeConfigPath(directory)} names no mega store: add what \`clawchatd mega login\` printed`,
    );
  const within: StoreEnvironment = { environment, megaSessions: megaSessions(database) };
  let isGood = true;
  for (const folder of folders) {
    const found = await checkMega(folder, within, AbortSignal.timeout(CHECK_MS));
    if (isFault(found)) throw new ClawChatError({ ...found, code: ErrorCode.USAGE });
    const { account, reading } = found;
    const read = reading.kind === 'failed' ? reading.detail : reading.kind;
    isGood &&= account === undefined && reading.kind !== 'failed';
    if (call.on('json')) jsonLine({ account: account?.detail ?? 'ok', reading: read });
    else {
      line(`account: ${withCommands(account?.detail ?? 'the session works')}`);
      line(`reading: ${READ.get(read) ?? withCommands(read)}`);
    }
  }
  return isGood ? EXIT_OK : EXIT_HOST;
}
