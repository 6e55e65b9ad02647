/** Owns a host's data directory: answers the control socket, serving or not. Chapter: spec/12-control.md. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ControlPlaceSchema } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { RegisteredDevice } from '../protocol/registry.ts';
import { placeEnd } from '../protocol/rotation-forecast.ts';
import type { RequestBody, ResponseInit } from './control.ts';
import { failure } from './failure.ts';
import { HostCore } from './host/core.ts';
import { toStored } from './host/history.ts';
import { isNextIdentityExported, moveNextIdentity } from './host/identity.ts';
import { invite, listInvites, withdraw } from './host/invites.ts';
import { Moving } from './host/moving.ts';
import { openMetrics } from './host/open-metrics.ts';
import type { HostOptions } from './host/options.ts';
import { listRooms, operate, ownerAct, personName, revoke } from './host/rooms.ts';
import { readNow } from './now.ts';
import type { Owner } from './owner.ts';
import { expiryWarning } from './stores/open.ts';

/** What a host that has just become ready says. */
export interface Ready {
  readonly serverId: Uint8Array;
  readonly port: number;
  readonly addresses: readonly string[];
}

/** The owner of a host's data directory. */
export class HostOwner implements Owner {
  readonly core: HostCore;
  #serving: Moving | undefined;
  readonly #stop: () => void;
  /** Why it does not serve yet. */
  waitsFor: string | undefined;

  constructor(core: HostCore, stop: () => void) {
    this.core = core;
    this.#stop = stop;
  }

  /** Go on the network; resolves when clients can come. */
  async serve(): Promise<Ready> {
    this.waitsFor = undefined;
    const serving = await Moving.open(this.core);
    await openMetrics(this.core, serving);
    this.#serving = serving;
    const { port, addresses } = serving;
    return { serverId: this.core.identity.serverId, port, addresses };
  }

  get moving(): Moving | undefined {
    return this.#serving;
  }

  async answer(request: RequestBody, signal: AbortSignal): Promise<ResponseInit> {
    switch (request.case) {
      case 'status':
        return this.#status();
      case 'settings':
        return this.#settings();
      case 'devices':
        return this.#devices();
      case 'invite':
        return invite(this.core, this.#serving !== undefined, request.value);
      case 'invites':
        return listInvites(this.core);
      case 'withdraw':
        return withdraw(this.core, Buffer.from(request.value.inviteId).toString('hex'));
      case 'revoke':
        return revoke(this.core, Buffer.from(request.value.deviceId).toString('hex'));
      case 'rooms':
        return listRooms(this.core, request.value.counts, signal);
      case 'roomDelete':
        return operate(this.core, request.value.room, { kind: 'remove' });
      case 'roomOwner':
        return operate(this.core, request.value.room, ownerAct(request.value.personId));
      case 'roomKeep': {
        const keepMs = Number(request.value.keepMs);
        return operate(this.core, request.value.room, { kind: 'keep', keepMs });
      }
      case 'rotate':
        this.#onNetwork().rotate();
        return this.#rotating();
      case 'emergency':
        this.#onNetwork().emergency(request.value.hard);
        return this.#rotating();
      case 'stop':
        // The answer leaves before the socket goes.
        setImmediate(this.#stop);
        return { case: 'stopping', value: {} };
      default:
        throw failure(ErrorCode.USAGE, `a host does not answer "${request.case}"`);
    }
  }

  async close(): Promise<void> {
    await this.#serving?.close();
    await this.core.close();
  }

  #onNetwork(): Moving {
    if (this.#serving !== undefined) return this.#serving;
    throw failure(ErrorCode.USAGE, 'no host runs on this data directory, so nothing can move');
  }

  /** @impl CT-052~1 */
  #settings(): ResponseInit {
    const { file = '', settings = [] } = this.core.options.startedWith ?? {};
    const all = settings.map(({ values, ...setting }) => ({ ...setting, values: [...values] }));
    return { case: 'settings', value: { file, settings: all } };
  }

  #rotating(): ResponseInit {
    const { state, movesAtMs } = this.#onNetwork();
    return { case: 'rotating', value: { phase: state.phase, movesAtMs: BigInt(movesAtMs) } };
  }

