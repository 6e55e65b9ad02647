/** The store that is a Mega folder: one public link, a new file for each publication (spec/07-discovery.md, 7.2). */
import type {
  PublishAnswer,
  ReadOptions,
  StopSignal,
  StoreAnswer,
  StoreFailure,
  StoreReader,
  StoreWriter,
} from '../../discovery/store.ts';
import { storeFailed } from '../../discovery/store.ts';
import { FILE_BYTES_MAX, STORE_ATTEMPT_MS_MAX, STORE_CANDIDATES_MAX } from '../../gen/constants.ts';
import { runAttempt, StoreError } from './attempt.ts';
import { megaFetch } from './mega-api.ts';
import {
  loadMegajs,
  type MegaModule,
  type MegaNode,
  type MegaOptions,
  type MegaStorage,
  type MegaTransfer,
} from './megajs.ts';
import { TlsConnector, type Way } from './tls.ts';

/** How to reach Mega. `gateway` and `limitMs` are for tests. */
export interface MegaReach extends Way {
  readonly gateway?: string;
  readonly limitMs?: number;
}

/** Keeps the session of an account between runs. Its bytes hold the master key: seal them like a key file. */
export interface MegaSessions {
  /** Give the saved session, undefined for none. */
  load(): Promise<Uint8Array | undefined>;
}

/** Where Mega's commands go. */
export const MEGA_GATEWAY = 'https://g.api.mega.co.nz/';
/** The only files that a host deletes. */
const FILE_NAME = 'host.claw';
const LOGIN_MS_MAX = 60_000;
/** A file that is gone between the list and the download was replaced: then the list is read again. */
const LISTS_MAX = 3;
const TRANSFER: MegaTransfer = {
  forceHttps: true,
  // megajs tries again for minutes otherwise; waiting is for whoever publishes or reads.
  handleRetries: (_tries, error, done) => done(error),
};

/** A folder link in its parts. */
export interface FolderLink {
  readonly text: string;
  /** The handle, which is no secret. */
  readonly handle: string;
}

/** Parse `https://mega.nz/folder/HANDLE#KEY`; undefined for anything else, links of files included. */
export function parseFolderLink(text: string): FolderLink | undefined {
  const [, handle] = /^https:\/\/mega\.nz\/folder\/([\w-]{8})#[\w-]{22}$/.exec(text) ?? [];
  return handle === undefined ? undefined : { text, handle };
}

/** What both directions share. */
class Mega {
  readonly name: string;
  readonly #gateway: string;
  readonly #limitMs: number;
  readonly #connector: TlsConnector;

  constructor(name: string, reach: MegaReach) {
    this.name = name;
    this.#gateway = reach.gateway ?? MEGA_GATEWAY;
    this.#limitMs = reach.limitMs ?? STORE_ATTEMPT_MS_MAX;
    this.#connector = new TlsConnector(reach);
  }

