/** What `connect` and `serve` have in common. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { type Constants, MINIMAL, STANDARD } from '../../gen/constants.ts';
import { nearestOf } from '../config/nearest.ts';
import { failure } from '../failure.ts';
import { createLog, type Log, SILENT_LOG } from '../log.ts';

/** Options of both sides. */
export interface CommonOptions {
  /** `minimal` is for tests: an hour of 12 seconds, on host and clients alike. Default: `standard`. */
  readonly preset?: 'standard' | 'minimal';
  /** Of the data directory, when its key is under one: `clawchat passphrase set`, `clawchatd passphrase set`. */
  readonly passphrase?: string;
  /** Takes what happens, one JSON object without line feed at a time, warnings and errors. Secrets are never in it. */
  readonly log?: (line: string) => void;
}

/** Every option of one side beside the common ones. */
export type OwnOptions<O> = Readonly<Record<Exclude<keyof O, keyof CommonOptions>, true>>;

const COMMON: Readonly<Record<keyof CommonOptions, true>> = { preset: true, passphrase: true, log: true };

/** Refuse an option that there is not: it would be as if it had not been given. @throws ClawChatError `USAGE` @internal */
export function refuseUnknownOptions<O extends CommonOptions>(options: O, own: OwnOptions<O>): void {
  const names = [...Object.keys(COMMON), ...Object.keys(own)];
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const near = nearestOf(name, names);
    const meant = near === undefined ? '' : `; did you mean ${near}?`;
    throw failure(ErrorCode.USAGE, `there is no option ${JSON.stringify(name)}${meant}`);
  }
}

/** The constants of a preset. @throws ClawChatError `USAGE` @internal */
export function presetConstants(preset: CommonOptions['preset'] = 'standard'): Constants {
  if (preset === 'standard') return STANDARD;
  if (preset === 'minimal') return MINIMAL;
  throw failure(ErrorCode.USAGE, `preset is "standard" or "minimal", not ${JSON.stringify(preset)}`);
}

/** The log that a program wants. @internal */
export function programLog(take: CommonOptions['log']): Log {
  if (take === undefined) return SILENT_LOG;
  return createLog({ level: 'warn', style: 'json', write: line => take(line.trimEnd()), now: Date.now });
}
