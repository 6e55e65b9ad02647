/** `config check` and `config show`: what the settings are, and where each comes from. docs/configuration.md. */
import { join } from 'node:path';
import type { Setting, Settings } from '../config/setting.ts';
import { type Call, usage } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';
import { jsonLine, line } from './output.ts';
import { CONFIG_NAME } from './settings.ts';
import { harmlessLine } from './terminal-text.ts';

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

/** Run `config check` or `config show`. */
export function showConfig(call: Call, view: ConfigView): number {
  const [what = 'show'] = call.words;
  if (what === 'check') {
    if (call.on('json')) jsonLine({ ok: true, file: view.path ?? null, ...Object.fromEntries(view.lists) });
    else {
      line(
        view.path === undefined
          ? `There is no ${join(view.directory, CONFIG_NAME)}; the other settings are right.`
          : `${view.path} is right.`,
      );
      for (const [key, count, file] of view.lists) line(`${file} is right: ${key}, ${count} of them.`);
    }
    return EXIT_OK;
  }
  if (what !== 'show') throw usage('usage: config check|show');
  const rows = view.all.map(setting => {
    const { texts, kind, where } = view.settings.origin(setting);
    const shown = texts.map(text => setting.kind.show?.(text) ?? text);
    return { key: setting.key, value: setting.isList ? shown : (shown[0] ?? ''), kind, where };
  });
  if (call.on('json')) {
    jsonLine({ data: view.directory, file: view.path ?? null });
    for (const { key, value, kind, where } of rows) jsonLine({ key, value, origin: kind, where });
    for (const [key, count, where] of view.lists) jsonLine({ key, count, origin: 'file', where });
    return EXIT_OK;
  }
  line(`data directory  ${view.directory}`);
  line(`file            ${view.path ?? 'none'}`);
  line('');
  const printed = rows.map(({ key, value, kind, where }) => {
    const text = typeof value === 'string' ? value : value.join(', ') || '[]';
    return [key, harmlessLine(text), kind === 'default' ? 'default' : where] as const;
  });
  const lists = view.lists.map(([key, count, file]) => [key, `${count} of them`, file] as const);
  const all = [...printed, ...lists];
  const [keys, values] = [0, 1].map(column => Math.max(...all.map(row => row[column as 0 | 1].length)));
  for (const [key, value, where] of all)
    line(`${key.padEnd(keys ?? 0)}  ${value.padEnd(values ?? 0)}  ${where}`.trimEnd());
  return EXIT_OK;
}
