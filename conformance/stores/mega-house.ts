/** Accounts of the emulated Mega, and how somebody reaches them. */
import {
  type FolderLink,
  logInToMega,
  type MegaReach,
  MegaReader,
  MegaWriter,
  parseFolderLink,
} from '../../src/node/stores/mega.ts';
import { loadMegajs } from '../../src/node/stores/megajs.ts';
import { emulateMega, type MegaEmulator, type MegaFault } from '../emulators/mega.ts';

export const LIMIT_MS = 1500;
export const live: AbortSignal = new AbortController().signal;

/** An account with a folder, its session and its link. */
export interface Home {
  readonly link: FolderLink;
  readonly session: Uint8Array;
}

export function reachTo(emulator: MegaEmulator, port: number = emulator.port): MegaReach {
  const trust = { kind: 'pin', sha256: emulator.pin } as const;
  return { trust, proxy: undefined, gateway: `https://localhost:${port}/`, limitMs: LIMIT_MS };
}

export async function moveIn(
  emulator: MegaEmulator,
  more?: { readonly secondFactorCode: string },
): Promise<Home> {
  const { email, password } = emulator;
  const login = { email, password, folderName: 'ClawChat', ...more };
  const answer = await logInToMega(login, reachTo(emulator), live);
  if (answer.kind === 'failed') throw new Error(answer.detail);
  const link = parseFolderLink(answer.folderLink);
  if (link === undefined) throw new Error('not a folder link');
  return { link, session: answer.session };
}

/** Put bytes there as any Mega client could, which keeps none of the bounds that the store keeps: with megajs alone. */
export async function plant(
  emulator: MegaEmulator,
  { link, session }: Home,
  bytes: Uint8Array,
  name = 'host.claw',
): Promise<void> {
  const mega = await loadMegajs();
  const { key, sid, user } = JSON.parse(Buffer.from(session).toString()) as {
    key: string;
    sid: string;
    user: string;
  };
  const https = await import('node:https');
  const fetchAny = async (
    url: string,
    options: { method?: string; body?: unknown } = {},
  ): Promise<Response> => {
    const body = options.body as string | Buffer | undefined;
    return await new Promise((resolve, reject) => {
      const asking = https.request(
        url,
        { method: options.method ?? 'GET', rejectUnauthorized: false },
        answer => {
          const parts: Buffer[] = [];
          answer.on('data', (part: Buffer) => parts.push(part));
          answer.on('end', () =>
            resolve(new Response(Buffer.concat(parts), { status: answer.statusCode ?? 500 })),
          );
        },
      );
      asking.on('error', reject);
      asking.end(body);
    });
  };
  const options = {
    gateway: `https://localhost:${emulator.port}/`,
    fetch: fetchAny as never,
    keepalive: false,
    userAgent: null,
  };
  const storage = mega.Storage.fromJSON({ key, sid, user, name: '', options });
  await storage.reload(true);
  storage.status = 'ready';
  const folder = Object.values(storage.files).find(({ shareId }) => shareId === link.handle);
  if (folder === undefined) throw new Error('no folder');
  const going = folder.upload(
    {
      name,
      size: bytes.length,
      forceHttps: true,
      maxConnections: 1,
      handleRetries: (_n, error, done) => done(error),
    },
    Buffer.from(bytes),
  );
  await going.complete;
}

/** One account, for tests that come one after the other. */
export class MegaHouse {
  readonly emulator: MegaEmulator;
  home: Home;

  private constructor(emulator: MegaEmulator, home: Home) {
    this.emulator = emulator;
    this.home = home;
  }

  static async open(): Promise<MegaHouse> {
    const emulator = await emulateMega();
    return new MegaHouse(emulator, await moveIn(emulator));
  }

  writer(session: Uint8Array = this.home.session): MegaWriter {
    return new MegaWriter(this.home.link, { load: async () => session }, reachTo(this.emulator));
  }

  reader(): MegaReader {
    return new MegaReader(this.home.link, reachTo(this.emulator));
  }

  /** Let the next answers to a command be wrong. */
  set(command: string, fault: MegaFault, times = 1): void {
    this.emulator.faults.set(command, { fault, times });
  }

  /** Forget files, faults and what was asked. */
  clear(): void {
    this.emulator.clear();
    this.emulator.seen.length = 0;
    this.emulator.withSession.length = 0;
  }

  close(): Promise<void> {
    return this.emulator.close();
  }
}
