/** Reads a configuration file: YAML, bounded, with the line of everything that is wrong (docs/configuration.md). */
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { failure } from '../failure.ts';
import { readFileCapped, refuseLooseFile } from '../files.ts';
import { nearestOf } from './nearest.ts';
import { oneStartOf } from './one-start.ts';
import type { FileValue, Setting } from './setting.ts';

const CONFIG_BYTES_MAX = 65_536;
const PROBLEMS_MAX = 20;

/** A list of things that have a shape of their own, such as stores. Its items are judged by somebody else. */
export interface FileList {
  readonly items: readonly { readonly value: unknown; readonly line: number }[];
}

/** What a file says. */
export interface ConfigFile {
  readonly path: string;
  readonly values: ReadonlyMap<string, FileValue>;
  /** By key. */
  readonly lists: ReadonlyMap<string, FileList>;
}

/**
 * Read a configuration file; undefined when it is not there. `lists` are keys whose items are maps; a file that has
 * one may hold secrets, and is refused when others can read it.
 *
 * @throws ClawChatError `USAGE` with the line of everything that is wrong; `PERMISSIONS_LOOSE`.
 */
export async function readConfigFile(
  path: string,
  settings: readonly Setting<unknown>[],
  lists: readonly string[],
): Promise<ConfigFile | undefined> {
  const bytes = await readFileCapped(path, CONFIG_BYTES_MAX);
  if (bytes === undefined) return undefined;
  const config = parseConfig(new TextDecoder().decode(bytes), path, settings, lists);
  const isSecret = [...config.lists.values()].some(({ items }) => items.length > 0);
  await refuseLooseFile(path, isSecret ? 'stores may hold secrets' : undefined);
  return config;
}

/** Parse the text of a configuration file. @throws ClawChatError `USAGE` */
export function parseConfig(
  text: string,
  path: string,
  settings: readonly Setting<unknown>[],
  lists: readonly string[],
): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const problems: Problem[] = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    line: lines.linePos(pos[0]).line,
    text: message,
  }));
  const reader = new Reader(settings, lists, node => lines.linePos(node.range?.[0] ?? 0).line);
  const root: unknown = document.contents;
  if (problems.length === 0 && isMap(root)) reader.map(root as YAMLMap.Parsed, '');
  else if (problems.length === 0 && isNode(root) && !(isScalar(root) && root.value === null))
    problems.push({ line: 1, text: 'a configuration is a list of "key: value" lines' });
  problems.push(...reader.problems);
  if (problems.length > 0) {
    const shown = problems
      .slice(0, PROBLEMS_MAX)
      .map(({ line, text: what }) => `${path} line ${line}: ${what}`);
    throw failure(ErrorCode.USAGE, shown.join('; '));
  }
  return { path, values: reader.values, lists: reader.found };
}

interface Problem {
  readonly line: number;
  readonly text: string;
}

/** Walks the maps of a document along the keys that there are. */
class Reader {
  readonly values = new Map<string, FileValue>();
  readonly found = new Map<string, FileList>();
  readonly problems: Problem[] = [];
  readonly #settings: ReadonlyMap<string, Setting<unknown>>;
  readonly #lists: ReadonlySet<string>;
  readonly #lineOf: (node: ParsedNode) => number;

  constructor(
    settings: readonly Setting<unknown>[],
    lists: readonly string[],
    lineOf: (node: ParsedNode) => number,
  ) {
    this.#settings = new Map(settings.map(setting => [setting.key, setting]));
    this.#lists = new Set(lists);
    this.#lineOf = lineOf;
  }

  /** `prefix` is empty or ends with a dot. */
  map(map: YAMLMap.Parsed, prefix: string): void {
    for (const { key: keyNode, value } of map.items) {
      const line = this.#lineOf(keyNode);
      const key = `${prefix}${isScalar(keyNode) ? String(keyNode.value) : '?'}`;
      if (this.#lists.has(key)) this.#list(key, value, line);
      else if (this.#settings.has(key)) this.#setting(key, value, line);
      else if (!this.#keys.some(known => known.startsWith(`${key}.`)))
        this.problems.push({ line, text: `there is no setting "${key}"; ${this.#suggestion(key)}` });
      else if (isMap(value)) this.map(value, `${key}.`);
      else
        this.problems.push({
          line,
          text: `"${key}" is a group of settings: ${this.#within(key).join(', ')}`,
        });
    }
  }

  get #keys(): readonly string[] {
    return [...this.#settings.keys(), ...this.#lists];
  }

  #within(group: string): readonly string[] {
    return this.#keys.filter(key => key.startsWith(`${group}.`)).map(key => key.slice(group.length + 1));
  }

  #suggestion(key: string): string {
    const once = oneStartOf(key);
    if (once !== undefined) return once;
    const nearest = nearestOf(key, this.#keys);
    return nearest === undefined ? `there are ${this.#keys.join(', ')}` : `did you mean "${nearest}"?`;
  }

  #setting(key: string, value: ParsedNode | null, line: number): void {
    const setting = this.#settings.get(key);
    if (setting === undefined) return;
    const nodes = setting.isList && isSeq(value) ? value.items : [value];
    const texts: string[] = [];
    for (const node of nodes) {
      const text = textOf(node);
      if (text === undefined) {
        const what = setting.isList ? `a list, each of ${setting.kind.takes}` : setting.kind.takes;
        this.problems.push({ line, text: `"${key}" takes ${what}, not ${nameOfNode(node)}` });
        return;
      }
      texts.push(text);
    }
    this.values.set(key, { texts, line });
  }

  #list(key: string, value: ParsedNode | null, line: number): void {
    if (!isSeq(value)) {
      this.problems.push({ line, text: `"${key}" takes a list, not ${nameOfNode(value)}` });
      return;
    }
    const items = value.items.map(item => ({ value: item.toJSON() as unknown, line: this.#lineOf(item) }));
    this.found.set(key, { items });
  }
}

/** A scalar as it would be written for an option; undefined for anything else. */
function textOf(node: ParsedNode | null): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined;
  const { value } = node;
  // As it was written: 010 and 1e3 are no numbers of ours.
  if (typeof value === 'number') return node.source;
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}

function nameOfNode(node: ParsedNode | null): string {
  if (isMap(node)) return 'a group';
  if (isSeq(node)) return 'a list';
  if (node === null || (isScalar(node) && node.value === null)) return 'nothing: leave the line out';
  return isScalar(node) ? 'that' : 'an alias';
}
