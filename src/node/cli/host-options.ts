/** From settings to what a host is started with, and the rules between settings. docs/configuration.md. */
import { parseInterval } from '../../protocol/rotation-interval.ts';
import { HOST_SETTINGS } from '../config/host-settings.ts';
import type { HostOptions } from '../host/options.ts';
import type { TlsFiles } from '../host/tls-identity.ts';
import { type Log, openingLog } from '../log.ts';
import { isLoopback } from '../metrics-server.ts';
import type { Call } from './command-line.ts';
import { askedPassphrase } from './passphrase.ts';
import { commandLog, fileLog, styleOf } from './program-log.ts';
import { constantsOf, type HostConfigured, hostConfigured, proxyEnvironment } from './settings.ts';

/** Read what a call says of a host. @throws ClawChatError `USAGE`, `PERMISSIONS_LOOSE` */
export async function hostOptions(call: Call): Promise<HostOptions> {
  const configured = await hostConfigured(call);
  return hostOptionsOf(configured, commandLog(configured));
}

/** The same for the host itself, whose log may go to a file; on a terminal it waits for `beginLog`. */
export async function servingOptions(
  call: Call,
): Promise<{ readonly options: HostOptions; readonly beginLog: () => void }> {
  const configured = await hostConfigured(call);
  const { settings, known, file: read } = configured;
  const startedWith = { file: read?.path, settings: settings.shown(Object.values(HOST_SETTINGS)) };
  const more = { trustDatabase: call.on('trust-database'), startedWith };
  const file = fileLog(configured);
  if (file !== undefined) {
    const options = { ...hostOptionsOf(configured, file.log), ...more, reopenLog: file.reopen };
    return { options, beginLog: () => {} };
  }
  const { log, begin } = openingLog(settings.get(known.logLevel), styleOf(configured));
  return { options: { ...hostOptionsOf(configured, log), ...more }, beginLog: begin };
}

/** Make a host's options of settings that were read. @throws ClawChatError `USAGE` where two do not go together. */
export function hostOptionsOf(configured: HostConfigured, log: Log): HostOptions {
  const { settings, known, directory, stores } = configured;
  const constants = constantsOf(configured);
  const intervalMs = parseInterval(settings.get(known.interval) ?? constants.ROTATION_INTERVAL_MS, constants);
  if (typeof intervalMs !== 'number') throw settings.refuse(known.interval, intervalMs.detail);
  const metrics = settings.get(known.metrics);
  if (metrics !== undefined && !isLoopback(metrics.host) && !settings.get(known.metricsRemote)) {
    const text = `names no loopback address: no password protects metrics, so say --${known.metricsRemote.flag} if others may read them`;
    throw settings.refuse(known.metrics, text);
  }
  if (stores !== undefined && settings.isSet(known.store))
    throw settings.refuse(known.store, 'and a list of stores exclude each other');
  const port = settings.get(known.port);
  const tls = tlsFiles(configured);
  const hops = settings.get(known.frontHops);
  for (const setting of [known.tlsCertificate, known.frontHops, known.advertisePort]) {
    if (port !== undefined || !settings.isSet(setting)) continue;
    throw settings.refuse(setting, `needs a fixed port: --${known.port.flag}`);
  }
  return {
    directory,
    log,
    constants,
    listen: settings.get(known.listen),
    port,
    advertisePort: settings.get(known.advertisePort),
    tls,
    hops,
    drainMs: settings.get(known.drain),
    reopenLog: () => {},
    advertise: settings.get(known.advertise),
    timeServer: settings.get(known.timeServer),
    intervalMs,
    storePath: settings.get(known.store),
    stores,
    environment: proxyEnvironment(settings.get(known.proxy)),
    bench: settings.get(known.bench),
    deviceInvites: settings.get(known.deviceInvites),
    passphrase: askedPassphrase,
    metrics,
  };
}

/** Certificate and key go together. */
function tlsFiles({ settings, known }: HostConfigured): TlsFiles | undefined {
  const certificate = settings.get(known.tlsCertificate);
  const key = settings.get(known.tlsKey);
  if (certificate !== undefined && key !== undefined) return { certificate, key };
  if (certificate === undefined && key === undefined) return undefined;
  const [there, other] =
    key === undefined ? [known.tlsCertificate, known.tlsKey] : [known.tlsKey, known.tlsCertificate];
  throw settings.refuse(there, `is of no use without ${other.key}`);
}
