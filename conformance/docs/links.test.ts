/** Every link of every page leads to a file, and its anchor to a heading. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const pages = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], { encoding: 'utf8' })
  .trim()
  .split('\n');

/** Names of a page's headings as GitHub makes them. */
function anchors(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [, title = ''] of withoutCode(text).matchAll(/^#+ +(.*)$/gm)) {
    const name = title
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    let unique = name;
    for (let count = 1; names.has(unique); count += 1) unique = `${name}-${count}`;
    names.add(unique);
  }
  return names;
}

function withoutCode(text: string): string {
  return text.replace(/^ *```[\s\S]*?^ *```$/gm, '');
}

function broken(page: string): readonly string[] {
  const text = withoutCode(readFileSync(page, 'utf8')).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (!existsSync(file)) return [target];
    if (anchor === undefined || !file.endsWith('.md')) return [];
    return anchors(readFileSync(file, 'utf8')).has(anchor) ? [] : [target];
  });
}

test('there are pages', () => {
  expect(pages.length).toBeGreaterThan(20);
});

test.each(pages)('%s', page => {
  expect(broken(page)).toEqual([]);
});

test('each page of docs/ stands in its index', () => {
  const index = readFileSync('docs/README.md', 'utf8');
  const missing = pages.filter(
    page => page.startsWith('docs/') && page !== 'docs/README.md' && !index.includes(`(${page.slice(5)})`),
  );
  expect(missing).toEqual([]);
});
