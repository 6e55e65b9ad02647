/** What `connect` and `serve` have in common. */
import { type Constants, MINIMAL, STANDARD } from '../../gen/constants.ts';
import { createLog, type Log, SILENT_LOG } from '../log.ts';
import { FUNCTION, oneOf, type Rules, TEXT } from './check.ts';

/** Options of both sides. */
export interface CommonOptions {
  /** `minimal` is for tests: an hour of 12 seconds, on host and clients alike. Default: `standard`. */
  readonly preset?: 'standard' | 'minimal';
  /** Of the data directory, when its key is under one: `clawchat passphrase set`, `clawchatd passphrase set`. */
  readonly passphrase?: string;
  /** Takes what happens, one JSON object without line feed at a time, warnings and errors. Secrets are never in it. */
  readonly log?: (line: string) => void;
}

/** What the common options have to be. @internal */
export const COMMON_RULES: Rules<CommonOptions> = {
  preset: oneOf('standard', 'minimal'),
  passphrase: TEXT,
  log: FUNCTION,
};

/** The constants of a preset. @internal */
export function presetConstants(preset: CommonOptions['preset'] = 'standard'): Constants {
  return preset === 'minimal' ? MINIMAL : STANDARD;
}

/** The log that a program wants. @internal */
export function programLog(take: CommonOptions['log']): Log {
  if (take === undefined) return SILENT_LOG;
  return createLog({ level: 'warn', style: 'json', write: line => take(line.trimEnd()), now: Date.now });
}
