/** The settings of `clawchatd`. */
import {
  ABSOLUTE_PATH,
  ANY_PATH,
  ANY_TEXT,
  duration,
  HOST,
  IP_ADDRESS,
  IP_AND_PORT,
  orWord,
  PORT,
  SWITCH,
} from './kinds.ts';
import { type Setting, settingsOf } from './setting.ts';
import { type PlaceSettings, placeSettings, type SharedSettings, sharedSettings } from './shared-settings.ts';

/** Each setting of a host. */
export interface HostSettings extends SharedSettings {
  readonly listen: Setting<string | undefined>;
  readonly port: Setting<number | undefined>;
  readonly advertise: Setting<readonly string[]>;
  readonly advertisePort: Setting<number | undefined>;
  readonly interval: Setting<number | undefined>;
  readonly timeServer: Setting<string | undefined>;
  readonly store: Setting<string | undefined>;
  readonly bench: Setting<boolean>;
  readonly deviceInvites: Setting<boolean>;
  readonly drain: Setting<number>;
  readonly tlsCertificate: Setting<string | undefined>;
  readonly tlsKey: Setting<string | undefined>;
  readonly frontHops: Setting<readonly string[]>;
  readonly metrics: Setting<{ readonly host: string; readonly port: number } | undefined>;
  readonly metricsRemote: Setting<boolean>;
}

const PREFIX = 'CLAWCHATD';
const { one, list } = settingsOf(PREFIX);
const shared = sharedSettings(PREFIX, {
  proxied: 'stores',
  logLevel: 'info',
  logFile: 'Opened again at SIGHUP.',
});

/** The key of the stores in the file: a list of its own shape. */
export const STORES_KEY = 'stores';

/** Where a host's data and configuration are. */
export const HOST_PLACE: PlaceSettings = placeSettings(PREFIX, 'clawchatd');

/** Every setting of `clawchatd`. */
export const HOST_SETTINGS: HostSettings = {
  listen: one('listen', orWord('all', IP_ADDRESS), {
    value: 'ADDRESS',
    standard: 'all',
    help: 'the address to listen on',
  }),
  port: one('port', orWord('moving', PORT), {
    value: 'PORT',
    standard: 'moving',
    help: 'a fixed port, instead of one of 49152-65535 that moves',
    more: 'Behind a proxy or a CDN, and with a certificate of your own, it has to be fixed.',
  }),
  advertise: list('advertise', HOST, {
    value: 'HOST',
    help: 'an address or name that clients shall dial; may be repeated',
    more: 'Without any: the addresses of this machine.',
  }),
  advertisePort: one('advertise-port', orWord('same', PORT), {
    value: 'PORT',
    standard: 'same',
    help: 'the port that clients shall dial, when it is another than the one listened on',
    more: 'For a fixed port behind a proxy, or one that a router forwards.',
  }),
  interval: one('interval', orWord('auto', duration('1s', '7d')), {
    value: 'TIME',
    standard: 'auto',
    help: 'from one move to the next, 15m to 24h',
    more: 'auto is 1h (12s with the minimal preset).',
  }),
  timeServer: one('time-server', orWord('none', ANY_TEXT), {
    value: 'SERVER',
    standard: 'none',
    help: 'ask this server for the time, hourly: HOST, HOST:PORT (SNTP) or an https URL',
  }),
  store: one('store', orWord('default', ANY_PATH), {
    value: 'FILE',
    standard: 'default',
    help: 'where to publish the connection file, when there are no stores',
    more: 'default is connection.clawchat in the data directory.',
  }),
  bench: one('bench', SWITCH, {
    standard: 'false',
    help: 'let devices measure: take bulk streams and throw them away (clawchat bench-stream)',
  }),
  deviceInvites: one('device-invites', SWITCH, {
    flag: 'no-device-invites',
    variable: 'CLAWCHATD_DEVICE_INVITES',
    standard: 'true',
    help: 'let people invite further devices of their own (clawchat invite-device)',
    optionHelp: 'let nobody but the operator invite devices',
    more: 'What was invited before stays.',
  }),
  drain: one('drain', duration('0s', '5m'), {
    value: 'TIME',
    standard: '10s',
    help: 'how long a host that is told to stop may take for what is under way',
  }),
  preset: shared.preset,
  proxy: shared.proxy,
  tlsCertificate: one('tls.certificate', orWord('none', ABSOLUTE_PATH), {
    value: 'FILE',
    standard: 'none',
    help: 'a certificate chain (PEM) of an authority that clients know, for a fixed port',
    more: 'Clients then trust the authorities of their system instead of a pinned key. Read again at SIGHUP.',
  }),
  tlsKey: one('tls.key', orWord('none', ABSOLUTE_PATH), {
    value: 'FILE',
    standard: 'none',
    help: 'its private key (PEM)',
    more: 'Others may not read it; of a file of root, its group may.',
  }),
  frontHops: list('front.hops', IP_ADDRESS, {
    flag: 'front-hop',
    value: 'ADDRESS',
    help: 'a proxy in front that ends TLS, by the address it comes from; may be repeated',
    more: "Its X-Forwarded-For is believed, and nobody else's. Clients then trust the authorities of their system.",
  }),
  metrics: one('metrics.listen', orWord('none', IP_AND_PORT), {
    flag: 'metrics',
    value: 'ADDRESS:PORT',
    standard: 'none',
    help: 'answer Prometheus there, at /metrics',
  }),
  metricsRemote: one('metrics.remote', SWITCH, {
    standard: 'false',
    help: 'let metrics listen on an address that other machines reach: no password protects them',
  }),
  logLevel: shared.logLevel,
  logStyle: shared.logStyle,
  logFile: shared.logFile,
  logSize: shared.logSize,
  logFiles: shared.logFiles,
};
