/** Rows of the table: medians, ratios and aims (bench/README.md). */

/** An aim: the ratio, or the figure itself, is at most this. */
export interface Aim {
  readonly max: number;
  readonly of: 'ratio' | 'value';
}

/** One line of the table. */
export interface Row {
  readonly group: string;
  readonly name: string;
  /** What the figures are: 'us', 'ms', 'KiB', ... */
  readonly unit: string;
  /** The median of ours. */
  readonly value: number;
  /** The median of what it is compared with, and what that is. */
  readonly against: number | undefined;
  readonly what: string | undefined;
  /** Median of the ratios of each round, which is not the ratio of the medians. */
  readonly ratio: number | undefined;
  /** The lowest and the highest ratio of a round. */
  readonly spread: readonly [number, number] | undefined;
  readonly aim: Aim | undefined;
  readonly hit: boolean | undefined;
}

/** The middle of the values; of an even number the mean of both. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** What a row is made of: `ours[i]` and `theirs[i]` were measured one right after the other. */
export interface Measured {
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly theirs?: readonly number[];
  readonly what?: string;
  readonly aim?: Aim;
}

/** Compute a row. */
export function row({ group, name, unit, ours, theirs, what, aim }: Measured): Row {
  const ratios = theirs === undefined ? [] : ours.map((value, i) => value / (theirs[i] ?? Number.NaN));
  const value = median(ours);
  const ratio = theirs === undefined ? undefined : median(ratios);
  const judged = aim?.of === 'value' ? value : ratio;
  return {
    group,
    name,
    unit,
    value,
    against: theirs === undefined ? undefined : median(theirs),
    what,
    ratio,
    spread: theirs === undefined ? undefined : [Math.min(...ratios), Math.max(...ratios)],
    aim,
    hit: aim === undefined || judged === undefined ? undefined : judged <= aim.max,
  };
}

function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The ratio with its spread, or nothing. */
export function ratioOf({ ratio, spread }: Row): string {
  if (ratio === undefined || spread === undefined) return '';
  return `**${ratio.toFixed(2)}** (${spread[0].toFixed(2)} - ${spread[1].toFixed(2)})`;
}

/** Whether the aim was hit, if there is one. */
export function verdictOf({ hit }: Row): string {
  if (hit === undefined) return '';
  return hit ? 'hit' : 'MISS';
}

/** Print a row as a line of a Markdown table. */
export function line(of: Row): string {
  const { value, unit, against, what, aim } = of;
  const theirs = against === undefined ? '' : `${what ?? ''} ${figure(against)} ${unit}`;
  const aimText = aim === undefined ? '' : `<= ${aim.max}${aim.of === 'value' ? ` ${unit}` : ''}`;
  return `| ${of.name} | ${figure(value)} ${unit} | ${theirs} | ${ratioOf(of)} | ${aimText} | ${verdictOf(of)} |`;
}

/** The head of that table. */
export const HEAD: readonly string[] = [
  '| what | ClawChat | against | ratio (lowest - highest round) | aim | |',
  '|---|---|---|---|---|---|',
];
