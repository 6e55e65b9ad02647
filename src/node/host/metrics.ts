/** What a host tells Prometheus: every metric once, with its name, its kind, its text and how it is read (docs/operations.md). */
import { readdirSync } from 'node:fs';
import type { IntervalHistogram } from 'node:perf_hooks';
import { PROTOCOL_VERSION } from '../../protocol/keys.ts';
import { VERSION } from '../version.ts';
import type { HostCore } from './core.ts';
import { REFUSALS, type Tally } from './counts.ts';
import type { Moving } from './moving.ts';

/** What is measured. */
export interface Measured {
  readonly core: HostCore;
  readonly moving: Moving;
  readonly loopDelay: IntervalHistogram;
}

/** One value with its labels. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** One metric. No label ever names a device, a person, an address or a room. */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** What the labels are, for the documentation. */
  readonly labels: readonly string[];
  readonly read: (from: Measured) => readonly Sample[];
}

function metric(
  type: Metric['type'],
  name: string,
  help: string,
  read: (from: Measured) => number | readonly Sample[],
  labels: readonly string[] = [],
): Metric {
  const samples = (from: Measured): readonly Sample[] => {
    const value = read(from);
    return typeof value === 'number' ? [[{}, value]] : value;
  };
  return { name, type, help, labels, read: samples };
}

function tallied(label: string, tally: Tally): readonly Sample[] {
  return [...tally.entries()].map(([name, count]) => [{ [label]: name }, count]);
}

type StoreState = HostCore['publisher']['state']['stores'][number];

function eachStore({ core }: Measured, read: (state: StoreState) => number): readonly Sample[] {
  return core.publisher.state.stores.map((state, index) => [storeLabels(core, index), read(state)]);
}

function storeLabels({ stores }: HostCore, index: number): Readonly<Record<string, string>> {
  // Two stores may have one name; the number tells them apart.
  return { store: String(index + 1), name: stores[index]?.reader.name ?? '' };
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return Number.NaN;
  }
}

const MS = 1e-3;

/** How often the delay of the event loop is measured. */
export const LOOP_RESOLUTION_MS = 10;

/** The histogram's nanoseconds run from one measurement to the next. */
function lateBy(ns: number): number {
  return Math.max(0, ns * 1e-9 - LOOP_RESOLUTION_MS * MS);
}

