/**
 * Attacks on freshness, through the client's and the host's own code and with real files. Each gives whether the attacker
 * got what it wanted; freshness.test.ts also runs them with their defence removed (spec/02-threats.md, T-05, T-08, T-14).
 */
import { type ReadInput, type ReadOutput, reading, stepReading } from '../../src/discovery/reading.ts';
import { judge, type OpenedFile, opener } from '../../src/discovery/verdict.ts';
import { CHANNEL_KEY_MARGIN_MS, SEQUENCE_MAX, STANDARD } from '../../src/gen/constants.ts';
import { permit } from '../../src/node/host/survey.ts';
import { native } from '../../src/node/native.ts';
import { openFile, sealFile } from '../../src/protocol/connection-file.ts';
import { type ConnectionRecord, encodeRecord } from '../../src/protocol/connection-record.ts';
import { parseEnvelope, signRecord } from '../../src/protocol/envelope.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { acceptEnvelope, type Held, trusting } from '../../src/protocol/freshness.ts';
import { nextIdentityHash, recordHash, serverId } from '../../src/protocol/keys.ts';
import { makeSuccession, type Succession } from '../../src/protocol/succession.ts';
import { asciiBytes } from '../../src/wire/bytes.ts';

const NOW = 1_800_000_000_000;
const STORE = 'store';
const seedOf = (name: string): Uint8Array => native.sha256(asciiBytes(name));
const FILE_KEY = seedOf('file key of the device');

/** A host with the seeds of its identity, one after the other. */
interface Host {
  readonly serverId: Uint8Array;
  readonly seeds: readonly Uint8Array[];
}

function hostNamed(name: string): Host {
  const seeds = [0, 1, 2].map(index => seedOf(`${name} ${index}`));
  return { serverId: serverId(native, native.ed25519Public(seeds[0] ?? FILE_KEY)), seeds };
}

const HOST = hostNamed('host');
const publicOf = ({ seeds }: Host, index: number): Uint8Array =>
  native.ed25519Public(seeds[index] ?? FILE_KEY);

interface Making {
  readonly port?: number;
  /** Which identity signs. */
  readonly identity?: number;
  readonly server?: Uint8Array;
  readonly chain?: readonly Succession[];
}

function payload(
  host: Host,
  sequence: number,
  { port = 50_000, identity = 0, server }: Making = {},
): Uint8Array {
  const record: ConnectionRecord = {
    protocolVersion: 1,
    serverId: server ?? host.serverId,
    epoch: 1,
    sequence,
    issuedAtMs: NOW,
    nextRotationMs: NOW + 3_600_000,
    validUntilMs: NOW + 3_900_000,
    endpoints: [{ host: '127.0.0.1', port, notBeforeMs: 1, notAfterMs: 2 }],
    channelKeys: [{ publicKey: seedOf('channel'), notAfterMs: NOW + 3_900_000 + CHANNEL_KEY_MARGIN_MS }],
    tlsPins: [],
    accessKeys: [{ epoch: 1, key: seedOf('access') }],
    nextIdentityHash: nextIdentityHash(native, publicOf(host, identity + 1)),
    suites: [1],
    stores: [],
  };
  return encodeRecord(record);
}

function seal(envelope: Uint8Array): Uint8Array {
  const file = sealFile(native, { envelope, recipients: [FILE_KEY] });
  if (isFault(file)) throw new Error(file.detail);
  return file;
}

function fileOf(host: Host, sequence: number, making: Making = {}): Uint8Array {
  const { identity = 0, chain = [] } = making;
  return seal(signRecord(native, host.seeds[identity] ?? FILE_KEY, payload(host, sequence, making), chain));
}

/** A device with its reader of one store, as `clawchat` drives them. */
class Device {
  held: Held = trusting({
    serverId: HOST.serverId,
    identity: publicOf(HOST, 0),
    nextIdentityHash: undefined,
  });
  at = 0;
  warnings: string[] = [];
  #state = reading([STORE], {
    readBeforeDialMs: STANDARD.READ_BEFORE_DIAL_MS,
    readAgainMs: STANDARD.STORE_READ_AGAIN_MS,
  });

  /** Look for the host while the store gives this file. */
  look(file: Uint8Array): void {
    const { newest } = this.held;
    const known = newest && { ...newest, nextRotationMs: 0 };
    this.#step({ kind: 'start', held: known }, file);
  }

  /** The host has answered, and named what it has verified. */
  connected(witness: { readonly sequence: number; readonly hash: Uint8Array }, file: Uint8Array): void {
    this.#step({ kind: 'connected', witness }, file);
  }

  /** A while passes. */
  wait(ms: number, file: Uint8Array): void {
    this.at += ms;
    this.#step({ kind: 'wake', entropy: 0 }, file);
  }

  #step(input: ReadInput<OpenedFile>, file: Uint8Array): void {
    const [state, outputs] = stepReading(this.#state, input, { wall: NOW + this.at, mono: this.at });
    this.#state = state;
    for (const output of outputs) this.#perform(output, file);
  }

  #perform(output: ReadOutput<OpenedFile>, file: Uint8Array): void {
    if (output.kind === 'read') {
      const open = opener(native, FILE_KEY, this.held.trust);
      const verdict = judge({ kind: 'file', bytes: file, others: [] }, open);
      if (verdict.kind === 'invalid') this.warnings.push(verdict.fault.detail);
      this.#step({ kind: 'answer', key: STORE, attempt: output.attempt, verdict, entropy: 0 }, file);
    } else if (output.kind === 'accept') {
      const acceptance = acceptEnvelope(native, this.held, output.record.envelope, NOW);
      if (acceptance.kind === 'accepted') this.held = acceptance.held;
    } else if (output.kind === 'stale' || output.kind === 'equivocation') {
      this.warnings.push(output.kind);
    }
  }

  get sequence(): number {
    return this.held.newest?.sequence ?? 0;
  }
  get port(): number {
    return this.held.newest?.record.endpoints[0]?.port ?? 0;
  }
}

