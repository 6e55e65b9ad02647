/** From a call, its environment and its configuration file to settings. docs/configuration.md. */

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Constants, MINIMAL, STANDARD } from '../../gen/constants.ts';
import { CLIENT_PLACE, CLIENT_SETTINGS, type ClientSettings } from '../config/client-settings.ts';
import { type ConfigFile, readConfigFile } from '../config/file.ts';
import { HOST_PLACE, HOST_SETTINGS, type HostSettings, STORES_KEY } from '../config/host-settings.ts';
import { resolveSettings, type Setting, type Settings } from '../config/setting.ts';
import type { PlaceSettings, ProxyChoice, SharedSettings } from '../config/shared-settings.ts';
import { refuseUnknownVariables } from '../config/variables.ts';
import { refuseForeignDirectory } from '../files.ts';
import type { LogLevel } from '../log.ts';
import type { ProxyEnvironment } from '../proxy.ts';
import { checkStoreConfigs, type StoreConfig } from '../stores/config.ts';
import { type Call, type Option, usage } from './command-line.ts';

/** The configuration file of a data directory. */
export const CONFIG_NAME = 'config.yaml';

/** What a call works with: where, and how. */
export interface Configured<S> {
  readonly directory: string;
  readonly settings: Settings;
  /** The settings there are, to ask `settings` for. */
  readonly known: S;
  /** The file that was read; undefined when there is none. */
  readonly file: ConfigFile | undefined;
}

/** A host's call. */
export interface HostConfigured extends Configured<HostSettings> {
  /** Stores of the file; undefined when it names none. */
  readonly stores: readonly StoreConfig[] | undefined;
}

/** Make the option of a setting. */
function optionOf({ flag, value, isList, optionHelp, standard, kind }: Setting<unknown>): [string, Option] {
  if (value === undefined) return [flag, { help: optionHelp }];
  const help = isList ? optionHelp : `${optionHelp} (default: ${standard})`;
  const words = kind.words === undefined ? {} : { words: kind.words };
  return [flag, { value, help, ...(isList ? { multiple: true } : {}), ...words }];
}

/** Make the options of settings. */
export function optionsOf(settings: Iterable<Setting<unknown>>): Readonly<Record<string, Option>> {
  return Object.fromEntries([...settings].map(optionOf));
}

/** Options of every command of a program. `logLevel` is what they log on standard error when nobody says otherwise. */
export function sharedOptions(
  place: PlaceSettings,
  shared: SharedSettings,
  logLevel: LogLevel,
): Readonly<Record<string, Option>> {
  return {
    ...optionsOf([place.data, place.config]),
    json: { help: 'results and errors as JSON, one value a line' },
    ...optionsOf([shared.preset, { ...shared.logLevel, standard: logLevel }, shared.logStyle]),
  };
}

/** Read everything that a host's call says. @throws ClawChatError `USAGE`, `PERMISSIONS_LOOSE` */
export async function hostConfigured(call: Call): Promise<HostConfigured> {
  const found = await configured(call, HOST_PLACE, HOST_SETTINGS, 'clawchatd', [STORES_KEY]);
  const items = found.file?.lists.get(STORES_KEY)?.items ?? [];
  if (items.length === 0) return { ...found, stores: undefined };
  const stores = items.map(({ value, line }): StoreConfig => {
    const checked = checkStoreConfigs([value]);
    if (typeof checked === 'string' || checked[0] === undefined)
      throw usage(`${found.file?.path} line ${line}: ${String(checked).replace(/^store 1: /, '')}`);
    return checked[0];
  });
  return { ...found, stores };
}

/** Read everything that a client's call says. @throws ClawChatError `USAGE`, `PERMISSIONS_LOOSE` */
export function clientConfigured(call: Call): Promise<Configured<ClientSettings>> {
  return configured(call, CLIENT_PLACE, CLIENT_SETTINGS, 'clawchat', []);
}

async function configured<S extends object>(
  call: Call,
  place: PlaceSettings,
  known: S,
  program: 'clawchat' | 'clawchatd',
  lists: readonly string[],
): Promise<Configured<S>> {
  const all = Object.values(known) as Setting<unknown>[];
  const directory = dataDirectory(call, program);
  await refuseForeignDirectory(directory);
  const named = call.text('config') ?? process.env[place.config.variable] ?? '';
  const path = named === '' ? join(directory, CONFIG_NAME) : resolve(named);
  const file = await readConfigFile(path, all, lists);
  if (file === undefined && named !== '') throw usage(`there is no configuration file ${path}`);
  const settings = resolveSettings(all, {
    flag: name => flagTexts(call, name, all),
    environment: process.env,
    file,
  });
  return { directory, settings, known, file };
}

/** A switch that says no gives `false`. */
function flagTexts(
  call: Call,
  name: string,
  all: readonly Setting<unknown>[],
): readonly string[] | undefined {
  const setting = all.find(({ flag }) => flag === name);
  if (setting?.value === undefined) return call.on(name) ? [String(!name.startsWith('no-'))] : undefined;
  const texts = call.texts(name);
  if (setting.isList) return texts.length > 0 ? texts : undefined;
  const text = call.text(name);
  return text === undefined ? undefined : [text];
}

/**
 * `--data`, the environment, or the place where the system wants it: what every command that touches anything begins
 * with, and so where a mistyped variable is refused.
 *
 * @throws ClawChatError `USAGE`
 */
export function dataDirectory(call: Call, program: 'clawchat' | 'clawchatd'): string {
  refuseUnknownVariables(process.env);
  const place = program === 'clawchat' ? CLIENT_PLACE : HOST_PLACE;
  const given = call.text('data') ?? process.env[place.data.variable];
  if (given === '') throw usage('--data takes a directory');
  if (given !== undefined) return resolve(given);
  const base = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share');
  return join(base, program);
}

/** The constants of the preset: what host and clients share, and nothing on the wire names. */
export function constantsOf({ settings, known }: Configured<SharedSettings>): Constants {
  return settings.get(known.preset) === 'minimal' ? MINIMAL : STANDARD;
}

/** The variables that decide on a proxy, as if the setting had been written into them. */
export function proxyEnvironment(choice: ProxyChoice): ProxyEnvironment {
  if (choice === 'environment') return process.env;
  if (choice === undefined) return {};
  const { NO_PROXY, no_proxy } = process.env;
  return { HTTPS_PROXY: choice.href, NO_PROXY: no_proxy ?? NO_PROXY };
}