/** Every metric, in the order in which it is printed. */
export const METRICS: readonly Metric[] = [
  metric(
    'gauge',
    'clawchat_info',
    'What runs: 1, with the versions of package and protocol.',
    () => [[{ version: VERSION, protocol: String(PROTOCOL_VERSION) }, 1]],
    ['version', 'protocol'],
  ),
  metric(
    'counter',
    'clawchat_connections_accepted_total',
    'Connections that were accepted, before TLS.',
    ({ core }) => core.driver.counts.accepted,
  ),
  metric(
    'counter',
    'clawchat_refused_total',
    'Attempts that were refused or limited before authentication, by cause.',
    ({ core }) => tallied('reason', core.driver.counts.refused),
    ['reason'],
  ),
  metric(
    'gauge',
    'clawchat_strangers',
    'Connections that are not authenticated yet.',
    ({ moving }) => moving.strangers,
  ),
  metric(
    'gauge',
    'clawchat_bucket_addresses',
    'Client addresses whose buckets are remembered.',
    ({ core }) => core.driver.bucketAddresses,
  ),
  metric(
    'counter',
    'clawchat_paths_opened_total',
    'Connections that passed the gate.',
    ({ core }) => core.driver.counts.pathsOpened,
  ),
  metric(
    'counter',
    'clawchat_paths_authenticated_total',
    'Connections whose other side has proved who it is.',
    ({ core }) => core.driver.counts.authenticated,
  ),
  metric(
    'counter',
    'clawchat_paths_ended_total',
    'Connections behind the gate that ended, by error code; DONE in order, GONE when the other side or the network cut them.',
    ({ core }) => tallied('code', core.driver.counts.pathsEnded),
    ['code'],
  ),
  metric(
    'gauge',
    'clawchat_paths',
    'Connections behind the gate, by the role of the port that they are on.',
    ({ core, moving }) => {
      const counts = new Map([
        ['primary', 0],
        ['next', 0],
        ['old', 0],
      ]);
      const paths = core.driver.pathsByPort;
      for (const { role, port } of moving.state.places)
        counts.set(role, (counts.get(role) ?? 0) + (paths.get(port) ?? 0));
      return [...counts].map(([role, count]) => [{ role }, count]);
    },
    ['role'],
  ),
  metric(
    'gauge',
    'clawchat_sessions',
    'Sessions that live, connected or to be resumed.',
    ({ core }) => core.driver.sessions,
  ),
  metric(
    'gauge',
    'clawchat_devices_connected',
    'Devices with a session on a path.',
    ({ core }) => core.driver.connected.size,
  ),
  metric(
    'gauge',
    'clawchat_devices',
    'Devices that are enrolled.',
    ({ core }) => core.driver.server.registry.devices.size,
  ),
  metric(
    'gauge',
    'clawchat_invites',
    'Invites that are open or claimed.',
    ({ core }) => core.driver.server.registry.invites.size,
  ),
  metric(
    'counter',
    'clawchat_sessions_opened_total',
    'Sessions that were opened.',
    ({ core }) => core.driver.counts.sessionsOpened,
  ),
  metric(
    'counter',
    'clawchat_sessions_lost_total',
    'Sessions that are over, by error code; DONE when the device ended it in order.',
    ({ core }) => tallied('code', core.driver.counts.sessionsLost),
    ['code'],
  ),
  metric(
    'gauge',
    'clawchat_session_bytes',
    'Bytes that all sessions hold for devices that have not taken them yet.',
    ({ core }) => core.driver.server.sessions.heldBytes,
  ),
  metric(
    'counter',
    'clawchat_received_records_total',
    'Records received on paths.',
    ({ core }) => core.driver.counts.recordsReceived,
  ),
  metric(
    'counter',
    'clawchat_received_bytes_total',
    'Bytes of the records received on paths.',
    ({ core }) => core.driver.counts.bytesReceived,
  ),
  metric(
    'counter',
    'clawchat_sent_records_total',
    'Records sent on paths.',
    ({ core }) => core.driver.counts.recordsSent,
  ),
  metric(
    'counter',
    'clawchat_sent_bytes_total',
    'Bytes of the records sent on paths.',
    ({ core }) => core.driver.counts.bytesSent,
  ),
  metric(
    'counter',
    'clawchat_messages_total',
    'Messages that were decided, by result: STORED, or the error code of the refusal.',
    ({ core }) => tallied('result', core.driver.counts.posts),
    ['result'],
  ),
  metric(
    'counter',
    'clawchat_rotation_events_total',
    'What happened to the rotation, by kind: rotated, held, retired, ...',
    ({ core }) => tallied('event', core.driver.counts.rotation),
    ['event'],
  ),
  metric(
    'gauge',
    'clawchat_epoch',
    'Epoch of the record in force.',
    ({ core }) => core.record?.record.epoch ?? 0,
  ),
  metric(
    'gauge',
    'clawchat_record_sequence',
    'Sequence of the record in force.',
    ({ core }) => core.record?.name.sequence ?? 0,
  ),
  metric(
    'gauge',
    'clawchat_next_rotation_timestamp_seconds',
    'When the host moves next, Unix time.',
    ({ moving }) => moving.movesAtMs * MS,
  ),
  metric(
    'gauge',
    'clawchat_record_expiry_timestamp_seconds',
    'When the record in force ends, Unix time.',
    ({ core }) => (core.record?.record.validUntilMs ?? 0) * MS,
  ),
  metric('gauge', 'clawchat_listeners', 'Ports that are open.', ({ moving }) => moving.listeners),
  metric(
    'counter',
    'clawchat_publishes_total',
    'Attempts to publish the connection file, by store and result.',
    ({ core }) =>
      core.stores.flatMap((_, index) =>
        (['verified', 'failed'] as const).map((result): Sample => {
          const count = core.driver.counts.publishes[index]?.get(result) ?? 0;
          return [{ ...storeLabels(core, index), result }, count];
        }),
      ),
    ['store', 'name', 'result'],
  ),
  metric(
    'gauge',
    'clawchat_store_up',
    '1 when the last attempt at the store worked.',
    from =>
      eachStore(from, ({ failure, verified }) => (failure === undefined && verified !== undefined ? 1 : 0)),
    ['store', 'name'],
  ),
  metric(
    'gauge',
    'clawchat_store_verified_sequence',
    'Sequence of the record that was last read back from the store.',
    from => eachStore(from, ({ verified }) => verified?.sequence ?? 0),
    ['store', 'name'],
  ),
  metric(
    'gauge',
    'clawchat_store_verified_timestamp_seconds',
    'When the store was last read back, Unix time; 0 for never.',
    from => eachStore(from, ({ verified }) => (verified?.at ?? 0) * MS),
    ['store', 'name'],
  ),
  metric(
    'counter',
    'clawchat_alarms_total',
    'Alarms for the operator: the log and status have their text.',
    ({ core }) => core.driver.counts.alarms,
  ),
  metric(
    'gauge',
    'clawchat_event_loop_delay_seconds',
    'How late the event loop was since the metrics were last read.',
    ({ loopDelay }) => {
      const samples: readonly Sample[] = [
        [{ stat: 'p50' }, lateBy(loopDelay.percentile(50))],
        [{ stat: 'p99' }, lateBy(loopDelay.percentile(99))],
        [{ stat: 'max' }, lateBy(loopDelay.max)],
      ];
      loopDelay.reset();
      return samples;
    },
    ['stat'],
  ),
  metric('gauge', 'process_start_time_seconds', 'When the process started, Unix time.', () =>
    Math.floor(Date.now() * MS - process.uptime()),
  ),
  metric('counter', 'process_cpu_seconds_total', 'Processor time that the process has used.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) * 1e-6;
  }),
  metric('gauge', 'process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
  metric(
    'gauge',
    'process_heap_bytes',
    'Memory of the JavaScript heap in use.',
    () => process.memoryUsage().heapUsed,
  ),
  metric(
    'gauge',
    'process_open_fds',
    'Open file descriptors; NaN where the system does not tell.',
    openFiles,
  ),
];

/** Print every metric in the text format of Prometheus, version 0.0.4. */
export function metricsText(from: Measured): string {
  return METRICS.map(each => {
    const head = `# HELP ${each.name} ${each.help}\n# TYPE ${each.name} ${each.type}\n`;
    return (
      head +
      each
        .read(from)
        .map(sample => sampleLine(each.name, sample))
        .join('')
    );
  }).join('');
}

/** Print one sample. */
function sampleLine(name: string, [labels, value]: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  const shown = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
  return `${name}${shown} ${Number.isNaN(value) ? 'NaN' : value}\n`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, char => (char === '\n' ? '\\n' : `\\${char}`));
}

/** The rows of docs/operations.md: every metric, and every cause of a refusal. */
export function metricsTable(): string {
  const rows = METRICS.map(
    ({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`,
  );
  const causes = Object.entries(REFUSALS).map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |`);
  return [
    '| metric | type | labels | |',
    '|---|---|---|---|',
    ...rows,
    '',
    'Values of `reason` in `clawchat_refused_total`:',
    '',
    '| reason | what happened |',
    '|---|---|',
    ...causes,
  ].join('\n');
}