  async #status(): Promise<ResponseInit> {
    const { core } = this;
    const record = core.record?.record;
    const { registry } = core.driver.server;
    const exported = await isNextIdentityExported(core.options.directory);
    const { stores } = core.publisher.state;
    const expiring = await Promise.all(core.stores.map(store => expiryWarning(store, Date.now())));
    return {
      case: 'hostStatus',
      value: {
        serverId: core.identity.serverId,
        serving: this.#serving !== undefined,
        startedAtMs: BigInt(this.#serving?.startedAtMs ?? 0),
        epoch: BigInt(record?.epoch ?? 0),
        sequence: BigInt(record?.sequence ?? 0),
        port: this.#serving?.port ?? 0,
        addresses: [...(this.#serving?.addresses ?? [])],
        // Of a move under way or asked for the record in force does not say when it comes.
        nextRotationAtMs: BigInt(this.#serving?.movesAtMs ?? record?.nextRotationMs ?? 0),
        validUntilMs: BigInt(record?.validUntilMs ?? 0),
        devices: registry.devices.size,
        connected: core.driver.connected.size,
        invites: registry.invites.size,
        stores: core.stores.map(({ reader }, index) => ({
          name: reader.name,
          code: stores[index]?.failure?.code ?? ErrorCode.UNSPECIFIED,
          trouble: stores[index]?.failure?.trouble ?? '',
          detail: stores[index]?.failure?.detail ?? '',
          verifiedSequence: BigInt(stores[index]?.verified?.sequence ?? 0),
          verifiedAtMs: BigInt(stores[index]?.verified?.at ?? 0),
        })),
        nextIdentityExported: exported,
        phase: this.#serving?.state.phase ?? '',
        places: places(this.#serving, core.driver.pathsByPort),
        history: core.history.notes.map(toStored),
        warnings: [
          ...core.alarms,
          ...(this.waitsFor === undefined ? [] : [waitingText(this.waitsFor)]),
          ...expiring.flatMap(text => (text === undefined ? [] : [text])),
          ...(exported
            ? []
            : ['the next identity key lies on this machine: `clawchatd export-next-identity FILE`']),
        ],
      },
    };
  }

  #devices(): ResponseInit {
    const { registry } = this.core.driver.server;
    const { connected } = this.core.driver;
    const place = ({ name, id }: RegisteredDevice): string => `${name}\0${id}`;
    const devices = [...registry.devices.values()]
      .sort((a, b) => (place(a) < place(b) ? -1 : 1))
      .map(device => ({
        deviceId: Buffer.from(device.id, 'hex'),
        name: device.name,
        pending: device.pending,
        connected: connected.has(device.id),
        enrolledAtMs: BigInt(device.enrolledAtMs),
        lastSeenAtMs: BigInt(device.lastSeenAtMs),
        words: this.core.words(device.publicKey),
        personId: this.core.personBehind(device.id),
        personName: this.#calledOtherwise(device),
      }));
    return { case: 'devices', value: { devices } };
  }

  /** The name that the person behind a device took, if it is another. */
  #calledOtherwise({ id, name }: RegisteredDevice): string {
    const called = personName(this.core, this.core.chat.people.personOf(id));
    return called === name ? '' : called;
  }
}

/** Own a host's data directory without serving the network: for commands while no host runs. */
export async function openHostOwner(options: HostOptions): Promise<Owner> {
  return new HostOwner(await HostCore.open(options), () => {});
}
/** Move the next identity key into a file; works whether a host runs or not, as it only touches that key's file. */
export async function exportNextIdentity(options: HostOptions, file: string): Promise<void> {
  await moveNextIdentity(options.directory, file);
}

/** What is said while nobody is served: `why` no store tells. */
export function waitingText(why: string): string {
  return `no store tells whether this data directory is an old backup, so nobody is served yet (${why}). It is asked again and again; to serve all the same, start with \`clawchatd --trust-database\``;
}

function places(
  moving: Moving | undefined,
  paths: ReadonlyMap<number, number>,
): MessageInitShape<typeof ControlPlaceSchema>[] {
  const state = moving?.state;
  if (state === undefined) return [];
  const now = readNow();
  return state.places.map(place => {
    const { port, epoch, role, listedUntil } = place;
    const end = placeEnd(state, place, now);
    return {
      port,
      epoch: BigInt(epoch),
      role,
      open: state.ports.some(known => known.port === port && known.listener === 'open'),
      paths: paths.get(port) ?? 0,
      listedUntilMs: BigInt(listedUntil?.wall ?? 0),
      endsAtMs: BigInt(Math.ceil(end?.atMs ?? 0)),
      waitsForStore: end?.waitsForStore === true,
    };
  });
}
