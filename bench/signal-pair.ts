/** Two people who talk through libsignal, with stores in memory as its users have them (bench/README.md). */
import { importPeer, type Opaque, type Signal } from './peer-packages.ts';

const REGISTRATION = 5;
const DEVICE = 1;
const TRUSTED = true;
const UNCHANGED = 0;

/** One of them: an identity, and stores that hold what libsignal hands over. */
class Person {
  readonly address: Opaque;
  readonly sessions: object;
  readonly identities: object;
  readonly preKeys: object;
  readonly signedPreKeys: object;
  readonly kyberPreKeys: object;
  readonly #signal: Signal;
  readonly #kept = new Map<string, Opaque>();
  readonly #identity: ReturnType<Signal['PrivateKey']['generate']>;

  constructor(signal: Signal, name: string) {
    this.#signal = signal;
    this.#identity = signal.PrivateKey.generate();
    this.address = signal.ProtocolAddress.new(name, DEVICE);
    const kept = this.#kept;
    const identity = this.#identity;
    const store = (of: string) => ({
      put: (id: unknown, value: Opaque): Promise<void> => {
        kept.set(`${of} ${String(id)}`, value);
        return Promise.resolve();
      },
      get: (id: unknown): Promise<Opaque | null> => Promise.resolve(kept.get(`${of} ${String(id)}`) ?? null),
    });
    const sessions = store('session');
    // One session is all that each has.
    this.sessions = Object.assign(new signal.SessionStore(), {
      saveSession: (_name: Opaque, record: Opaque) => sessions.put('', record),
      getSession: () => sessions.get(''),
      getExistingSessions: async () => [await sessions.get('')],
    });
    this.identities = Object.assign(new signal.IdentityKeyStore(), {
      getIdentityKey: () => Promise.resolve(identity),
      getIdentityKeyPair: () =>
        Promise.resolve(new signal.IdentityKeyPair(identity.getPublicKey(), identity)),
      getLocalRegistrationId: () => Promise.resolve(REGISTRATION),
      saveIdentity: () => Promise.resolve(UNCHANGED),
      isTrustedIdentity: () => Promise.resolve(TRUSTED),
      getIdentity: () => Promise.resolve(null),
    });
    const preKeys = store('pre-key');
    this.preKeys = Object.assign(new signal.PreKeyStore(), {
      savePreKey: preKeys.put,
      getPreKey: preKeys.get,
      removePreKey: () => Promise.resolve(),
    });
    const signed = store('signed pre-key');
    this.signedPreKeys = Object.assign(new signal.SignedPreKeyStore(), {
      saveSignedPreKey: signed.put,
      getSignedPreKey: signed.get,
    });
    const kyber = store('kyber pre-key');
    this.kyberPreKeys = Object.assign(new signal.KyberPreKeyStore(), {
      saveKyberPreKey: kyber.put,
      getKyberPreKey: kyber.get,
      markKyberPreKeyUsed: () => Promise.resolve(),
    });
  }

  /** Keys for somebody who wants to begin, as a server would hand them out. */
  bundle(): Opaque {
    const { PrivateKey, KEMKeyPair, PreKeyRecord, SignedPreKeyRecord, KyberPreKeyRecord, PreKeyBundle } =
      this.#signal;
    const identity = this.#identity;
    const once = PrivateKey.generate();
    const signed = PrivateKey.generate();
    const kyber = KEMKeyPair.generate();
    const signature = identity.sign(signed.getPublicKey().serialize());
    const kyberSignature = identity.sign(kyber.getPublicKey().serialize());
    const now = Date.now();
    this.#kept.set('pre-key 1', PreKeyRecord.new(1, once.getPublicKey(), once));
    this.#kept.set(
      'signed pre-key 1',
      SignedPreKeyRecord.new(1, now, signed.getPublicKey(), signed, signature),
    );
    this.#kept.set('kyber pre-key 1', KyberPreKeyRecord.new(1, now, kyber, kyberSignature));
    return PreKeyBundle.new(
      REGISTRATION,
      DEVICE,
      1,
      once.getPublicKey(),
      1,
      signed.getPublicKey(),
      signature,
      identity.getPublicKey(),
      1,
      kyber.getPublicKey(),
      kyberSignature,
    );
  }

  forget(): void {
    this.#kept.clear();
  }
}

/** Ann begins, Bob answers. */
export class SignalPair {
  readonly #signal: Signal;
  readonly #ann: Person;
  readonly #bob: Person;
  readonly #bundle: Opaque;

  private constructor(signal: Signal) {
    this.#signal = signal;
    this.#ann = new Person(signal, 'ann');
    this.#bob = new Person(signal, 'bob');
    this.#bundle = this.#bob.bundle();
  }

  static async make(): Promise<SignalPair> {
    return new SignalPair(await importPeer<Signal>('@signalapp/libsignal-client'));
  }

  /** A new session from Bob's bundle, its first message, and an answer, so that both have what the other needs. */
  async handshake(): Promise<void> {
    const { processPreKeyBundle, signalEncrypt, signalDecryptPreKey, PreKeySignalMessage } = this.#signal;
    const ann = this.#ann;
    const bob = this.#bob;
    ann.forget();
    await processPreKeyBundle(this.#bundle, bob.address, ann.address, ann.sessions, ann.identities);
    const first = await signalEncrypt(
      new Uint8Array(1),
      bob.address,
      ann.address,
      ann.sessions,
      ann.identities,
    );
    await signalDecryptPreKey(
      PreKeySignalMessage.deserialize(first.serialize()),
      ann.address,
      bob.address,
      bob.sessions,
      bob.identities,
      bob.preKeys,
      bob.signedPreKeys,
      bob.kyberPreKeys,
    );
    await this.#send(bob, ann, new Uint8Array(1));
  }

  /** One message from Ann to Bob. */
  message(bytes: Uint8Array): Promise<void> {
    return this.#send(this.#ann, this.#bob, bytes);
  }

  async #send(from: Person, to: Person, bytes: Uint8Array): Promise<void> {
    const { signalEncrypt, signalDecrypt, SignalMessage } = this.#signal;
    const sent = await signalEncrypt(bytes, to.address, from.address, from.sessions, from.identities);
    const message = SignalMessage.deserialize(sent.serialize());
    await signalDecrypt(message, from.address, to.address, to.sessions, to.identities);
  }
}
