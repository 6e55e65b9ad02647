/** `config check` and `config show`: what the settings are, and where each comes from. docs/configuration.md. */
import { join } from 'node:path';
import type { Setting, Settings, ShownSetting } from '../config/setting.ts';
import { type Call, usage } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';
import { jsonLine, line } from './output.ts';
import type { RunningHost } from './running-host.ts';
import { CONFIG_NAME } from './settings.ts';
import { harmlessLine } from './terminal-text.ts';
import { shellWord, withCommands } from './typed-command.ts';

/** What there is to show. Everything that can be wrong was thrown before. */
export interface ConfigView {
  readonly settings: Settings;
  readonly all: readonly Setting<unknown>[];
  readonly directory: string;
  /** Of the file that was read. */
  readonly path: string | undefined;
  /** What is listed, by key: how many there are, and in which file. */
  readonly lists: readonly (readonly [key: string, count: number, file: string])[];
}

/** Run `config check` or `config show`; `running` is the host that runs on the directory. */
export function showConfig(call: Call, view: ConfigView, running?: RunningHost): number {
  const [what = 'show'] = call.words;
  if (what !== 'check' && what !== 'show') throw usage('usage: config check|show');
  const print = what === 'check' ? printCheck : printAll;
  print(view, running, call.on('json'));
  return EXIT_OK;
}

function printCheck(view: ConfigView, running: RunningHost | undefined, json: boolean): void {
  if (json) {
    jsonLine({
      ok: true,
      file: view.path ?? null,
      ...runningJson(running),
      ...Object.fromEntries(view.lists),
    });
    return;
  }
  line(
    view.path === undefined
      ? `There is no ${join(view.directory, CONFIG_NAME)}; the other settings are right.`
      : `${view.path} is right.`,
  );
  for (const [key, count, file] of view.lists) line(`${file} is right: ${key}, ${count} of them.`);
  if (running === undefined || !isTelling(running) || running.file === view.path) return;
  const other = running.file === undefined ? '' : ` --config ${shellWord(running.file)}`;
  const check = withCommands(`\`clawchatd config check --data ${shellWord(view.directory)}${other}\``);
  const how = running.file === undefined ? '' : `; to check that: ${check}`;
  line(`The host that runs here (process ${running.pid}) was started with ${fileText(running)}${how}`);
}

function printAll(view: ConfigView, running: RunningHost | undefined, json: boolean): void {
  const here = view.settings.shown(view.all);
  const isTold = running !== undefined && isTelling(running);
  const inForce = isTold ? running.settings : here;
  const differs = isTold ? here.filter(one => !isSame(one, inForce)) : [];
  // What a file lists counts for a host that was started with that file.
  const lists = isTold && running.file !== view.path ? [] : view.lists;
  const isList = new Set(view.all.filter(setting => setting.isList).map(({ key }) => key));
  if (json) {
    jsonLine({ data: view.directory, file: view.path ?? null, ...runningJson(running) });
    const value = ({ key, values }: ShownSetting): unknown => (isList.has(key) ? values : (values[0] ?? ''));
    for (const one of inForce) {
      const next = differs.find(({ key }) => key === one.key);
      const { key, origin, where } = one;
      const then = next && { next: { value: value(next), origin: next.origin, where: next.where } };
      jsonLine({ key, value: value(one), origin, where, ...then });
    }
    for (const [key, count, where] of lists) jsonLine({ key, count, origin: 'file', where });
    return;
  }
  line(`data directory  ${view.directory}`);
  if (!isTold) line(`file            ${view.path ?? 'none'}`);
  if (running !== undefined) line(`running host    ${runningText(running)}`);
  line('');
  const more = lists.map(([key, count, file]) => [key, `${count} of them`, file] as const);
  printRows([...inForce.map(rowOf), ...more]);
  if (!isTold) return;
  const from = view.path ?? 'no file';
  if (differs.length === 0 && running.file === view.path) return;
  line('');
  if (differs.length === 0) line(`A host that is started as this command was (${from}) would have the same.`);
  else {
    line(
      `This is what the host was started with. One that is started as this command was (${from}) would have:`,
    );
    printRows(differs.map(rowOf));
  }
}

type Row = readonly [key: string, value: string, where: string];

function rowOf({ key, values, origin, where }: ShownSetting): Row {
  return [
    key,
    harmlessLine(values.join(', ') || '[]'),
    origin === 'default' ? 'default' : harmlessLine(where),
  ];
}

function printRows(rows: readonly Row[]): void {
  const [keys, values] = [0, 1].map(column => Math.max(...rows.map(row => row[column as 0 | 1].length)));
  for (const [key, value, where] of rows)
    line(`${key.padEnd(keys ?? 0)}  ${value.padEnd(values ?? 0)}  ${where}`.trimEnd());
}

function isSame({ key, values }: ShownSetting, all: readonly ShownSetting[]): boolean {
  const other = all.find(one => one.key === key);
  return other === undefined || JSON.stringify(other.values) === JSON.stringify(values);
}

function isTelling({ settings }: RunningHost): boolean {
  return settings.length > 0;
}

function fileText({ file }: RunningHost): string {
  return file === undefined ? 'no configuration file' : harmlessLine(file);
}

function runningText(running: RunningHost): string {
  const which = `process ${running.pid}`;
  return isTelling(running)
    ? `${which}, started with ${fileText(running)}`
    : `${which}, whose program gave it its settings; what follows is not about it`;
}

function runningJson(running: RunningHost | undefined): object {
  if (running === undefined) return {};
  const { pid, file = null } = running;
  return { running: { pid, file, tells: isTelling(running) } };
}
