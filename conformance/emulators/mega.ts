/**
 * As much of Mega as a store needs, on loopback, with fault injection (spec/07-discovery.md, 7.2).
 *
 * It proves this project's reading of the protocol and nothing about the live service. Commands: us0 us ug uq f u p g
 * l s2 d m a sml; the bytes of files at /ul/ and /dl/. It sees what Mega sees: ciphertext and wrapped keys.
 */
import {
  constants,
  createCipheriv,
  createHash,
  generateKeyPairSync,
  pbkdf2Sync,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { makeCertificate } from '../../src/node/certificate.ts';
import { native } from '../../src/node/native.ts';
import { closeServer, listen } from '../stores/relay.ts';
import { readBody } from './body.ts';

/** What to do instead of answering. */
export type MegaFault =
  /** Answer with an error number, in a list or alone. */
  | { readonly kind: 'error'; readonly number: number; readonly bare?: boolean }
  /** Answer with an HTTP status. */
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Ask for a proof of work, and check it. */
  | { readonly kind: 'hashcash'; readonly easiness: number }
  /** Never answer. */
  | { readonly kind: 'silent' }
  /** Answer with exactly this text. */
  | { readonly kind: 'text'; readonly text: string }
  /** Answer with this instead of the right JSON, made from it. */
  | { readonly kind: 'change'; readonly change: (answer: unknown) => unknown };

interface Node {
  readonly h: string;
  p: string | undefined;
  readonly t: number;
  readonly a: string;
  readonly k: string;
  readonly ts: number;
  readonly bytes: Buffer;
}

interface Share {
  readonly ok: string;
  readonly ha: string;
  ph: string | undefined;
  /** Keys of nodes, wrapped with the share's key. */
  readonly keys: Map<string, string>;
}

type Fields = Record<string, unknown>;

/** The emulator, and what tests turn and see. */
export interface MegaEmulator {
  readonly port: number;
  /** SHA-256 of its key. */
  readonly pin: Uint8Array;
  /** The port that addresses of files name; a relay's, if there is one. */
  publicPort: number;
  readonly email: string;
  readonly password: string;
  /** The code that a login needs; undefined for none. */
  secondFactor: string | undefined;
  /** By command, or `ul` and `dl`; `times` counts down, 0 is no fault. */
  readonly faults: Map<string, { readonly fault: MegaFault; times: number }>;
  /** Commands and transfers since it began, in order. */
  readonly seen: string[];
  /** Those of `seen` that came with a session. */
  readonly withSession: string[];
  /** Files in shared folders: their sizes. */
  files(): readonly number[];
  /** Delete all files, keep folders and shares. */
  clear(): void;
  /** End all sessions. */
  endSessions(): void;
  close(): Promise<void>;
}

const e64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** Start it with one account. */
export async function emulateMega(): Promise<MegaEmulator> {
  return await new Emulator().start();
}

class Emulator implements MegaEmulator {
  port = 0;
  publicPort = 0;
  pin: Uint8Array = new Uint8Array();
  readonly email = 'host@example.org';
  readonly password = 'correct horse battery staple';
  secondFactor: string | undefined;
  readonly faults: MegaEmulator['faults'] = new Map();
  readonly seen: string[] = [];
  readonly withSession: string[] = [];
  readonly #user = 'hostUserABC';
  readonly #account = makeAccount(this.password);
  readonly #nodes = new Map<string, Node>();
  readonly #shares = new Map<string, Share>();
  readonly #uploads = new Map<string, { readonly size: number; parts: Buffer[] }>();
  readonly #tokens = new Map<string, Buffer>();
  readonly #sessions = new Set<string>();
  readonly #sockets = new Set<Socket>();
  #clock = 1_800_000_000;
  #close: () => Promise<void> = async () => {};

  async start(): Promise<this> {
    for (const t of [2, 3, 4]) this.#add({ t, p: undefined, a: '', k: '', bytes: Buffer.alloc(0) });
    const { cert, key, spkiSha256 } = makeCertificate(native, Date.now());
    this.pin = spkiSha256;
    const server = createServer({ cert, key }, (asked, answer) => {
      asked.on('error', () => {});
      answer.on('error', () => {});
      void this.#handle(asked, answer);
    });
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('tlsClientError', () => {});
    this.port = await listen(server);
    this.publicPort = this.port;
    this.#close = () => closeServer(server, this.#sockets);
    return this;
  }

  files(): readonly number[] {
    return [...this.#nodes.values()].filter(({ t }) => t === 0).map(({ bytes }) => bytes.length);
  }

  clear(): void {
    for (const { h, t } of [...this.#nodes.values()]) if (t === 0) this.#nodes.delete(h);
    this.faults.clear();
  }

  endSessions(): void {
    this.#sessions.clear();
  }

  close(): Promise<void> {
    return this.#close();
  }

  async #handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(asked.url ?? '/', 'https://mega');
    const body = await readBody(asked);
    // Whoever died in the middle of a request has said nothing.
    if (body === undefined) return;
    if (url.pathname === '/cs') this.#api(url, body, asked, answer);
    else if (url.pathname.startsWith('/ul/')) this.#upload(url, body, answer);
    else if (url.pathname.startsWith('/dl/')) this.#download(url, answer);
    else answer.writeHead(404).end();
  }

  #api(url: URL, body: Buffer, asked: IncomingMessage, answer: ServerResponse): void {
    const [command] = JSON.parse(body.toString()) as Fields[];
    const name = String(command?.['a']);
    const sid = url.searchParams.get('sid');
    this.seen.push(name);
    if (sid !== null) this.withSession.push(name);
    const fault = this.#takeFault(name, asked);
    if (fault !== undefined && fault.kind !== 'change') {
      misbehave(fault, answer);
      return;
    }
    const isAllowed =
      ['us0', 'us'].includes(name) || url.searchParams.has('n') || this.#sessions.has(sid ?? '');
    const result = isAllowed && command !== undefined ? this.#run(name, command, url) : -15;
    const said = fault === undefined ? result : fault.change(result);
    answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify([said]));
  }

  #takeFault(name: string, asked: IncomingMessage | undefined): MegaFault | undefined {
    const entry = this.faults.get(name);
    if (entry === undefined || entry.times === 0) return undefined;
    // A proof of work is asked for until it comes.
    if (entry.fault.kind === 'hashcash' && isProof(asked?.headers['x-hashcash'], entry.fault.easiness))
      return undefined;
    if (entry.fault.kind !== 'hashcash') entry.times -= 1;
    return entry.fault;
  }

  #run(name: string, command: Fields, url: URL): unknown {
    switch (name) {
      case 'us0':
        return command['user'] === this.email ? { v: 2, s: this.#account.salt } : -9;
      case 'us':
        return this.#logIn(command);
      case 'ug':
        return { u: this.#user, name: 'Host', email: this.email };
      case 'f':
        return url.searchParams.has('n')
          ? this.#listLink(String(url.searchParams.get('n')))
          : this.#listAccount();
      case 'u':
        return this.#beginUpload(Number(command['s']));
      case 'p':
        return this.#put(command);
      case 'g':
        return this.#get(String(command['n'] ?? command['p']));
      case 's2':
        return this.#share(command);
      case 'l':
        return this.#link(String(command['n']));
      case 'd':
        return this.#nodes.delete(String(command['n'])) ? 0 : -9;
      case 'm':
      case 'a':
      case 'uq':
        return 0;
      case 'sml':
        this.endSessions();
        return 0;
      default:
        return -2;
    }
  }

  #logIn(command: Fields): unknown {
    const { uh, key, privateKey, publicKey, master } = this.#account;
    if (command['uh'] !== uh) return -9;
    if (this.secondFactor !== undefined && command['mfa'] !== this.secondFactor) return -26;
    const sid = randomBytes(43);
    // Below any modulus, and not led by a zero, which a number would lose.
    sid[0] = 1 + ((sid[0] ?? 0) & 63);
    this.#sessions.add(e64(sid));
    return {
      k: e64(wrap(key, master)),
      csid: e64(mpi(encryptRaw(publicKey, sid))),
      privk: e64(wrap(master, privateKey)),
    };
  }

  #listAccount(): unknown {
    const f = [...this.#nodes.values()].map(node => ({ ...this.#show(node), k: this.#keysOf(node) }));
    const shares = [...this.#shares];
    return {
      f,
      ok: shares.map(([h, { ok, ha }]) => ({ h, ha, k: ok })),
      ph: shares.flatMap(([h, { ph }]) => (ph === undefined ? [] : [{ h, ph }])),
      s: [],
      u: [],
    };
  }

  #keysOf({ h, k }: Node): string {
    if (k === '') return '';
    const shared = [...this.#shares].flatMap(([share, { keys }]) =>
      keys.has(h) ? [`${share}:${keys.get(h)}`] : [],
    );
    return [`${this.#user}:${k}`, ...shared].join('/');
  }

  #listLink(ph: string): unknown {
    const found = [...this.#shares].find(([, share]) => share.ph === ph);
    if (found === undefined) return -9;
    const [root, { keys }] = found;
    const nodes = [...this.#nodes.values()].filter(({ h, p }) => h === root || p === root);
    return { f: nodes.map(node => ({ ...this.#show(node), k: `${root}:${keys.get(node.h) ?? ''}` })) };
  }

  #show({ h, p, t, a, ts, bytes }: Node): Fields {
    return { h, p: p ?? '', u: this.#user, t, a, ts, ...(t === 0 ? { s: bytes.length } : {}) };
  }

  #beginUpload(size: number): unknown {
    const id = randomBytes(8).toString('hex');
    this.#uploads.set(id, { size, parts: [] });
    return { p: `https://localhost:${this.publicPort}/ul/${id}` };
  }

  #upload(url: URL, body: Buffer, answer: ServerResponse): void {
    this.seen.push('ul');
    const fault = this.#takeFault('ul', undefined);
    if (fault !== undefined && fault.kind !== 'change') {
      misbehave(fault, answer);
      return;
    }
    const [, , id = ''] = url.pathname.split('/');
    const upload = this.#uploads.get(id);
    if (upload === undefined) {
      answer.writeHead(200).end('-8');
      return;
    }
    upload.parts.push(body);
    const bytes = Buffer.concat(upload.parts);
    if (bytes.length < upload.size) {
      answer.writeHead(200).end();
      return;
    }
    const token = randomBytes(27);
    this.#tokens.set(e64(token), bytes);
    answer.writeHead(200).end(token);
  }

  #put(command: Fields): unknown {
    const [wanted] = command['n'] as Fields[];
    const parent = String(command['t']);
    if (wanted === undefined || !this.#nodes.has(parent)) return -9;
    const isFile = wanted['t'] === 0;
    const bytes = isFile ? this.#tokens.get(String(wanted['h'])) : Buffer.alloc(0);
    if (bytes === undefined) return -5;
    const node = this.#add({
      t: isFile ? 0 : 1,
      p: parent,
      a: String(wanted['a']),
      k: String(wanted['k']),
      bytes,
    });
    this.#keepKeys(command['cr'], new Map([[String(wanted['h']), node.h]]));
    return { f: [{ ...this.#show(node), k: this.#keysOf(node) }] };
  }

  /** Keep the keys that the client wrapped for shares: [shares, nodes, [share, node, key, ...]]. */
  #keepKeys(cr: unknown, renamed: ReadonlyMap<string, string>): void {
    if (!Array.isArray(cr)) return;
    const [shares, nodes, keys] = cr as [string[], string[], (number | string)[]];
    for (let i = 0; i + 2 < keys.length; i += 3) {
      const share = this.#shares.get(shares[Number(keys[i])] ?? '');
      const node = nodes[Number(keys[i + 1])] ?? '';
      share?.keys.set(renamed.get(node) ?? node, String(keys[i + 2]));
    }
  }

  #get(h: string): unknown {
    const node = this.#nodes.get(h);
    if (node === undefined || node.t !== 0) return -9;
    return { s: node.bytes.length, at: node.a, g: `https://localhost:${this.publicPort}/dl/${h}` };
  }

  #download(url: URL, answer: ServerResponse): void {
    this.seen.push('dl');
    const fault = this.#takeFault('dl', undefined);
    const [, , h = '', range = ''] = url.pathname.split('/');
    const [start, end] = range.split('-').map(Number);
    const bytes = this.#nodes.get(h)?.bytes;
    if (fault !== undefined && fault.kind !== 'change') misbehave(fault, answer);
    else if (bytes === undefined) answer.writeHead(404).end();
    else {
      const part = bytes.subarray(start, (end ?? 0) + 1);
      answer.writeHead(200).end(fault === undefined ? part : (fault.change(part) as Buffer));
    }
  }

  #share(command: Fields): unknown {
    const h = String(command['n']);
    this.#shares.set(h, {
      ok: String(command['ok']),
      ha: String(command['ha']),
      ph: undefined,
      keys: new Map(),
    });
    this.#keepKeys(command['cr'], new Map());
    return { r: [0] };
  }

  #link(h: string): unknown {
    const share = this.#shares.get(h);
    if (share === undefined) return -9;
    share.ph ??= e64(randomBytes(6));
    return share.ph;
  }

  #add(node: Pick<Node, 'a' | 'bytes' | 'k' | 'p' | 't'>): Node {
    this.#clock += 1;
    const made = { ...node, h: e64(randomBytes(6)), ts: this.#clock };
    this.#nodes.set(made.h, made);
    return made;
  }
}

