import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Locked {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Record<string, string>; readonly resolved?: string }>
  >;
}

const locked: Locked = JSON.parse(readFileSync('package-lock.json', 'utf8'));

it('locks the optional packages of every platform, or `npm ci` refuses the lock file', () => {
  const names = Object.keys(locked.packages);
  const missing = Object.values(locked.packages)
    .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
    .filter(wanted => !names.some(name => name.endsWith(`node_modules/${wanted}`)));
  expect(missing).toEqual([]);
});

it('names no registry', () => {
  expect(Object.values(locked.packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});
