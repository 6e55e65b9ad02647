/** Options that decide about one start alone, and therefore are no settings. docs/configuration.md. */

const REASONS: Readonly<Record<string, string>> = {
  'trust-database':
    'whether a data directory is the newest is known when a host is started, and for that start alone: no setting, but the option --trust-database',
};

/** Why the option of this name is no setting; undefined when it is none of those. */
export function oneStartOf(name: string): string | undefined {
  return Object.hasOwn(REASONS, name) ? REASONS[name] : undefined;
}
