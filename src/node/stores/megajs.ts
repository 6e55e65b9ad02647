/** The one door to the package megajs, which brings types that do not compile (spec/07-discovery.md, 7.2). */

/** What megajs takes for the network. It gets no Response of the platform but what it uses of one. */
export type MegaFetch = (url: string, options?: MegaFetchOptions) => Promise<MegaResponse>;

/** A request as megajs makes it. */
export interface MegaFetchOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: string | Uint8Array;
}

/** What megajs uses of an answer. */
export interface MegaResponse {
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly headers: { get(name: string): string | null };
  json(): Promise<unknown>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Options of a session and of anonymous requests. */
export interface MegaOptions {
  readonly gateway: string;
  readonly fetch: MegaFetch;
  /** False: no long poll for changes. */
  readonly keepalive: boolean;
  /** Null: no header that names the program. */
  readonly userAgent: null;
}

/** A file or a folder. */
export interface MegaNode {
  /** In a session. */
  readonly nodeId?: string;
  /** Behind a link: of a child the handles of folder and file. */
  readonly downloadId?: string | readonly string[];
  readonly directory: boolean;
  readonly name: string | null | undefined;
  readonly size?: number;
  /** Seconds. */
  readonly timestamp?: number;
  readonly key: Uint8Array | null | undefined;
  readonly children?: MegaNode[];
  /** The handle of the public link of a shared folder. */
  readonly shareId?: string;
  /** A folder's children come with an interface of their own, which has no limits: it is replaced. */
  api: unknown;
  loadAttributes(): Promise<MegaNode>;
  downloadBuffer(options: MegaTransfer): Promise<Uint8Array>;
  upload(
    options: MegaTransfer & { readonly name: string; readonly size: number },
    bytes: Uint8Array,
  ): MegaUpload;
  mkdir(name: string): Promise<MegaNode>;
  link(options: { readonly noKey: boolean }): Promise<string>;
  delete(permanent: boolean): Promise<unknown>;
}

/** How to move bytes. */
export interface MegaTransfer {
  readonly forceHttps: boolean;
  readonly maxConnections?: number;
  readonly handleRetries: (tries: number, error: unknown, done: (error: unknown) => void) => void;
}

/** An upload that goes on. With a listener for errors, `complete` never rejects. */
export interface MegaUpload {
  readonly complete: Promise<MegaNode>;
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

/** A session. */
export interface MegaStorage {
  readonly key: Uint8Array;
  readonly sid: string;
  readonly user: string;
  readonly root: MegaNode | undefined;
  readonly files: Readonly<Record<string, MegaNode>>;
  status: string;
  login(): Promise<unknown>;
  reload(force: boolean): Promise<unknown>;
}

/** What of the package is used. */
export interface MegaModule {
  readonly API: new (keepalive: boolean, options: MegaOptions) => object;
  readonly File: { fromURL(link: string, options: { readonly api: object }): MegaNode };
  readonly Storage: {
    new (
      options: MegaOptions & {
        readonly email: string;
        readonly password: string;
        readonly secondFactorCode?: string;
        readonly autologin: false;
        readonly autoload: true;
      },
    ): MegaStorage;
    fromJSON(json: {
      readonly key: string;
      readonly sid: string;
      readonly user: string;
      readonly name: string;
      readonly options: MegaOptions;
    }): MegaStorage;
  };
}

/** A name in a variable is not followed by the compiler, which would read the package's types, nor by a bundler. */
const PACKAGE: string = 'megajs';

/** Load the package, on first use. */
export async function loadMegajs(): Promise<MegaModule> {
  return (await import(PACKAGE)) as MegaModule;
}