const device = (...files: readonly Uint8Array[]): Device => {
  const made = new Device();
  for (const file of files) made.look(file);
  return made;
};

/** By name: true when the attacker succeeds. */
export const attacks: Readonly<Record<string, () => boolean>> = {
  /** A store hands out an old record to bring the device back to an old address. */
  rollback: () => {
    const made = device(fileOf(HOST, 5, { port: 50_005 }));
    made.look(fileOf(HOST, 4, { port: 50_004 }));
    return made.port === 50_004;
  },
  /** A store goes on showing what it had, and nobody is told. */
  freeze: () => {
    const old = fileOf(HOST, 5);
    const made = device(old);
    made.connected({ sequence: 6, hash: seedOf('six') }, old);
    for (let looks = 0; looks < 5; looks += 1) made.wait(STANDARD.STORE_READ_AGAIN_MS, old);
    return !made.warnings.includes('stale');
  },
  /** Two records with one number, one for each half of the devices, and nobody is told. */
  equivocation: () => {
    const made = device(fileOf(HOST, 5, { port: 50_005 }));
    made.look(fileOf(HOST, 5, { port: 50_999 }));
    return made.port === 50_999 || !made.warnings.includes('equivocation');
  },
  /** A store invents a far higher number. */
  'fast-forward by a stranger': () => {
    const made = device(fileOf(HOST, 5));
    made.look(seal(signRecord(native, seedOf('thief'), payload(HOST, SEQUENCE_MAX, { port: 50_999 }), [])));
    return made.port === 50_999;
  },
  /** A thief of the old identity key uses up all numbers, so that the device refuses its own host for ever. */
  'fast-forward by a thief': () => {
    const made = device(fileOf(HOST, 5));
    made.look(fileOf(HOST, SEQUENCE_MAX, { port: 50_999 }));
    const chain = [succession(6)];
    made.look(fileOf(HOST, 6, { port: 50_006, identity: 1, chain }));
    return made.port !== 50_006;
  },
  /** Somebody inside, who has the content key, puts a payload of today under a signature of yesterday. */
  'mix-and-match': () => {
    const made = device(fileOf(HOST, 5, { port: 50_005 }));
    const old = parseEnvelope(signRecord(native, HOST.seeds[0] ?? FILE_KEY, payload(HOST, 5), []));
    const fresh = payload(HOST, 6, { port: 50_999 });
    const own = parseEnvelope(signRecord(native, seedOf('somebody inside'), fresh, []));
    if (isFault(old) || isFault(own)) throw new Error('no envelope');
    const bytes = own.bytes.slice();
    const at = Buffer.from(bytes).indexOf(Buffer.from(own.signature));
    bytes.set(old.signature, at);
    made.look(seal(bytes));
    return made.port === 50_999;
  },
  /** The header of one file before the sealed part of another of the same host. */
  'mix-and-match of halves': () => {
    const [one, two] = [fileOf(HOST, 5), fileOf(HOST, 6)];
    const split = (file: Uint8Array): number =>
      Buffer.from(file).lastIndexOf(Buffer.from([0x12, 0x90, 0x04]));
    const at = split(one);
    if (at < 0 || at !== split(two)) throw new Error('the halves are not where they should be');
    const spliced = Uint8Array.from([...one.subarray(0, at), ...two.subarray(at)]);
    return !isFault(openFile(native, spliced, FILE_KEY));
  },
  /** A record of another host whose operator used one identity key for both. */
  "replay of another host's file": () => {
    const made = device(fileOf(HOST, 5));
    made.look(fileOf(HOST, 6, { port: 50_999, server: hostNamed('other').serverId }));
    return made.port === 50_999;
  },
  /** A host that was restored from a backup goes on as if nothing had happened. */
  'a restored backup': () => {
    const known = { sequence: 41, hash: seedOf('41'), validUntilMs: NOW + 1 };
    const envelope = parseEnvelope(signRecord(native, HOST.seeds[0] ?? FILE_KEY, payload(HOST, 57), []));
    if (isFault(envelope)) throw new Error(envelope.detail);
    const record = { sequence: 57, hash: recordHash(native, envelope.payload), moved: false, envelope };
    const verdict = { kind: 'record' as const, record, bytes: envelope.bytes };
    return permit(known, [{ name: STORE, verdict, isSuperseded: false }], NOW).kind === 'serve';
  },
};

function succession(sequenceFloor: number): Succession {
  const [oldSeed = FILE_KEY, newSeed = FILE_KEY] = HOST.seeds;
  return makeSuccession(native, {
    serverId: HOST.serverId,
    chain: [],
    oldSeed,
    newSeed,
    nextIdentityHash: nextIdentityHash(native, publicOf(HOST, 2)),
    sequenceFloor,
  });
}
