/** Finds the code blocks of a page, so that what is printed is what is run. */

/** A fenced block and what stands behind it up to the next heading. */
export interface CodeBlock {
  readonly code: string;
  readonly after: string;
}

/** Give the first block of a language behind a heading. */
export function codeBlock(page: string, language: string, heading: string): CodeBlock {
  const section = page.split(`\n${heading}\n`)[1];
  if (section === undefined) throw new Error(`there is no heading "${heading}"`);
  const [, code, after = ''] =
    new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$([\\s\\S]*)`, 'm').exec(section) ?? [];
  if (code === undefined) throw new Error(`there is no ${language} block behind "${heading}"`);
  return { code, after: after.split(/^#/m)[0] ?? '' };
}

/** Give every block of a language behind a heading, up to the next heading of that level. */
export function codeBlocks(page: string, language: string, heading: string): readonly string[] {
  const section = page.split(`\n${heading}\n`)[1]?.split(/^## /m)[0] ?? '';
  const blocks = section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'));
  return [...blocks].map(([, code = '']) => code);
}

/** A block that a test does something with, and what: the words of the comment before it. */
export interface MarkedBlock {
  readonly kind: string;
  readonly code: string;
}

/** Give the fenced blocks that have a comment right before them, in order, without their indentation. */
export function markedBlocks(page: string): readonly MarkedBlock[] {
  const blocks = page.matchAll(
    /^( *)<!-- (run(?:: host)?|prints|module: \S+) -->\n *```\w*\n([\s\S]*?)^ *```$/gm,
  );
  return [...blocks].map(([, indent = '', kind = '', code = '']) => ({
    kind,
    code: code.replace(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}
