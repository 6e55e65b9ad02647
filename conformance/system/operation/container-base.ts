/**
 * A stand-in for the image that packaging/Containerfile begins with, as no registry of images is asked: what is essential
 * in Debian as it is installed on this machine, the Node under test, this machine's npm, and the user `node`.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { NODE } from '../programs.ts';

/** The user `node` of the image that it stands for. */
export const USER_ID = 1000;

/** Links into /usr, through which packages name their files. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];
/** Not in slim images either. */
const LEFT_OUT = /^\/usr\/share\/(?:doc|info|lintian|locale|man)\//;

const say = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });

/** Debian's essential packages with what they depend on, and what a program in C++ needs. */
function packages(): ReadonlySet<string> {
  const needs = new Map<string, readonly string[]>();
  const wanted = ['libstdc++6'];
  const fields = ['Package', 'Essential', 'Pre-Depends', 'Depends'].map(field => `\${${field}}`).join('\\t');
  for (const line of say('dpkg-query', '-W', '-f', `${fields}\\n`).trim().split('\n')) {
    const [name = '', essential, ...depends] = line.split('\t');
    needs.set(name, depends.join(', ').match(/[a-z0-9][a-z0-9+.-]+(?=[ ,:|]|$)/g) ?? []);
    if (essential === 'yes') wanted.push(name);
  }
  const found = new Set<string>();
  for (const name of wanted) {
    if (found.has(name) || !needs.has(name)) continue;
    found.add(name);
    wanted.push(...(needs.get(name) ?? []));
  }
  return found;
}

/** The files of this machine that it takes over, relative to its root. */
function machineFiles(): readonly string[] {
  const owned = say('dpkg', '-L', ...packages()).split('\n');
  const libraries = say('ldd', NODE).match(/\/\S+(?= \(0x)/g) ?? [];
  const links = MERGED.map(name => `/${name}`);
  const paths = [...owned, ...libraries, ...libraries.map(path => realpathSync(path))]
    .filter(path => path.startsWith('/') && !LEFT_OUT.test(path) && !links.includes(path))
    .map(path => (links.some(link => path.startsWith(`${link}/`)) ? `/usr${path}` : path))
    .filter(path => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false);
  return [...new Set(paths)].map(path => path.slice(1));
}

/** Make the files that are its own in an empty directory. */
function ownFiles(root: string): void {
  for (const name of MERGED) symlinkSync(`usr/${name}`, join(root, name));
  for (const path of [
    'dev',
    'etc',
    'home/node',
    'proc',
    'root',
    'run',
    'sys',
    'tmp',
    'usr/local/bin',
    'var/tmp',
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const path of ['tmp', 'var/tmp']) chmodSync(join(root, path), 0o1777);
  chownSync(join(root, 'home/node'), USER_ID, USER_ID);
  for (const [name, line] of [
    ['passwd', `node:x:${USER_ID}:${USER_ID}::/home/node:/bin/bash\n`],
    ['group', `node:x:${USER_ID}:\n`],
  ] as const) {
    copyFileSync(`/usr/share/base-passwd/${name}.master`, join(root, 'etc', name));
    appendFileSync(join(root, 'etc', name), line);
  }
  copyFileSync(realpathSync(NODE), join(root, 'usr/local/bin/node'));
  const npm = dirname(dirname(realpathSync(say('sh', '-c', 'command -v npm').trim())));
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, verbatimSymlinks: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name));
}

/** Prepare it in a directory; gives the shell command that writes it as a tar archive. */
export function prepareBase(directory: string): string {
  const [root, list] = [join(directory, 'root'), join(directory, 'files')];
  mkdirSync(root, { recursive: true });
  ownFiles(root);
  writeFileSync(list, machineFiles().join('\n'));
  return `tar -c --no-recursion -C / -T '${list}' --recursion -C '${root}' .`;
}
