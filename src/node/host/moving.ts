/** A host on the network: performs what the rotation machine decides. Chapter: spec/06-rotation.md. */
import { create } from '@bufbuild/protobuf';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { RotationKind, RotationNoticeSchema } from '../../gen/clawchat/v1/rotation_pb.ts';
import { rollChannelKeys } from '../../protocol/channel-keys.ts';
import {
  type EpochKeys,
  type HostPlace,
  type HostRecord,
  makeHostRecord,
} from '../../protocol/host-record.ts';
import { deadline, rotation, step } from '../../protocol/rotation.ts';
import { movesAtMs } from '../../protocol/rotation-forecast.ts';
import { noticeFor } from '../../protocol/rotation-notice.ts';
import { PORT_ENTROPY_BYTES, PORT_RANGE } from '../../protocol/rotation-port.ts';
import { headOf, isOpen, placeOf } from '../../protocol/rotation-record.ts';
import type {
  Journal,
  Note,
  Notice,
  Rotation,
  RotationConfig,
  RotationInput,
  RotationOutput,
} from '../../protocol/rotation-state.ts';
import type { RotationState } from '../../protocol/rotation-storage.ts';
import { advertisedAddresses, systemReservedPorts } from '../address.ts';
import { clockOffset } from '../clock-check.ts';
import { asError, failure, systemCode } from '../failure.ts';
import { Listener, type TlsIdentity } from '../listen.ts';
import { native } from '../native.ts';
import { Alarm, readNow } from '../now.ts';
import type { HostCore } from './core.ts';
import type { ToldNotice } from './driver.ts';
import { freshEpochKeys, readTlsFiles, tlsIdentity } from './tls-identity.ts';

const ADDRESSES_MAX = 8;

/** What to do when the system lets nobody listen. */
const BIND_ADVICE: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: ': this machine has no such address; without --listen it takes every one that it has',
  EADDRINUSE: ': something else listens there; stop that, or name another port with --port',
  EACCES: ': this user may not listen there; name a port from 1024 on with --port',
};

/** What happens without anything being wrong. */
const NEWS: ReadonlySet<Note['what']> = new Set(['rotated', 'retired', 'emergency-ended', 'port-back']);

const KINDS: Readonly<Record<Notice['kind'], RotationKind>> = {
  move: RotationKind.MOVE,
  hold: RotationKind.HOLD,
  emergency: RotationKind.EMERGENCY,
  record: RotationKind.RECORD,
};

/** Runs the network side of a host until it is closed. */
export class Moving {
  readonly startedAtMs: number = Date.now();
  /** What else ends with it. */
  onClose: () => Promise<void> = async () => {};
  readonly #core: HostCore;
  readonly #place: HostPlace;
  readonly #alarm = new Alarm(() => this.#input({ kind: 'tick' }));
  readonly #listeners = new Map<number, Listener>();
  /** Keys of epochs that are decided, durable or not. */
  readonly #keys = new Map<number, EpochKeys>();
  #state: Rotation;
  #inputs: RotationInput[] = [];
  #running = false;
  #draining = false;
  #published = false;
  /** The operator's own. */
  #certificate: TlsIdentity | undefined;
  #closed = false;
  #ready: { resolve: () => void; reject: (why: unknown) => void } | undefined;

  private constructor(core: HostCore, config: RotationConfig, place: HostPlace) {
    this.#core = core;
    this.#place = place;
    this.#state = rotation(config);
    for (const keys of core.rotation?.keys ?? []) this.#keys.set(keys.accessKey.epoch, keys);
    core.onVerified = ({ sequence }) => this.#input({ kind: 'verified', sequence });
    core.noticeFor = (port, epoch) => this.#noticeFor(port, epoch);
  }

  /**
   * Bind, make the record durable, publish it, and serve; resolves when clients can come.
   *
   * @throws ClawChatError `NO_PORT`
   */
  static async open(core: HostCore): Promise<Moving> {
    const { options } = core;
    const reserved = await systemReservedPorts();
    const config: RotationConfig = {
      constants: options.constants,
      intervalMs: options.intervalMs,
      range: PORT_RANGE,
      reserved: reserved.map(({ first, last }) => ({ min: first, max: last })),
      fixedPort: options.port,
      isMapped: false,
    };
    const hosts = options.advertise.length > 0 ? options.advertise : advertisedAddresses(options.listen);
    const place = {
      addresses: hosts.slice(0, ADDRESSES_MAX),
      port: options.advertisePort,
      stores: core.storePlaces,
      isPinned: options.tls === undefined && (options.hops ?? []).length === 0,
    };
    const moving = new Moving(core, config, place);
    if (options.tls !== undefined) moving.#certificate = await readTlsFiles(options.tls);
    const ready = new Promise<void>((resolve, reject) => {
      moving.#ready = { resolve, reject };
    });
    moving.#input({ kind: 'start', journal: core.rotation?.journal });
    if (core.record !== undefined && !isSamePlace(core.record, place, options.port))
      moving.#input({ kind: 'changed' });
    // The port that people know stays as long as that was promised; the fixed one comes by the rules.
    const isResting = moving.#state.phase === 'resting' || moving.#state.phase === 'grace';
    if (isResting && options.port !== undefined && moving.port !== options.port)
      moving.#input({ kind: 'rotateNow' });
    core.history.add('started');
    try {
      await ready;
    } catch (error) {
      await moving.close();
      throw error;
    }
    return moving;
  }