function misbehave(fault: Exclude<MegaFault, { kind: 'change' }>, answer: ServerResponse): void {
  switch (fault.kind) {
    case 'error':
      answer.writeHead(200).end(fault.bare === true ? String(fault.number) : `[${fault.number}]`);
      break;
    case 'status':
      answer.writeHead(fault.status, fault.headers).end('no');
      break;
    case 'hashcash':
      answer.writeHead(402, { 'x-hashcash': `1:${fault.easiness}:1800000000:${e64(randomBytes(48))}` }).end();
      break;
    case 'text':
      answer.writeHead(200).end(fault.text);
      break;
    case 'silent':
      break;
  }
}

/** `1:TOKEN:NONCE`: the hash of the nonce and the token 262,144 times is below what the easiness allows. */
function isProof(header: string | string[] | undefined, easiness: number): boolean {
  const [version, token = '', nonce = ''] = String(header ?? '').split(':');
  if (token === '') return false;
  const blocks = Buffer.alloc(262_144 * 48, Buffer.from(token, 'base64url'));
  const hash = createHash('sha256').update(Buffer.from(nonce, 'base64url')).update(blocks).digest();
  const threshold = (((easiness & 63) << 1) + 1) * 2 ** ((easiness >> 6) * 7 + 3);
  return version === '1' && hash.readUInt32BE(0) <= threshold;
}

