/** The recipes of the documents, taken from the pages themselves, so that what is tested is what people read. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url));

/** Take the block behind `<!-- tested: name -->` of a page, with these texts replaced; each must be there. */
export function recipe(
  name: string,
  replacements: Readonly<Record<string, string>>,
  page: string = 'stores.md',
): string {
  const document = readFileSync(`${DOCS}${page}`, 'utf8');
  const block = new RegExp(`<!-- tested: ${name} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(document)?.[1];
  if (block === undefined) throw new Error(`docs/${page} has no block ${name}`);
  let text = block;
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`the recipe ${name} does not say ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}
