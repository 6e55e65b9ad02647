/** Looks at what a program gives, before anything is done with it: what it misspelt would be as if it had not been given. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { SERVICE_BYTES_MAX } from '../../gen/constants.ts';
import { nearestOf } from '../config/nearest.ts';
import { failure } from '../failure.ts';

/** What a value has to be, and how that is said. */
export interface Rule {
  readonly says: string;
  readonly holds: (value: unknown) => boolean;
}

/** A rule for every option that there is. */
export type Rules<O> = { readonly [Key in keyof Required<O>]: Rule };

const VISIBLE = new RegExp(`^[\\x21-\\x7e]{1,${SERVICE_BYTES_MAX}}$`);
const isText = (value: unknown): value is string => typeof value === 'string';
const isBytes = (value: unknown): boolean => value instanceof Uint8Array;
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

export const TEXT: Rule = { says: 'a text', holds: isText };
export const TEXTS: Rule = {
  says: 'a list of texts',
  holds: value => Array.isArray(value) && value.every(isText),
};
export const PATH: Rule = { says: 'a path', holds: value => isText(value) && value !== '' };
export const BYTES: Rule = { says: 'a Uint8Array', holds: isBytes };
export const INVITE: Rule = {
  says: 'a text or a Uint8Array',
  holds: value => isText(value) || isBytes(value),
};
export const ID: Rule = {
  says: '32 hexadecimal digits',
  holds: value => isText(value) && /^[0-9a-f]{32}$/i.test(value),
};
export const FLAG: Rule = { says: 'true or false', holds: value => typeof value === 'boolean' };
export const FUNCTION: Rule = { says: 'a function', holds: value => typeof value === 'function' };
export const FUNCTIONS: Rule = {
  says: 'an object of functions',
  holds: value => isObject(value) && Object.values(value).every(FUNCTION.holds),
};
export const SERVICE_NAME: Rule = {
  says: `1 to ${SERVICE_BYTES_MAX} visible ASCII characters`,
  holds: value => isText(value) && VISIBLE.test(value),
};
/** Of any realm. */
export const SIGNAL: Rule = {
  says: 'an AbortSignal',
  holds: value => isObject(value) && 'aborted' in value && 'addEventListener' in value,
};

/** A whole number. */
export function whole(min: number, max: number = Number.MAX_SAFE_INTEGER): Rule {
  return {
    says:
      max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`,
    holds: value => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
  };
}

/** One of some words. */
export function oneOf(...words: readonly string[]): Rule {
  return {
    says: words.map(word => JSON.stringify(word)).join(' or '),
    holds: value => isText(value) && words.includes(value),
  };
}

/**
 * Check the options of a call; what is undefined is as if it had not been given.
 *
 * @throws ClawChatError `USAGE` that names the option, and the nearest one for a name that there is not
 */
export function checkOptions<O extends object>(call: string, given: O, rules: Rules<O>): void {
  if (!isObject(given)) throw failure(ErrorCode.USAGE, `${call} takes its options in an object`);
  const known: Readonly<Record<string, Rule>> = rules;
  for (const [name, value] of Object.entries(given)) {
    const rule = Object.hasOwn(known, name) ? known[name] : undefined;
    if (rule === undefined) throw unknown(call, name, Object.keys(known));
    if (value !== undefined) checkArgument(`${call}: ${name}`, value, rule);
  }
}

/** Check one argument of a call. @throws ClawChatError `USAGE` */
export function checkArgument(what: string, value: unknown, { says, holds }: Rule): void {
  if (!holds(value)) throw failure(ErrorCode.USAGE, `${what} is ${says}, not ${shown(value)}`);
}

function unknown(call: string, name: string, names: readonly string[]): Error {
  const near = nearestOf(name, names);
  const meant = near === undefined ? '' : `; did you mean ${near}?`;
  return failure(ErrorCode.USAGE, `${call}: there is no option ${JSON.stringify(name)}${meant}`);
}

/** A text may be a secret: it is not shown. */
function shown(value: unknown): string {
  if (value === null || typeof value !== 'object') return isText(value) ? 'this text' : String(value);
  return Array.isArray(value) ? 'this list' : 'this object';
}
