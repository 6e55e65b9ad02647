/** The behaviour suite over a local file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalStore } from '../../src/node/stores/local.ts';
import { type StoreLab, storeBehaviour } from './behaviour.ts';

const WRITER = fileURLToPath(new URL('local-writer.ts', import.meta.url));

/** Kill a process that writes `bytes` to `path`, `after` (0 to 1) of a few milliseconds after it began. */
export async function dieWriting(path: string, source: string, after: number): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', WRITER, path, source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  if (after > 0) await once(child.stdout, 'data');
  await new Promise(resolve => setTimeout(resolve, after * 12));
  child.kill('SIGKILL');
  await ended;
}

async function openLab(): Promise<StoreLab> {
  const root = await mkdtemp(join(tmpdir(), 'clawchat-store-'));
  const folder = join(root, 'folder');
  const path = join(folder, 'host.claw');
  let isMissing = false;
  return {
    limitMs: 1000,
    reader: () => new LocalStore(path),
    writer: () => new LocalStore(isMissing ? join(root, 'missing', 'host.claw') : path),
    clear: async () => {
      isMissing = false;
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { mode: 0o700 });
    },
    plant: bytes => writeFile(path, bytes),
    peek: async () => {
      const names = (await readdir(folder)).filter(name => !name.endsWith('.tmp'));
      return await Promise.all(names.map(name => readFile(join(folder, name))));
    },
    faults: {
      slow: 'a disk that hangs hangs every program; nothing here waits for a network',
      down: 'a file has no network',
      cut: 'a file has no network',
      busy: 'a file asks for no patience',
      quota: 'needs a full disk: the system tests mount one',
      refused: async () => {
        // Modes do not stop root; a folder that is not there stops everybody.
        isMissing = true;
      },
    },
    dyingWrite: async (bytes, after) => {
      const source = join(root, 'source');
      await writeFile(source, bytes);
      await dieWriting(path, source, after);
    },
    close: () => rm(root, { recursive: true, force: true }),
  };
}

storeBehaviour('local file', openLab);
