/**
 * Settings: each is written once, and parser, help, `config show`, docs/configuration.md and config.example.yaml are
 * made from it. The nearest source wins: option, environment, file, default.
 */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { ClawChatError } from '../../protocol/fault.ts';
import { failure } from '../failure.ts';
import type { Kind } from './kinds.ts';

/** One setting. */
export interface Setting<T> {
  /** Its place in the file, such as `log.level`. */
  readonly key: string;
  /** The option without its dashes. */
  readonly flag: string;
  /** What the option's value is called in the help; undefined for a switch. */
  readonly value: string | undefined;
  /** The variable of the environment. A list is separated by commas there. */
  readonly variable: string;
  readonly isList: boolean;
  readonly kind: Kind<unknown>;
  /** As it would be written; for a list, nothing. */
  readonly standard: string;
  /** What it does, in one line. */
  readonly help: string;
  /** The same of the option, where that is the opposite: `--no-...`. */
  readonly optionHelp: string;
  /** Further sentences, for documents. */
  readonly more: string;
  /** From the texts of one source to the value. */
  readonly from: (texts: readonly string[]) => T | undefined;
}

interface About {
  readonly flag?: string;
  readonly value?: string;
  readonly variable?: string;
  readonly standard: string;
  readonly help: string;
  readonly optionHelp?: string;
  readonly more?: string;
}

type Common = Omit<Setting<unknown>, 'isList' | 'kind' | 'standard' | 'from'>;

/** Makes the settings of one program; `prefix` begins its variables. */
export function settingsOf(prefix: string): {
  one<T>(key: string, kind: Kind<T>, about: About): Setting<T>;
  list<T>(key: string, kind: Kind<T>, about: Omit<About, 'standard'>): Setting<readonly T[]>;
} {
  const common = (key: string, about: Omit<About, 'standard'>): Common => {
    const { flag = key.replaceAll('.', '-'), value, help, optionHelp = help, more = '' } = about;
    const { variable = `${prefix}_${flag.toUpperCase().replaceAll('-', '_')}` } = about;
    return { key, flag, value, variable, help, optionHelp, more };
  };
  return {
    one: (key, kind, about) => ({
      ...common(key, about),
      isList: false,
      kind,
      standard: about.standard,
      from: ([text = '']) => kind.read(text)?.value,
    }),
    list: (key, kind, about) => ({
      ...common(key, about),
      isList: true,
      kind,
      standard: '',
      from: texts => texts.map(text => kind.read(text)?.value).filter(value => value !== undefined),
    }),
  };
}

/** What a file says about one setting. */
export interface FileValue {
  readonly texts: readonly string[];
  readonly line: number;
}

/** Where values can come from. */
export interface Sources {
  /** The texts of an option; undefined when it was not given. A switch gives `true`. */
  readonly flag: (name: string) => readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: { readonly path: string; readonly values: ReadonlyMap<string, FileValue> } | undefined;
}

/** One value with its origin, as `config show` prints it. */
export interface Origin {
  readonly texts: readonly string[];
  readonly kind: 'option' | 'environment' | 'file' | 'default';
  /** Such as `--port`, `CLAWCHATD_PORT`, `/etc/clawchat/clawchatd.yaml line 3`; empty for a default. */
  readonly where: string;
}

/** One setting as people see it: without secrets. */
export interface ShownSetting {
  readonly key: string;
  /** One text, or those of a list. */
  readonly values: readonly string[];
  readonly origin: string;
  readonly where: string;
}

/** Every setting of a program, decided. */
export class Settings {
  readonly #origins: ReadonlyMap<string, Origin>;

  constructor(origins: ReadonlyMap<string, Origin>) {
    this.#origins = origins;
  }

  /** Its value: what `resolveSettings` has accepted. */
  get<T>(setting: Setting<T>): T {
    return setting.from(this.origin(setting).texts) as T;
  }

  /** Whether it is other than by default, wherever that was written. */
  isSet(setting: Setting<unknown>): boolean {
    const { texts } = this.origin(setting);
    return setting.isList ? texts.length > 0 : texts[0] !== setting.standard;
  }

  /** Where its value comes from. */
  origin(setting: Setting<unknown>): Origin {
    const origin = this.#origins.get(setting.key);
    if (origin === undefined) throw new Error(`${setting.key} is no setting of this program`);
    return origin;
  }

  /** Show settings, each with where it comes from. */
  shown(all: readonly Setting<unknown>[]): readonly ShownSetting[] {
    return all.map(setting => {
      const { texts, kind: origin, where } = this.origin(setting);
      const values = texts.map(text => setting.kind.show?.(text) ?? text);
      return { key: setting.key, values, origin, where };
    });
  }

  /** An error about a value, which names where it comes from. */
  refuse(setting: Setting<unknown>, why: string): ClawChatError {
    return failure(ErrorCode.USAGE, `${nameOf(setting, this.origin(setting))} ${why}`);
  }
}

/** Decide every setting. @throws ClawChatError `USAGE` that names each value that is none. */
export function resolveSettings(all: readonly Setting<unknown>[], sources: Sources): Settings {
  const origins = new Map<string, Origin>();
  const wrong: string[] = [];
  for (const setting of all) {
    const origin = originOf(setting, sources);
    origins.set(setting.key, origin);
    const bad = origin.texts.find(text => setting.kind.read(text) === undefined);
    if (bad !== undefined) wrong.push(`${nameOf(setting, origin)} takes ${setting.kind.takes}, not '${bad}'`);
  }
  if (wrong.length > 0) throw failure(ErrorCode.USAGE, wrong.join('; '));
  return new Settings(origins);
}

function originOf(setting: Setting<unknown>, { flag, environment, file }: Sources): Origin {
  const given = flag(setting.flag);
  if (given !== undefined) return { texts: given, kind: 'option', where: `--${setting.flag}` };
  const variable = environment[setting.variable] ?? '';
  if (variable !== '') {
    const texts = setting.isList ? variable.split(',').map(text => text.trim()) : [variable];
    return { texts, kind: 'environment', where: setting.variable };
  }
  const written = file?.values.get(setting.key);
  if (file !== undefined && written !== undefined)
    return { texts: written.texts, kind: 'file', where: `${file.path} line ${written.line}` };
  return { texts: setting.isList ? [] : [setting.standard], kind: 'default', where: '' };
}

function nameOf({ key }: Setting<unknown>, { kind, where }: Origin): string {
  return kind === 'file' ? `${where}: ${key}` : where;
}
