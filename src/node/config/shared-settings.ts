/** Settings that both programs have, each with its own variables. */
import { LOG_LEVELS, LOG_STYLES, type LogLevel, type LogStyle } from '../log.ts';
import { ABSOLUTE_PATH, ANY_PATH, type Kind, oneOf, orWord, PROXY, size, wholeNumber } from './kinds.ts';
import { type Setting, settingsOf } from './setting.ts';

/** `environment`: what HTTPS_PROXY and NO_PROXY say; undefined: none; a URL: that one. */
export type ProxyChoice = URL | 'environment' | undefined;

/** What both programs have. */
export interface SharedSettings {
  readonly preset: Setting<'standard' | 'minimal'>;
  readonly logLevel: Setting<LogLevel>;
  readonly logStyle: Setting<LogStyle | 'auto'>;
  readonly logFile: Setting<string | undefined>;
  readonly logSize: Setting<number>;
  readonly logFiles: Setting<number>;
  readonly proxy: Setting<ProxyChoice>;
}

/** In what the two programs differ. */
interface SharedAbout {
  /** What goes through the proxy. */
  readonly proxied: string;
  readonly logLevel: LogLevel;
  /** A further sentence on the log file. */
  readonly logFile: string;
}

/** What says where the other settings are: never in a file. */
export interface PlaceSettings {
  readonly data: Setting<string>;
  readonly config: Setting<string>;
}

const PROXY_CHOICE: Kind<ProxyChoice> = orWord('none', {
  ...PROXY,
  takes: `${PROXY.takes}, environment`,
  read: (text): { readonly value: ProxyChoice } | undefined =>
    text === 'environment' ? { value: text } : PROXY.read(text),
});

/** Make the settings that both programs have. */
export function sharedSettings(prefix: string, { proxied, logLevel, logFile }: SharedAbout): SharedSettings {
  const { one } = settingsOf(prefix);
  return {
    preset: one('preset', oneOf(['standard', 'minimal'] as const), {
      value: 'NAME',
      variable: 'CLAWCHAT_PRESET',
      standard: 'standard',
      help: 'standard, or minimal for tests: an hour of 12 seconds, on host and clients alike',
    }),
    logLevel: one('log.level', oneOf(LOG_LEVELS), {
      value: 'LEVEL',
      standard: logLevel,
      help: `the least that is logged: ${LOG_LEVELS.join(', ')}`,
    }),
    logStyle: one('log.style', oneOf(['auto', ...LOG_STYLES] as const), {
      value: 'STYLE',
      standard: 'auto',
      help: 'human (lines for people), json (for programs), or auto',
      more: 'auto is human on a terminal, and json elsewhere.',
    }),
    logFile: one('log.file', orWord('none', ABSOLUTE_PATH), {
      value: 'FILE',
      standard: 'none',
      help: 'log into this file instead of standard error',
      more: logFile,
    }),
    logSize: one('log.size', size('1KiB', '1GiB'), {
      value: 'SIZE',
      standard: '10MiB',
      help: 'begin a new log file at this size',
    }),
    logFiles: one('log.files', wholeNumber(1, 100), {
      value: 'N',
      standard: '5',
      help: 'keep so many log files, the current one among them',
    }),
    proxy: one('proxy', PROXY_CHOICE, {
      value: 'URL',
      standard: 'environment',
      help: `the HTTP proxy for ${proxied}: a URL, none, or environment`,
      more: 'environment is what HTTPS_PROXY, ALL_PROXY and NO_PROXY say. User and password may stand in the URL.',
    }),
  };
}

/** Make the settings that say where the others are. */
export function placeSettings(prefix: string, program: string): PlaceSettings {
  const { one } = settingsOf(prefix);
  return {
    data: one('data', ANY_PATH, {
      value: 'DIR',
      standard: `${program} in $XDG_DATA_HOME`,
      help: 'data directory',
      more: 'XDG_DATA_HOME is ~/.local/share when it is not set.',
    }),
    config: one('config', ANY_PATH, {
      value: 'FILE',
      standard: 'config.yaml in the data directory',
      help: 'configuration file',
      more: 'One that is named has to be there.',
    }),
  };
}
