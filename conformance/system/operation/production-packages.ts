/** What a clone needs at run time. */
import { existsSync, readFileSync } from 'node:fs';

/** What `npm ci --omit=dev` installs, by the lock file. */
export function productionPackages(): readonly string[] {
  const { packages }: { packages: Record<string, { dev?: boolean; devOptional?: boolean }> } = JSON.parse(
    readFileSync('package-lock.json', 'utf8'),
  );
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional && existsSync(path))
    .map(([path]) => path);
}
