/** A host on the network: its listener and the renewal of its record. Chapter: spec/06-rotation.md. */
import { create } from '@bufbuild/protobuf';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { RotationKind, RotationNoticeSchema } from '../../gen/clawchat/v1/rotation_pb.ts';
import { CLOCK_STEP_MS, PREAUTH_CONNECTIONS_MAX } from '../../gen/constants.ts';
import { responderKeys } from '../../protocol/channel-keys.ts';
import type { Place, Renewal, RenewalContext } from '../../protocol/record-maker.ts';
import {
  deadline,
  type FreshKeys,
  isDatabaseOld,
  type RenewalInput,
  type RenewalOutput,
  stepRenewal,
} from '../../protocol/renewal.ts';
import { advertisedAddresses, bindPort, systemReservedPorts } from '../address.ts';
import { makeCertificate } from '../certificate.ts';
import { failure, systemCode } from '../failure.ts';
import { Listener, type TlsIdentity } from '../listen.ts';
import { native } from '../native.ts';
import { Alarm, readNow } from '../now.ts';
import type { HostCore } from './core.ts';
import { fromPem, tlsIdentity } from './tls-identity.ts';

/** How long stores have to answer when a host starts. */
const SURVEY_MS = 10_000;
/** How often both clocks are compared. */
const CLOCK_LOOK_MS = 1000;

/** What a host that has just become ready says. */
export interface Ready {
  readonly serverId: Uint8Array;
  readonly port: number;
  readonly addresses: readonly string[];
}

