/** Finds what somebody meant who mistyped a name. */

/** The known key that is nearest, if one is near at all; its last part alone counts as well. */
export function nearestOf(key: string, keys: readonly string[]): string | undefined {
  let best: { readonly key: string; readonly distance: number } | undefined;
  for (const known of keys) {
    const distance = Math.min(
      editDistance(key, known),
      editDistance(key, known.split('.').at(-1) ?? known) + 1,
    );
    if (distance < (best?.distance ?? Math.max(3, key.length / 2))) best = { key: known, distance };
  }
  return best?.key;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
