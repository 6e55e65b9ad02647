/** Completion in real shells: somebody types the beginning of a word and presses Tab. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Place } from '../programs.ts';
import { until } from '../until.ts';

const place = new Place();
const always = (): boolean => true;
const never = (): boolean => false;
const SERVER = `clawchat-completion-${process.pid}`;

function tmux(...args: readonly string[]): string {
  return execFileSync('tmux', ['-L', SERVER, ...args], { encoding: 'utf8' });
}

beforeAll(async () => {
  mkdirSync(place.path('bin'));
  mkdirSync(place.path('zsh'));
  for (const name of ['clawchat', 'clawchatd'] as const) {
    symlinkSync(join(process.cwd(), 'dist', `${name}.js`), place.path('bin', name));
    chmodSync(place.path('bin', name), 0o755);
    writeFileSync(place.path(`${name}.bash`), await place.ok(name, ['completion', 'bash']));
    writeFileSync(place.path('zsh', `_${name}`), await place.ok(name, ['completion', 'zsh']));
    writeFileSync(place.path(`${name}.fish`), await place.ok(name, ['completion', 'fish']));
  }
});
afterAll(async () => {
  const pids = tmux('list-panes', '-a', '-F', '#{pane_pid}').trim().split('\n').map(Number);
  tmux('kill-server');
  // Whoever still lives writes into its home.
  await until('the shells have ended', () => pids.every(pid => !existsSync(`/proc/${pid}`)));
  await until('their home is removed', () => place.clean().then(always, never));
});

/** How each shell is begun, and what loads the completion. */
const SHELLS: Readonly<Record<string, { readonly start: string; readonly load: readonly string[] }>> = {
  bash: {
    start: 'bash --norc --noprofile -i',
    load: ['source clawchat.bash', 'source clawchatd.bash'],
  },
  zsh: {
    start: 'zsh -f -i',
    load: ['fpath=($PWD/zsh $fpath)', 'autoload -Uz compinit && compinit -u -D'],
  },
  fish: {
    start: 'fish --no-config -i',
    load: ['source clawchat.fish', 'source clawchatd.fish'],
  },
};

describe.each(Object.entries(SHELLS))('in %s', (name, { start, load }) => {
  const screen = (): string => tmux('capture-pane', '-p', '-J', '-t', name);

  beforeAll(async () => {
    const environment = `env PATH=${place.path('bin')}:/usr/bin:/bin HOME=${place.root} TERM=screen`;
    tmux(
      'new-session',
      '-d',
      '-s',
      name,
      '-x',
      '120',
      '-y',
      '30',
      '-c',
      place.root,
      `${environment} ${start}`,
    );
    for (const line of load) tmux('send-keys', '-t', name, line, 'Enter');
    tmux('send-keys', '-t', name, 'echo lo""aded', 'Enter');
    await until('the completion is loaded', () => /^loaded$/m.test(screen()));
  });

  it.each([
    ['clawchatd hea', 'clawchatd health'],
    ['clawchatd config ch', 'clawchatd config check'],
    ['clawchatd room ow', 'clawchatd room owner'],
    ['clawchat room del', 'clawchat room delete'],
    ['clawchatd invite --exp', 'clawchatd invite --expires'],
    ['clawchatd --metrics-r', 'clawchatd --metrics-remote'],
    ['clawchat history --li', 'clawchat history --limit'],
    ['clawchat ping --preset mini', 'clawchat ping --preset minimal'],
    ['clawchat inspect clawchat.ba', 'clawchat inspect clawchat.bash'],
  ])('%s becomes %s', async (typed, expected) => {
    tmux('send-keys', '-t', name, 'C-u');
    tmux('send-keys', '-t', name, '-l', typed);
    await until('it is typed', () => screen().includes(typed));
    tmux('send-keys', '-t', name, 'Tab');
    await until(`${expected} in\n${screen()}`, () => screen().includes(expected));
    expect(screen()).not.toMatch(/error|not found/i);
  });
});