interface Account {
  readonly salt: string;
  /** What the login sends to prove the password. */
  readonly uh: string;
  /** From the password; wraps the master key. */
  readonly key: Buffer;
  readonly master: Buffer;
  /** p, q, d, u as multi-precision integers, padded. */
  readonly privateKey: Buffer;
  readonly publicKey: ReturnType<typeof generateKeyPairSync>['publicKey'];
}

function makeAccount(password: string): Account {
  const salt = randomBytes(32);
  const derived = pbkdf2Sync(password, salt, 100_000, 32, 'sha512');
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { p, q, d } = pair.privateKey.export({ format: 'jwk' });
  const [bp, bq] = [toBig(p), toBig(q)];
  const numbers = [
    Buffer.from(p ?? '', 'base64url'),
    Buffer.from(q ?? '', 'base64url'),
    Buffer.from(d ?? '', 'base64url'),
    fromBig(inverse(bp, bq)),
  ];
  const joined = Buffer.concat(numbers.map(mpi));
  const padding = (16 - (joined.length % 16)) % 16;
  return {
    salt: e64(salt),
    key: derived.subarray(0, 16),
    uh: e64(derived.subarray(16)),
    master: randomBytes(16),
    privateKey: Buffer.concat([joined, randomBytes(padding)]),
    publicKey: pair.publicKey,
  };
}

/** Two bytes with the number of bits, then the number. */
function mpi(bytes: Buffer): Buffer {
  const trimmed = bytes.subarray(bytes.findIndex(byte => byte !== 0));
  const bits = trimmed.length * 8 - Math.clz32(trimmed[0] ?? 0) + 24;
  return Buffer.concat([Buffer.from([bits >>> 8, bits & 255]), trimmed]);
}

function encryptRaw(key: Account['publicKey'], sid: Buffer): Buffer {
  const message = Buffer.concat([sid, randomBytes(256 - sid.length)]);
  return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, message);
}

function wrap(key: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(bytes), cipher.final()]);
}

function toBig(text: string | undefined): bigint {
  return BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`);
}

function fromBig(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

/** a^-1 mod m. */
function inverse(a: bigint, m: bigint): bigint {
  let [r0, r1, s0, s1] = [a, m, 1n, 0n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [s0, s1] = [s1, s0 - quotient * s1];
  }
  return ((s0 % m) + m) % m;
}