  /** Where the host is now. */
  get port(): number {
    return (placeOf(this.#state, 'primary') ?? headOf(this.#state))?.port ?? 0;
  }

  /** Connections of all listeners that are not authenticated yet. */
  get strangers(): number {
    return [...this.#listeners.values()].reduce((sum, { strangers }) => sum + strangers, 0);
  }

  /** How many ports are open. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** What the record tells clients to dial. */
  get addresses(): readonly string[] {
    return this.#place.addresses;
  }

  /** The machine's state, for `status`. */
  get state(): Rotation {
    return this.#state;
  }

  /** When it moves next, as far as is known by now, Unix milliseconds. */
  get movesAtMs(): number {
    return Math.ceil(movesAtMs(this.#state, readNow()));
  }

  /** Rotate as soon as the rules allow. */
  rotate(): void {
    this.#input({ kind: 'rotateNow' });
  }

  /** Leave every earlier address. */
  emergency(isHard: boolean): void {
    this.#input({ kind: 'emergency', isHard });
  }

  /** Read the operator's certificate again, if there is one. */
  async reload(): Promise<void> {
    const { tls, log } = this.#core.options;
    if (tls === undefined) return;
    try {
      this.#certificate = await readTlsFiles(tls);
      for (const listener of this.#listeners.values()) listener.setIdentity(this.#certificate);
      log.info('certificate-read', { file: tls.certificate });
    } catch (error) {
      log.error('certificate-refused', { why: asError(error) });
    }
  }

  /**
   * Accept nobody any more, finish what is under way, and tell sessions to come back later. Resolves when all of them
   * have taken leave; what comes after `close` is as before.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#alarm.set(undefined);
    for (const listener of this.#listeners.values()) listener.stopAccepting();
    await this.#core.settled();
    await this.#core.driver.shutDown();
  }

  /** Stop: sessions are told that they can be resumed, then the ports are freed. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#core.history.add('stopped');
    this.#alarm.set(undefined);
    this.#core.onVerified = () => {};
    this.#core.noticeFor = () => undefined;
    this.#core.driver.close();
    await Promise.all([this.onClose(), ...[...this.#listeners.values()].map(listener => listener.close())]);
  }

  // ---- the machine ----

  /** One input behind the other: what an output gives back waits for the outputs beside it. */
  #input(input: RotationInput): void {
    this.#inputs.push(input);
    if (this.#running || this.#draining || this.#closed) return;
    this.#running = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      const [state, outputs] = step(this.#state, next, readNow());
      this.#state = state;
      for (const output of outputs) this.#perform(output);
    }
    this.#running = false;
    this.#alarm.set(deadline(this.#state));
    if (this.#published && isOpen(this.#state, this.port)) {
      this.#ready?.resolve();
      this.#ready = undefined;
    }
  }

  #perform(output: RotationOutput): void {
    const { driver } = this.#core;
    switch (output.kind) {
      case 'commit':
        this.#commit(output.id, output.journal);
        break;
      case 'draw':
        this.#input({ kind: 'drawn', entropy: native.randomBytes(PORT_ENTROPY_BYTES) });
        break;
      case 'listen':
        void this.#listen(output.port, output.epoch);
        break;
      case 'unlisten':
        this.#unlisten(output.port);
        break;
      case 'swapTls': {
        const keys = this.#keys.get(output.epoch);
        if (keys !== undefined && this.#certificate === undefined)
          this.#listeners.get(output.port)?.setIdentity(tlsIdentity(keys.tlsKey));
        break;
      }
      case 'map':
      case 'unmap':
        // `isMapped` is false: the machine does not ask.
        break;
      case 'publish':
        this.#core.options.log.info('record-publishing', { sequence: output.record.sequence });
        void this.#core.publish();
        this.#published = true;
        break;
      case 'notify':
        this.#notify(output.notice);
        break;
      case 'setPrimary':
        // `port` is derived from the state.
        break;
      case 'retire':
        driver.step({ kind: 'endEpoch', epoch: output.epoch });
        this.#keys.delete(output.epoch);
        break;
      case 'checkClock':
        void this.#checkClock();
        break;
      case 'note':
        this.#note(output.note);
    }
  }

  /** The journal, the keys of a new epoch and a new record become durable in one step. @impl RT-101~1, CF-022~1 */
  #commit(id: number, journal: Journal): void {
    const core = this.#core;
    const { constants } = core.options;
    const wallMs = Date.now();
    for (const { epoch } of journal.places) {
      if (!this.#keys.has(epoch)) this.#keys.set(epoch, freshEpochKeys(epoch, wallMs));
    }
    const fresh = [native.randomBytes(32), native.randomBytes(32)] as const;
    const before = core.rotation?.channelKeys;
    const isNew =
      journal.record !== undefined && journal.record.sequence !== core.rotation?.journal.record?.sequence;
    const channelKeys =
      isNew || before === undefined ? rollChannelKeys(native, constants, before, fresh, wallMs) : before;
    const record =
      isNew && journal.record !== undefined
        ? makeHostRecord(native, journal.record, {
            identity: core.identity,
            keys: [...this.#keys.values()],
            channelKeys,
            place: this.#place,
          })
        : core.record;
    const keys = journal.places.flatMap(({ epoch }) => this.#keys.get(epoch) ?? []);
    const state: RotationState = { journal, keys, channelKeys, payload: record?.payload };
    core.commitRotation(state, record).then(
      () => {
        for (const { accessKey } of keys) core.driver.step({ kind: 'acceptEpoch', accessKey });
        this.#input({ kind: 'committed', id });
      },
      reason => {
        core.options.log.error('rotation-not-stored', { why: asError(reason) });
        this.#input({ kind: 'commitFailed', id });
      },
    );
  }

  async #listen(port: number, epoch: number): Promise<void> {
    const { options, driver } = this.#core;
    const keys = this.#keys.get(epoch);
    if (keys === undefined) throw failure(ErrorCode.INTERNAL, `no keys of epoch ${epoch}`);
    const identity = this.#certificate ?? tlsIdentity(keys.tlsKey);
    const host = options.listen ?? '::';
    const hops = new Set(options.hops);
    try {
      const listener = await Listener.open({ host, port, identity, hops }, driver);
      if (this.#closed || this.#draining) {
        await listener.close();
        return;
      }
      this.#listeners.set(port, listener);
      this.#input({ kind: 'bound', port });
    } catch (cause) {
      const code = systemCode(cause) ?? 'unknown';
      options.log.warn('bind-failed', { port, code });
      const isTaken = code === 'EADDRINUSE' || code === 'EACCES';
      if (this.#ready !== undefined && (options.port !== undefined || !isTaken)) {
        const what = `cannot listen on ${host} port ${port} (${code})`;
        this.#ready.reject(failure(ErrorCode.NO_PORT, `${what}${BIND_ADVICE[code] ?? ''}`, cause));
        return;
      }
      this.#input({ kind: 'bindFailed', port });
    }
  }

  /** Without a time server nobody can tell. */
  async #checkClock(): Promise<void> {
    const { timeServer, log } = this.#core.options;
    const offsetMs = timeServer === undefined ? undefined : await clockOffset(timeServer);
    if (timeServer !== undefined && offsetMs === undefined)
      log.warn('time-server-silent', { server: timeServer });
    this.#input({ kind: 'clockChecked', offsetMs });
  }

  #unlisten(port: number): void {
    const listener = this.#listeners.get(port);
    this.#listeners.delete(port);
    this.#core.driver.endPaths(port);
    listener?.close().catch(() => undefined);
  }

  #notify(notice: Notice): void {
    const { driver } = this.#core;
    const head = headOf(this.#state);
    if (head === undefined) return;
    const told = this.#told(notice);
    if (notice.kind === 'record') driver.notifyRecord(told);
    else driver.notify(told, (port, epoch) => port !== head.port || epoch !== head.epoch);
  }

  #noticeFor(port: number, epoch: number): ToldNotice | undefined {
    const notice = noticeFor(this.#state, { port, epoch }, readNow());
    return notice === undefined ? undefined : this.#told(notice);
  }

  #told({ kind, rotatesInMs, oldEndsInMs, sequence }: Notice): ToldNotice {
    const record = sequence === undefined ? undefined : this.#core.record;
    const notice = create(RotationNoticeSchema, {
      kind: KINDS[kind],
      rotatesInMs,
      oldEndsInMs,
      ...(record === undefined ? {} : { envelope: record.envelope }),
    });
    return { notice, sequence: record?.record.sequence ?? 0 };
  }

  #note(note: Note): void {
    const { log } = this.#core.options;
    this.#core.driver.counts.rotation.add(note.what);
    const { what, ...fields } = note;
    this.#core.history.add(what, fields);
    if (NEWS.has(what)) log.info(what, fields);
    else log.warn(what, fields);
    // A slow start with a port on its way, or with one that people know, goes on.
    const isPortless = this.#state.record === undefined && placeOf(this.#state, 'next') === undefined;
    if (note.what === 'held' && note.why === 'no-port' && isPortless)
      this.#ready?.reject(failure(ErrorCode.NO_PORT, 'no port of the range could be had'));
  }
}

/** Whether a record says this of addresses, ports, pins and stores. */
function isSamePlace({ record }: HostRecord, place: HostPlace, fixedPort: number | undefined): boolean {
  const listed = [...new Set(record.endpoints.map(({ host }) => host))];
  const ports = record.endpoints.every(({ port }) => port === (place.port ?? fixedPort ?? port));
  return (
    ports &&
    record.tlsPins.length > 0 === place.isPinned &&
    JSON.stringify(listed) === JSON.stringify([...new Set(place.addresses)]) &&
    JSON.stringify(record.stores) === JSON.stringify(place.stores)
  );
}
