/** Variables of the environment that the programs know, and what is said of one that they do not. docs/configuration.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { failure } from '../failure.ts';
import { MEGA_GATEWAY_VARIABLE, MEGA_PIN_VARIABLE } from '../stores/open.ts';
import { CLIENT_PLACE, CLIENT_SETTINGS } from './client-settings.ts';
import { HOST_PLACE, HOST_SETTINGS } from './host-settings.ts';
import { nearestOf } from './nearest.ts';
import { oneStartOf } from './one-start.ts';

/** Names a file with the passphrase of the data directory. */
export const PASSPHRASE_VARIABLE = 'CLAWCHAT_PASSPHRASE_FILE';

const PREFIXES: readonly string[] = ['CLAWCHAT_', 'CLAWCHATD_'];

/** Every variable of either program: a shell may have those of both. */
const VARIABLES: readonly string[] = [
  ...new Set([
    ...[HOST_PLACE, HOST_SETTINGS, CLIENT_PLACE, CLIENT_SETTINGS].flatMap(settings =>
      Object.values(settings).map(({ variable }: { readonly variable: string }) => variable),
    ),
    PASSPHRASE_VARIABLE,
    MEGA_GATEWAY_VARIABLE,
    MEGA_PIN_VARIABLE,
  ]),
];

/** Refuse every variable that begins as those of the programs do and is none. @throws ClawChatError `USAGE` */
export function refuseUnknownVariables(environment: Readonly<Record<string, string | undefined>>): void {
  const unknown = Object.keys(environment).filter(
    name =>
      PREFIXES.some(prefix => name.startsWith(prefix)) &&
      (environment[name] ?? '') !== '' &&
      !VARIABLES.includes(name),
  );
  if (unknown.length > 0) throw failure(ErrorCode.USAGE, unknown.sort().map(describe).join('; '));
}

function describe(name: string): string {
  const [prefix = '', tail = ''] = /^([A-Z]+_)(.*)$/.exec(name)?.slice(1) ?? [];
  const once = oneStartOf(tail.toLowerCase().replaceAll('_', '-'));
  if (once !== undefined) return `the variable ${name}: ${once}`;
  const own = VARIABLES.filter(known => known.startsWith(prefix));
  const nearest = nearestVariable(tail, own) ?? nearestVariable(tail, VARIABLES);
  return `there is no variable ${name}; ${nearest === undefined ? `there are ${own.join(', ')}` : `did you mean ${nearest}?`}`;
}

/** Compared without what all of them begin with. One of the other program counts when it is that very name. */
function nearestVariable(tail: string, among: readonly string[]): string | undefined {
  const other = VARIABLES.find(known => PREFIXES.some(prefix => known === `${prefix}${tail}`));
  if (other !== undefined) return other;
  const tails = new Map(among.map(known => [known.slice(known.indexOf('_') + 1), known]));
  return tails.get(nearestOf(tail, [...tails.keys()]) ?? '');
}
