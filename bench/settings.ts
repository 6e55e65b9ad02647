/** What a measurement is asked for, and what a group of rows is (bench/README.md). */
import type { Measured } from './stats.ts';

/** What was asked for. */
export interface Settings {
  /** Where the bundled parts are. */
  readonly built: string;
  /** Measured rounds of each row; the figures are their medians. */
  readonly rounds: number;
  /** 1 for figures; less for a look whether all of it still runs: that part of the messages, and few sessions. */
  readonly effort: number;
  /** Only rows whose name contains this, where a group has many. */
  readonly match: string;
  /** Whether the packages of bench/package.json are installed. */
  readonly hasPeers: boolean;
  /** Flags of Node for the measured host. */
  readonly hostFlags: readonly string[];
}

/** Takes rows as they are measured. */
export type Show = (measured: readonly Measured[]) => void;

/** Rows that are measured together, and can be asked for by name. */
export interface Group {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /** Bundled for it besides what all have: files of bench/, without `.ts`. */
  readonly parts?: readonly string[];
  measure(settings: Settings, show: Show): Promise<void>;
}

/** That part of a count, and at least one. */
export function scaled({ effort }: Settings, count: number): number {
  return Math.max(1, Math.round(count * effort));
}