  /** Run one attempt with the package and options that bind it to the attempt. */
  async attempt<T>(
    stop: StopSignal,
    run: (mega: MegaModule, options: MegaOptions) => Promise<T>,
    limitMs: number = this.#limitMs,
  ): Promise<T | StoreFailure> {
    return await runAttempt({ name: this.name, stop, limitMs }, async signal => {
      const fetch = megaFetch({ connector: this.#connector, gateway: this.#gateway, signal });
      const mega = await loadMegajs().catch(() => {
        throw new StoreError('refused', 'this installation lacks the package megajs');
      });
      try {
        return await run(mega, { gateway: this.#gateway, fetch, keepalive: false, userAgent: null });
      } catch (error) {
        // What megajs itself finds wrong: a key that does not fit, bytes that do not authenticate.
        if (error instanceof Error && !(error instanceof StoreError) && !('code' in error))
          throw new StoreError('malformed', 'what lies there does not fit the key of its link');
        throw error;
      }
    });
  }
}

/** Reads the folder behind a public link, logged in to nothing. @impl DI-050~1 */
export class MegaReader implements StoreReader {
  readonly name: string;
  readonly #mega: Mega;
  readonly #link: FolderLink;
  /** The files of the last answer. A file of Mega never changes. */
  #last: string | undefined;

  constructor(link: FolderLink, reach: MegaReach) {
    this.name = nameOfLink(link);
    this.#link = link;
    this.#mega = new Mega(this.name, reach);
  }

  /** List the folder and get the files uploaded last. @impl DI-051~1 */
  async read(stop: StopSignal, options?: ReadOptions): Promise<StoreAnswer> {
    return await this.#mega.attempt(stop, async (mega, within) => {
      const api = new mega.API(false, within);
      for (let lists = 1; ; lists += 1) {
        const folder = await mega.File.fromURL(this.#link.text, { api }).loadAttributes();
        const { nodes, tooLong } = candidates(folder);
        const [first] = nodes;
        if (first === undefined) {
          this.#last = undefined;
          if (tooLong > 0) throw new StoreError('oversized', 'no file there is short enough');
          return { kind: 'absent' };
        }
        const handles = nodes.map(({ downloadId }) => String(downloadId)).join();
        if (handles === this.#last && options?.unconditional !== true) return { kind: 'unchanged' };
        const files = await downloadAll(nodes, api);
        const [bytes, ...more] = files;
        if (bytes === undefined && lists < LISTS_MAX) continue;
        if (bytes === undefined) throw new StoreError('busy', 'its files were replaced while they were read');
        this.#last = files.length === nodes.length ? handles : undefined;
        return { kind: 'file', bytes, others: more };
      }
    });
  }
}

/** The files to judge, the last uploaded first, and how many are too long to be one. */
function candidates(folder: MegaNode): { readonly nodes: readonly MegaNode[]; readonly tooLong: number } {
  const files = (folder.children ?? []).filter(({ directory, key }) => !directory && key?.length === 32);
  const nodes = files.filter(({ size = 0 }) => size > 0 && size <= FILE_BYTES_MAX);
  nodes.sort((a, b) => (b.timestamp ?? 0) - (a.timestamp ?? 0));
  const tooLong = files.filter(({ size = 0 }) => size > FILE_BYTES_MAX).length;
  return { nodes: nodes.slice(0, STORE_CANDIDATES_MAX), tooLong };
}

/** Download what is still there. What does not authenticate is no candidate either, unless nothing else is left. */
async function downloadAll(nodes: readonly MegaNode[], api: object): Promise<readonly Uint8Array[]> {
  const files: Uint8Array[] = [];
  let failure: unknown;
  for (const node of nodes) {
    node.api = api;
    try {
      files.push(Uint8Array.from(await node.downloadBuffer(TRANSFER)));
    } catch (error) {
      const isGone = error instanceof StoreError && error.failure.trouble === 'refused';
      if (error instanceof StoreError && !isGone) throw error;
      if (!isGone) failure = error;
    }
  }
  if (files.length === 0 && failure !== undefined) throw failure;
  return files;
}

/** Writes to the folder of an account that a person has logged in to. @impl DI-053~1, DI-054~1 */
export class MegaWriter implements StoreWriter {
  readonly name: string;
  readonly #mega: Mega;
  readonly #link: FolderLink;
  readonly #sessions: MegaSessions;
  /** A session that has ended, and what it said: it is not tried again. */
  #ended: { readonly session: Uint8Array; readonly failure: StoreFailure } | undefined;

  constructor(link: FolderLink, sessions: MegaSessions, reach: MegaReach) {
    this.name = nameOfLink(link);
    this.#link = link;
    this.#sessions = sessions;
    this.#mega = new Mega(this.name, reach);
  }

  /** Upload the file, and only then delete those before it. @impl DI-052~1 */
  async publish(bytes: Uint8Array, stop: StopSignal): Promise<PublishAnswer> {
    if (bytes.length > FILE_BYTES_MAX)
      return storeFailed('oversized', `${this.name}: ${bytes.length} bytes are too long to publish`);
    const session = await this.#sessions.load().catch(() => undefined);
    if (session === undefined)
      return storeFailed('expired', `${this.name}: there is no session; run: \`clawchatd mega login\``);
    if (this.#ended !== undefined && Buffer.compare(this.#ended.session, session) === 0)
      return this.#ended.failure;
    let isUploaded = false;
    const answer = await this.#mega.attempt(stop, async (mega, within): Promise<PublishAnswer> => {
      const storage = await resume(mega, session, within);
      const folder = findFolder(storage, this.#link);
      const before = (folder.children ?? []).filter(
        ({ directory, name }) => !directory && name === FILE_NAME,
      );
      await upload(folder, bytes);
      isUploaded = true;
      for (const old of before) await old.delete(true);
      return { kind: 'published' };
    });
    // What could not be deleted is deleted the next time.
    if (isUploaded) return { kind: 'published' };
    if (answer.kind === 'failed' && answer.trouble === 'expired') this.#ended = { session, failure: answer };
    return answer;
  }

  /** Look whether session and folder work, without writing: undefined, or what is wrong. */
  async check(stop: StopSignal): Promise<StoreFailure | undefined> {
    const session = await this.#sessions.load().catch(() => undefined);
    if (session === undefined)
      return storeFailed('expired', `${this.name}: there is no session; run: \`clawchatd mega login\``);
    const answer = await this.#mega.attempt(stop, async (mega, within) => {
      findFolder(await resume(mega, session, within), this.#link);
      return undefined;
    });
    return answer;
  }
}

async function upload(folder: MegaNode, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const options = { ...TRANSFER, name: FILE_NAME, size: bytes.length, maxConnections: 1 };
    const going = folder.upload(options, Buffer.from(bytes));
    going.on('error', reject);
    going.complete.then(() => resolve(), reject);
  });
}

function findFolder(storage: MegaStorage, link: FolderLink): MegaNode {
  const folder = Object.values(storage.files).find(({ shareId }) => shareId === link.handle);
  if (folder === undefined)
    throw new StoreError('refused', 'the folder of the link is not in the account that is logged in');
  return folder;
}

/** What is saved of a session. */
interface SavedSession {
  readonly version: 1;
  readonly key: string;
  readonly sid: string;
  readonly user: string;
}

/** Take up a saved session and list the account. No login, ever. @impl DI-053~1 */
async function resume(mega: MegaModule, session: Uint8Array, options: MegaOptions): Promise<MegaStorage> {
  const saved = parseSession(session);
  if (saved === undefined)
    throw new StoreError('expired', 'the saved session cannot be read; run: `clawchatd mega login`');
  const { key, sid, user } = saved;
  const storage = mega.Storage.fromJSON({ key, sid, user, name: '', options: { ...options } });
  await storage.reload(true);
  storage.status = 'ready';
  return storage;
}

function parseSession(bytes: Uint8Array): SavedSession | undefined {
  try {
    const saved = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<SavedSession>;
    const { version, key, sid, user } = saved;
    const isWhole =
      version === 1 && typeof sid === 'string' && typeof user === 'string' && typeof key === 'string';
    return isWhole && Buffer.from(key, 'base64').length === 16 ? { version, key, sid, user } : undefined;
  } catch {
    return undefined;
  }
}

/** What a person gives once. */
export interface MegaLogin {
  readonly email: string;
  readonly password: string;
  /** Six digits, for an account with a second factor. */
  readonly secondFactorCode?: string;
  /** The folder to publish in; made if there is none of this name. */
  readonly folderName: string;
}

/** What comes of it. */
export interface MegaLoggedIn {
  readonly kind: 'loggedIn';
  /** To be sealed and kept; it holds the master key of the account. */
  readonly session: Uint8Array;
  /** The public link with its key: for `stores.json`, and so for every device. */
  readonly folderLink: string;
}

/** Log in with a person at hand, once, and give the session and the folder's link. The session is not ended. @impl DI-054~1 */
export async function logInToMega(
  login: MegaLogin,
  reach: MegaReach,
  stop: StopSignal,
): Promise<MegaLoggedIn | StoreFailure> {
  const { email, password, secondFactorCode, folderName } = login;
  const answer = await new Mega('mega.nz', reach).attempt<MegaLoggedIn>(
    stop,
    async (mega, options) => {
      const second = secondFactorCode === undefined ? {} : { secondFactorCode };
      const storage = new mega.Storage({
        ...options,
        email,
        password,
        ...second,
        autologin: false,
        autoload: true,
      });
      await storage.login();
      const { root } = storage;
      if (root === undefined) throw new StoreError('malformed', 'the account has no place for files');
      const found = (root.children ?? []).find(({ directory, name }) => directory && name === folderName);
      const folder = found ?? (await root.mkdir(folderName));
      const folderLink = await folder.link({ noKey: false });
      const saved: SavedSession = {
        version: 1,
        key: Buffer.from(storage.key).toString('base64'),
        sid: storage.sid,
        user: storage.user,
      };
      return { kind: 'loggedIn', session: Uint8Array.from(Buffer.from(JSON.stringify(saved))), folderLink };
    },
    LOGIN_MS_MAX,
  );
  // At a login "no such thing" is an account or a password.
  if (answer.kind === 'failed' && answer.detail.includes('(-9)'))
    return storeFailed('refused', 'mega.nz: no such account, or the password is wrong (-9)');
  return answer;
}

/** The link without its key. @impl DI-004~1 */
function nameOfLink({ handle }: FolderLink): string {
  return `https://mega.nz/folder/${handle}`;
}
