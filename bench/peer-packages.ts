/** What is used of the packages that people use instead; they are installed by `npm ci --prefix bench` (bench/README.md). */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** The directory of bench/, which the bundler puts in: bundles lie elsewhere. */
declare const __BENCH__: string;

/** Load one of those packages; throws when it is not installed. */
export function requirePeer<T>(name: string): T {
  return createRequire(__BENCH__)(name) as T;
}

/** One side of a socket.io connection. */
export interface SocketIo {
  on(event: string, listener: (data: unknown) => void): unknown;
  emit(event: string, data: unknown): unknown;
  disconnect(): unknown;
}

/** The class Server of socket.io. */
export type SocketIoServer = new (
  server: unknown,
  options: object,
) => { on(event: 'connection', listener: (socket: SocketIo) => void): unknown };

/** The function io of socket.io-client. */
export type SocketIoConnect = (url: string, options: object) => SocketIo;

/** Load one that may be an ES module. */
export async function importPeer<T>(name: string): Promise<T> {
  const file = createRequire(__BENCH__).resolve(name);
  return (await import(pathToFileURL(file).href)) as T;
}

/** A key pair of sodium. */
export interface SodiumPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** One side of a handshake of noise-handshake. */
export interface NoiseHandshake {
  readonly tx: Uint8Array;
  readonly rx: Uint8Array;
  initialise(prologue: Uint8Array, remoteStatic?: Uint8Array): void;
  send(payload?: Uint8Array): Uint8Array;
  recv(message: Uint8Array): Uint8Array;
}
export type NoiseHandshakeClass = new (
  pattern: string,
  initiator: boolean,
  staticPair: SodiumPair,
) => NoiseHandshake;
export type NoiseCipherClass = new (
  key: Uint8Array,
) => { encrypt(plaintext: Uint8Array): Uint8Array; decrypt(ciphertext: Uint8Array): Uint8Array };

/** What of libsignal's objects is handed around and never looked into. */
export type Opaque = { readonly opaque: unique symbol };
interface SignalPrivateKey extends Opaque {
  getPublicKey(): SignalPublicKey;
  sign(message: Uint8Array): Uint8Array;
}
interface SignalPublicKey extends Opaque {
  serialize(): Uint8Array;
}
interface Serializable extends Opaque {
  serialize(): Uint8Array;
}
/** What is used of libsignal. */
export interface Signal {
  readonly PrivateKey: { generate(): SignalPrivateKey };
  readonly IdentityKeyPair: new (publicKey: SignalPublicKey, privateKey: SignalPrivateKey) => Opaque;
  readonly KEMKeyPair: { generate(): { getPublicKey(): SignalPublicKey } };
  readonly ProtocolAddress: { new: (name: string, device: number) => Opaque };
  readonly PreKeyRecord: { new: (...fields: readonly unknown[]) => Opaque };
  readonly SignedPreKeyRecord: { new: (...fields: readonly unknown[]) => Opaque };
  readonly KyberPreKeyRecord: { new: (...fields: readonly unknown[]) => Opaque };
  readonly PreKeyBundle: { new: (...fields: readonly unknown[]) => Opaque };
  readonly PreKeySignalMessage: { deserialize(bytes: Uint8Array): Opaque };
  readonly SignalMessage: { deserialize(bytes: Uint8Array): Opaque };
  readonly SessionStore: new () => object;
  readonly IdentityKeyStore: new () => object;
  readonly PreKeyStore: new () => object;
  readonly SignedPreKeyStore: new () => object;
  readonly KyberPreKeyStore: new () => object;
  processPreKeyBundle(
    bundle: Opaque,
    to: Opaque,
    from: Opaque,
    sessions: object,
    identities: object,
  ): Promise<void>;
  signalEncrypt(
    message: Uint8Array,
    to: Opaque,
    from: Opaque,
    sessions: object,
    identities: object,
  ): Promise<Serializable>;
  signalDecrypt(
    message: Opaque,
    from: Opaque,
    to: Opaque,
    sessions: object,
    identities: object,
  ): Promise<Uint8Array>;
  signalDecryptPreKey(
    message: Opaque,
    from: Opaque,
    to: Opaque,
    sessions: object,
    identities: object,
    preKeys: object,
    signedPreKeys: object,
    kyberPreKeys: object,
  ): Promise<Uint8Array>;
}

/** A channel of vodozemac. */
interface EciesChannel {
  encrypt(message: string): string;
  decrypt(message: string): string;
  free(): void;
}
/** What is used of matrix-sdk-crypto-wasm. */
export interface Matrix {
  initAsync(): Promise<void>;
  readonly Ecies: new () => {
    public_key(): Opaque;
    establish_outbound_channel(
      key: Opaque,
      message: string,
    ): { readonly channel: EciesChannel; readonly initial_message: string };
    establish_inbound_channel(message: string): { readonly channel: EciesChannel; readonly message: string };
  };
}