/** Runs the network side of a host until it is closed. */
export class Serving {
  readonly startedAtMs: number = Date.now();
  readonly #core: HostCore;
  readonly #context: RenewalContext;
  readonly #listener: Listener;
  readonly #place: Place;
  readonly #alarm = new Alarm(() => this.#due());
  readonly #clock: NodeJS.Timeout;
  #skew: number;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(core: HostCore, listener: Listener, place: Place) {
    const { constants } = core.options;
    this.#core = core;
    this.#listener = listener;
    this.#place = place;
    this.#context = {
      suite: native,
      constants,
      identity: core.identity,
      intervalMs: constants.ROTATION_INTERVAL_MS,
    };
    this.#skew = skew();
    this.#clock = setInterval(() => this.#lookAtClock(), CLOCK_LOOK_MS);
    core.onVerified = name => void this.#step({ kind: 'verified', name });
  }

  /**
   * Bind, make the record durable, publish it, and serve.
   *
   * @throws ClawChatError `NO_PORT`; `DATABASE_OLD` when a store holds a newer record of this host.
   */
  static async open(core: HostCore): Promise<Serving> {
    await refuseOldDatabase(core);
    const fresh = freshKeys();
    const identity = tlsIdentity(core.renewal?.tlsKey ?? fresh.tlsKey);
    const listener = await listen(core, identity);
    const place = placeOf(core, listener.port);
    const serving = new Serving(core, listener, place);
    await serving.#step({ kind: 'start', place, fresh });
    return serving;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** What the record tells clients to dial. */
  get addresses(): readonly string[] {
    return this.#place.addresses.map(({ host }) => host);
  }

  /** Stop: sessions are told that they can be resumed, then the port is freed. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#clock);
    this.#alarm.set(undefined);
    this.#core.onVerified = () => {};
    await this.#work.catch(() => undefined);
    this.#core.driver.close();
    await this.#listener.close();
  }

  /** One step behind the other: a commit is awaited before anything that follows from it. */
  #step(input: RenewalInput): Promise<void> {
    this.#work = this.#work.then(async () => {
      if (this.#closed) return;
      const [, outputs] = stepRenewal(this.#context, this.#core.renewal, input, Date.now());
      for (const output of outputs) await this.#perform(output);
      this.#schedule();
    });
    // Nobody but close() waits for most steps.
    this.#work.catch(reason => this.#core.options.log.error('renewal-failed', { why: asError(reason) }));
    return this.#work;
  }

  async #perform(output: RenewalOutput): Promise<void> {
    const { driver, options } = this.#core;
    switch (output.kind) {
      case 'commit':
        await this.#core.commitRenewal(output.renewal);
        this.#tell(output.renewal);
        break;
      case 'acceptEpoch':
        driver.step({ kind: 'acceptEpoch', accessKey: output.accessKey });
        break;
      case 'endEpoch':
        driver.step({ kind: 'endEpoch', epoch: output.epoch });
        break;
      case 'presentTls':
        this.#listener.setIdentity(tlsIdentity(output.tlsKey));
        break;
      case 'publish':
        this.#tell(output.renewal);
        void this.#core.publish();
        options.log.info('record-published', { sequence: output.renewal.sequence });
        break;
      case 'notify':
        this.#notify(RotationKind.MOVE, output.rotationAtMs, output.oldEndsAtMs);
        break;
      case 'held':
        this.#notify(
          RotationKind.HOLD,
          output.rotationAtMs,
          output.rotationAtMs + options.constants.RETIRE_MS,
        );
        options.log.warn('renewal-held', { why: 'no store was verified to hold the new record' });
    }
  }

  #tell({ envelope, channelKeys }: Renewal): void {
    const keys = responderKeys(channelKeys, Date.now()).map(({ privateKey }) => privateKey);
    this.#core.driver.step({ kind: 'record', envelope, channelKeys: keys });
  }

  #notify(kind: RotationKind, rotationAtMs: number, oldEndsAtMs: number): void {
    const now = Date.now();
    const envelope = kind === RotationKind.HOLD ? new Uint8Array(0) : this.#core.renewal?.envelope;
    const notice = create(RotationNoticeSchema, {
      kind,
      rotatesInMs: Math.max(0, rotationAtMs - now),
      oldEndsInMs: Math.max(0, oldEndsAtMs - now),
      ...(envelope === undefined ? {} : { envelope }),
    });
    this.#core.driver.step({ kind: 'notify', notice });
  }

  /** The schedule is by the wall clock; a look each ten seconds bounds what a step of it can hide. */
  #schedule(): void {
    const { renewal } = this.#core;
    if (renewal === undefined || this.#closed) return;
    const now = readNow();
    const waitMs = Math.max(0, deadline(this.#context, renewal).atMs - now.wall);
    this.#alarm.set(now.mono + Math.min(waitMs, 10_000));
  }

  #due(): void {
    const { renewal } = this.#core;
    if (renewal === undefined) return;
    if (deadline(this.#context, renewal).atMs > Date.now()) this.#schedule();
    else void this.#step({ kind: 'due', fresh: freshKeys() });
  }

  /** A suspended machine's monotonic clock stands still, and a corrected clock jumps. @impl RT-005~1 */
  #lookAtClock(): void {
    const deltaMs = skew() - this.#skew;
    if (Math.abs(deltaMs) <= CLOCK_STEP_MS) return;
    this.#skew += deltaMs;
    this.#core.options.log.warn('clock-changed', { by_ms: Math.round(deltaMs) });
    void this.#step({ kind: 'clock', deltaMs });
  }
}

function skew(): number {
  return Date.now() - performance.now();
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** A restored backup would speak with the voice of the past: it serves nobody. */
async function refuseOldDatabase(core: HostCore): Promise<void> {
  for (const seen of await core.publisher.survey(SURVEY_MS)) {
    if (seen === undefined || !isDatabaseOld(native, core.renewal, seen)) continue;
    throw failure(
      ErrorCode.DATABASE_OLD,
      `a store holds record ${seen.sequence} of this host, and its database knows ${core.renewal?.sequence ?? 'none'}: it was restored from a backup, or two hosts share one identity`,
    );
  }
}

/** Listen on the port that unexpired records name, or else on a new one. */
async function listen(core: HostCore, identity: TlsIdentity): Promise<Listener> {
  const { options, renewal, driver } = core;
  const host = options.listen ?? '::';
  const open = (port: number): Promise<Listener> =>
    Listener.open({ host, port, identity, preauthConnectionsMax: PREAUTH_CONNECTIONS_MAX }, driver);
  const wanted = options.port ?? renewal?.record.endpoints[0]?.port;
  if (wanted !== undefined) {
    try {
      return await open(wanted);
    } catch (cause) {
      const code = systemCode(cause) ?? 'unknown';
      if (options.port !== undefined)
        throw failure(ErrorCode.NO_PORT, `cannot listen on port ${wanted} (${code})`, cause);
      options.log.warn('port-lost', { port: wanted, code });
    }
  }
  const random = (bytes: number): Uint8Array => native.randomBytes(bytes);
  return (await bindPort({ listen: open, random, excluded: await systemReservedPorts() })).listener;
}

function placeOf(core: HostCore, port: number): Place {
  const { advertise, listen: address } = core.options;
  const hosts = advertise.length > 0 ? advertise : advertisedAddresses(address);
  return {
    addresses: hosts.slice(0, 16).map(host => ({ host, port })),
    stores: core.storePlaces,
    isPinned: true,
  };
}

function freshKeys(): FreshKeys {
  const { cert, key, spkiSha256 } = makeCertificate(native, Date.now());
  return {
    accessKey: native.randomBytes(32),
    channelKeys: [native.randomBytes(32), native.randomBytes(32)],
    tlsKey: { pkcs8: fromPem(key), certificate: fromPem(cert), spkiPin: spkiSha256 },
  };
}
