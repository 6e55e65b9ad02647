/** What a host is started with. Page: docs/configuration.md. */
import type { Constants } from '../../gen/constants.ts';
import type { ServiceStream, StreamHandler } from '../../services/ports.ts';
import type { ShownSetting } from '../config/setting.ts';
import type { PassphraseSource } from '../data-key.ts';
import type { Log } from '../log.ts';
import type { MetricsAddress } from '../metrics-server.ts';
import type { ProxyEnvironment } from '../proxy.ts';
import type { StoreConfig } from '../stores/config.ts';
import type { TlsFiles } from './tls-identity.ts';

/** What a host is started with. */
export interface HostOptions {
  readonly directory: string;
  readonly log: Log;
  readonly constants: Constants;
  /** Address to listen on; all of them when undefined. */
  readonly listen: string | undefined;
  /** A fixed port; a random one of the range when undefined. */
  readonly port: number | undefined;
  /** What clients shall dial; the addresses of this machine when empty. */
  readonly advertise: readonly string[];
  /** Who is asked for the time: `host`, `host:port` (SNTP) or an https URL; nobody when undefined. */
  readonly timeServer: string | undefined;
  /** From one rotation to the next. */
  readonly intervalMs: number;
  /** Where the connection file is published; in the data directory when undefined. */
  readonly storePath: string | undefined;
  /** Serve even when no store can tell whether this directory is an old backup. */
  readonly trustDatabase?: boolean;
  /** Stores of the configuration; undefined when it names none. */
  readonly stores?: readonly StoreConfig[] | undefined;
  /** Has the variables that decide on a proxy for stores; those of the process when undefined. */
  readonly environment?: ProxyEnvironment;
  /** Offer the bench service. */
  readonly bench: boolean;
  /** Let people invite further devices of their own; they may when undefined. */
  readonly deviceInvites?: boolean;
  /** Where Prometheus is answered; nowhere when undefined. */
  readonly metrics?: MetricsAddress | undefined;
  /** Asked when the data key is sealed under a passphrase. */
  readonly passphrase?: PassphraseSource | undefined;
  /** Services of the program around the host, by name. */
  readonly services?: ReadonlyMap<string, MemberService>;
  /** The port that clients shall dial, when it is not the one listened on; needs `port`. */
  readonly advertisePort?: number | undefined;
  /** An operator's own certificate; needs `port`. */
  readonly tls?: TlsFiles | undefined;
  /** Addresses of proxies in front that end TLS; need `port` when there are any. */
  readonly hops?: readonly string[];
  /** How long a host that is told to stop may take for what is under way; nothing when undefined. */
  readonly drainMs?: number;
  /** Where all of this comes from, for whoever asks; undefined when a program set it. */
  readonly startedWith?: StartedWith;
  /** Called at SIGHUP. */
  readonly reopenLog?: () => void;
}

/** Settings and where they come from, without secrets. */
export interface StartedWith {
  /** The configuration file; undefined for none. */
  readonly file: string | undefined;
  readonly settings: readonly ShownSetting[];
}

/** Serves one stream that a device opened. */
export type MemberService = (
  stream: ServiceStream,
  member: { readonly deviceId: Uint8Array; readonly name: string },
) => StreamHandler;
