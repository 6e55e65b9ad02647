/**
 * Compares `proto/` with the committed image of what was promised: a change that breaks the wire or its JSON fails.
 *
 * `npm run breaking`              compares
 * `npm run breaking -- --write`   compares, then renews the image (with `--force` without comparing)
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The committed image, from the root of the repository. */
export const IMAGE: string = 'proto/clawchat.v1.binpb';

/** Say whether there is something to promise: more than the local control protocol. */
export function needsImage(root: string): boolean {
  const names = readdirSync(join(root, 'proto'), { recursive: true }).map(String);
  return names.some(name => name.endsWith('.proto') && !name.endsWith('control.proto'));
}

/** Compare `proto/` in `root` with an image; answer what breaks, a line each. */
export function breaking(root: string, image: string = join(root, IMAGE)): readonly string[] {
  try {
    buf(root, ['breaking', '--against', image]);
    return [];
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
    const lines = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n');
    return lines.some(line => line !== '') ? lines : [String(error)];
  }
}

/** Write the image of `proto/` in `root`. */
export function writeImage(root: string, image: string = join(root, IMAGE)): void {
  buf(root, ['build', '--exclude-source-info', '--output', image]);
}

function buf(root: string, args: readonly string[]): string {
  const bin = fileURLToPath(new URL('../node_modules/.bin/buf', import.meta.url));
  return execFileSync(bin, args, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
}

function main(args: readonly string[]): void {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const found = existsSync(join(root, IMAGE));
  const broken = found && !args.includes('--force') ? breaking(root) : [];
  for (const line of broken) console.error(line);
  if (broken.length > 0) process.exitCode = 1;
  else if (args.includes('--write')) writeImage(root);
  else if (!found && needsImage(root)) {
    console.error(`${IMAGE} is absent: npm run breaking -- --write`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
