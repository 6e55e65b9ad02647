/** From a call to what a client is opened with. docs/configuration.md. */
import type { ClientOptions } from '../client-owner.ts';
import { type LogLevel, standardErrorLog } from '../log.ts';
import type { Call } from './command-line.ts';
import { askedPassphrase } from './passphrase.ts';
import { fileLog, styleOf } from './program-log.ts';
import { clientConfigured, constantsOf, proxyEnvironment } from './settings.ts';

/** Read what a call says of a client. `quiet` is the level of standard error when nobody names one. */
export async function clientOptions(call: Call, quiet: LogLevel = 'warn'): Promise<ClientOptions> {
  const configured = await clientConfigured(call);
  const { settings, known, directory } = configured;
  const isAsked = settings.origin(known.logLevel).kind !== 'default';
  const level = isAsked ? settings.get(known.logLevel) : quiet;
  // Several commands may write into one file.
  const file = fileLog(configured)?.log.with({ pid: process.pid });
  return {
    directory,
    constants: constantsOf(configured),
    log: file ?? standardErrorLog(level, styleOf(configured)),
    passphrase: askedPassphrase,
    environment: proxyEnvironment(settings.get(known.proxy)),
  };
}
