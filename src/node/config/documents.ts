/** Writes the settings down: config.example.yaml, and the tables of docs/configuration.md. */
import type { Setting } from './setting.ts';

const WIDTH = 100;

/** An example of a file: every setting with its explanation and its default. `end` follows. */
export function exampleFile(title: string, settings: readonly Setting<unknown>[], end: string): string {
  const lines = [...comment(title, ''), ''];
  let group = '';
  for (const setting of settings) {
    const { key } = setting;
    const [first = '', second] = key.split('.');
    const indent = second === undefined ? '' : '  ';
    if (second !== undefined && first !== group) lines.push(`${first}:`);
    group = second === undefined ? '' : first;
    const { flag, value, variable, kind, isList } = setting;
    const option = `--${flag}${value === undefined ? '' : ` ${value}`}`;
    const takes = isList ? `a list, each ${kind.takes}` : kind.takes;
    lines.push(...comment(`${sentences(setting)} Takes ${takes}. ${option}, ${variable}.`, indent));
    lines.push(`${indent}${second ?? first}: ${isList ? '[]' : setting.standard}`, '');
  }
  return `${[...lines, end].join('\n').trimEnd()}\n`;
}

/** The table of all settings. */
export function settingsTable(settings: readonly Setting<unknown>[], isInFile = true): string {
  const rows = settings.map(setting => {
    const { key, flag, value, variable, standard, isList, kind } = setting;
    const option = `\`--${flag}${value === undefined ? '' : ` ${value}`}\``;
    const quoted = isInFile ? `\`${standard}\`` : standard;
    const shown = isList ? '`[]`' : quoted;
    const takes = isList ? `a list, each ${kind.takes}` : kind.takes;
    const cells = [option, `\`${variable}\``, shown, takes, sentences(setting)];
    return `| ${(isInFile ? [`\`${key}\``, ...cells] : cells).join(' | ')} |`;
  });
  const head = ['option', 'environment', 'default', 'takes', 'what it does'];
  const columns = isInFile ? ['key in the file', ...head] : head;
  return [`| ${columns.join(' | ')} |`, `|${'---|'.repeat(columns.length)}`, ...rows].join('\n');
}

function sentences({ help, more }: Setting<unknown>): string {
  const text = `${help.slice(0, 1).toUpperCase()}${help.slice(1)}.`;
  return more === '' ? text : `${text} ${more}`;
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
