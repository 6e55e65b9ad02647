/**
 * The commands and programs of README.md and docs/, run as printed: a block behind `<!-- run -->` in its page's directory,
 * one behind `<!-- run: host -->` in the background until the page ends, and what stands behind `<!-- prints -->` is what
 * came out. `npx` and `npm` are those of a clone that was installed and built.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { markedBlocks } from './markdown.ts';
import { NODE, PATIENCE_MS, Place, type Running } from './programs.ts';

const ROOT = process.cwd();
const PAGES = [
  'README.md',
  ...['quick-start', 'host', 'client', 'security', 'writing-a-client'].map(name => `docs/${name}.md`),
];
const place = new Place();
const hosts: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  await Promise.all(hosts.map(stop => stop()));
  await place.clean();
});

/** Commands of a clone: they start what the build has made. */
const bin = place.path('bin');
mkdirSync(bin);
const start = 'exec "$node" "$PWD/dist/clawchatd.js" --data .data/host';
for (const [name, text] of Object.entries({
  npx: 'name=$1; shift; exec "$node" "$PWD/dist/$name.js" "$@"',
  npm: `case "$1" in ci) ;; start) ${start} ;; *) exit 9 ;; esac`,
  clawchatd: 'exec "$node" "$dist/clawchatd.js" "$@"',
  clawchat: 'exec "$node" "$dist/clawchat.js" "$@"',
})) {
  const values = `node='${NODE}' dist='${join(ROOT, 'dist')}'`;
  writeFileSync(join(bin, name), `#!/bin/sh\n${values}\n${text}\n`);
  chmodSync(join(bin, name), 0o755);
}

interface Shell {
  /** Run a block to its end; gives all that it printed. */
  run(code: string): Promise<string>;
  /** Run a block until it is ready, and on. */
  start(code: string): Promise<string>;
}

/** A directory that looks like a clone that was built, for those who look. */
function shell(directory: string): Shell {
  mkdirSync(directory);
  symlinkSync(join(ROOT, 'dist'), join(directory, 'dist'));
  symlinkSync(join(ROOT, 'package.json'), join(directory, 'package.json'));
  const spawned = (code: string): ReturnType<typeof spawn> =>
    spawn('bash', ['-euo', 'pipefail', '-c', code], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: {
        ...process.env,
        PATH: `${bin}${delimiter}${process.env['PATH']}`,
        HOME: directory,
        XDG_RUNTIME_DIR: directory,
        NO_COLOR: '1',
      },
    });
  const watch = (code: string, until: (said: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawned(code);
      let said = '';
      let stdout = '';
      const end = (): void => {
        const isOver = child.exitCode !== null || child.signalCode !== null;
        if (child.pid !== undefined && !isOver) process.kill(-child.pid, 'SIGTERM');
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`it does not end:\n${code}\n${said}`));
      }, PATIENCE_MS);
      const ended = new Promise<void>(done => {
        child.on('close', status => {
          clearTimeout(timer);
          if (status === 0) resolve(stdout);
          else reject(new Error(`it ended with ${status}:\n${code}\n${said}`));
          done();
        });
      });
      const look = (): void => {
        if (!until(stdout)) return;
        clearTimeout(timer);
        resolve(stdout);
      };
      child.stdout?.on('data', (piece: Buffer) => {
        said += piece.toString();
        stdout += piece.toString();
        look();
      });
      child.stderr?.on('data', (piece: Buffer) => {
        said += piece.toString();
      });
      hosts.push(async () => {
        end();
        await ended;
      });
    });
  return {
    run: code => watch(code, () => false),
    start: code => watch(code, stdout => stdout.includes('to see how it is:')),
  };
}

/** What differs from run to run, made alike: numbers, words to compare, addresses, the place of the clone. */
function alike(text: string): string {
  return text
    .replace(/\([^)\n]*\)/g, '(addresses)')
    .replace(/ \/\S+\/\.data/g, ' DIR/.data')
    .replace(/operator: .*/g, 'operator: words')
    .replace(/\d+/g, '0')
    .trim();
}

describe.each(PAGES)('%s', page => {
  const blocks = markedBlocks(readFileSync(join(ROOT, page), 'utf8'));
  it(`holds what it says: ${blocks.filter(({ kind }) => kind === 'run').length} blocks`, async () => {
    const at = shell(place.path(page.replace(/\W/g, '-')));
    let printed = '';
    expect(blocks.length).toBeGreaterThan(1);
    for (const { kind, code } of blocks) {
      if (kind === 'prints') expect(alike(printed)).toBe(alike(code));
      else printed = kind === 'run' ? await at.run(code) : await at.start(code);
    }
  });
});

describe('docs/embedding.md', () => {
  const directory = place.path('embedding');
  mkdirSync(join(directory, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(directory, 'node_modules/clawchat'));
  for (const { kind, code } of markedBlocks(readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8'))) {
    if (kind.startsWith('module: ')) writeFileSync(join(directory, kind.slice('module: '.length)), code);
  }
  const within = { before: ['env', '-C', directory] };
  const script = (name: string): { file: string; before: string[] } => ({
    file: join(directory, name),
    ...within,
  });

  it('the service answers its caller', async () => {
    const service = place.start(script('service.mjs'), []);
    await service.line(line => line === 'ready');
    expect(await place.run(script('caller.mjs'), [])).toMatchObject({ code: 0, stdout: 'Ann: hello\n' });
    expect(await service.stop()).toMatchObject({ code: 0, stderr: '' });
  });

  it('the bot answers each message once, also when it dies and begins again', async () => {
    const A = place.path('bot-host');
    const host = await place.host(A);
    const ann = place.path('bot-ann');
    await place.join(A, ann, 'Ann');
    await place.ok('clawchat', ['send', 'before its time', '--data', ann]);
    await place.join(A, place.path('bot'), 'Bot');
    const start = async (): Promise<Running> => {
      const bot = place.start(script('bot.mjs'), [place.path('bot')]);
      await bot.line(line => line === 'ready');
      return bot;
    };
    const first = await start();
    const answered = async (count: number): Promise<string> =>
      place.ok('clawchat', ['listen', '--data', ann, '--from', '0', '--count', String(count)]);
    await place.ok('clawchat', ['send', 'one', '--data', ann]);
    await answered(3);
    await first.stop('SIGKILL');
    await place.ok('clawchat', ['send', 'two', '--data', ann]);
    const second = await start();
    await answered(5);
    await place.ok('clawchat', ['send', 'three', '--data', ann]);
    expect((await answered(7)).replace(/^\d\d:\d\d /gm, '')).toBe(
      'Ann: before its time\nAnn: one\nBot: you said: one\nAnn: two\nBot: you said: two\nAnn: three\nBot: you said: three\n',
    );
    await second.stop('SIGKILL');
    await host.stop();
  });
});
