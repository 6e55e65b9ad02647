/** Where a program's log goes: standard error, or the file of its settings. docs/configuration.md. */
import type { SharedSettings } from '../config/shared-settings.ts';
import { createLog, type Log, standardErrorLog } from '../log.ts';
import { LogFile } from '../log-file.ts';
import type { Configured } from './settings.ts';

type Known = Pick<Configured<SharedSettings>, 'settings' | 'known'>;

/** The log of a command on standard error. What a file says of the level is for a program that stays. */
export function commandLog({ settings, known }: Known): Log {
  const { kind } = settings.origin(known.logLevel);
  const isAsked = kind === 'option' || kind === 'environment';
  return standardErrorLog(isAsked ? settings.get(known.logLevel) : 'warn', styleOf({ settings, known }));
}

/** The log in the file of the settings; undefined when they name none. @throws ClawChatError `USAGE` when it cannot be opened. */
export function fileLog(about: Known): { readonly log: Log; reopen(): void } | undefined {
  const { settings, known } = about;
  const path = settings.get(known.logFile);
  if (path === undefined) return undefined;
  const where = { path, bytesMax: settings.get(known.logSize), filesMax: settings.get(known.logFiles) };
  const file = new LogFile(where);
  const [level, style] = [settings.get(known.logLevel), styleOf(about) ?? 'json'];
  const log = createLog({ level, style, write: line => file.write(line), now: Date.now });
  return { log, reopen: () => file.reopen() };
}

/** The style that was named; undefined to choose. */
export function styleOf({ settings, known }: Known): 'human' | 'json' | undefined {
  const style = settings.get(known.logStyle);
  return style === 'auto' ? undefined : style;
}
