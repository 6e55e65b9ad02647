/** The recipes of docs/stores.md, taken from the page itself, so that what is tested is what people read. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/stores.md', import.meta.url)), 'utf8');

/** Take the block behind `<!-- tested: name -->`, with these texts replaced; each must be there. */
export function recipe(name: string, replacements: Readonly<Record<string, string>>): string {
  const block = new RegExp(`<!-- tested: ${name} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(PAGE)?.[1];
  if (block === undefined) throw new Error(`docs/stores.md has no block ${name}`);
  let text = block;
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`the recipe ${name} does not say ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}
