/** What people do first, with the built programs on any Node and any machine: the README's flows. */
import { expect } from 'vitest';
import {
  built,
  type Ended,
  type Place,
  type ProgramFile,
  type ProgramName,
  type Running,
} from './programs.ts';

/** Where somebody sits: which Node, and what stands before a command to run it there. */
export type Seat = Pick<ProgramFile, 'node' | 'before' | 'env'>;

/** One of the two programs, as somebody starts it. */
export function program(name: ProgramName, seat: Seat = {}): ProgramFile {
  return { file: built(name), ...seat };
}

/** Run a command that has to succeed; gives its standard output. */
export async function ok(
  place: Place,
  seat: Seat,
  name: ProgramName,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const ended: Ended = await place.run(program(name, seat), args, input);
  expect({ ...ended, stdout: '' }, `${name} ${args.join(' ')}`).toMatchObject({ code: 0 });
  return ended.stdout;
}

/** Two people on the host's machine join through its own store and talk. */
export async function twoDirectories(place: Place, seat: Seat): Promise<void> {
  const [A, ann, bob] = [place.path('A'), place.path('ann'), place.path('bob')];
  const host = await place.host(A, [], program('clawchatd', seat));
  for (const [name, data] of [
    ['Ann', ann],
    ['Bob', bob],
  ] as const) {
    const invite = await ok(place, seat, 'clawchatd', ['invite', '--data', A, '--name', name]);
    expect(await ok(place, seat, 'clawchat', ['join', '-', '--data', data], invite)).toContain(
      `Joined as ${name}.`,
    );
  }
  await ok(place, seat, 'clawchat', ['send', 'hello Bob', '--data', ann]);
  const heard = await ok(place, seat, 'clawchat', ['listen', '--data', bob, '--from', '0', '--count', '1']);
  expect(heard).toMatch(/^\d\d:\d\d Ann: hello Bob\n$/);
  expect((await host.stop()).code).toBe(0);
}

/** Two people chat in pipes: what one types, the other sees. */
export async function twoChats(place: Place, seat: Seat): Promise<void> {
  const A = place.path('chat-A');
  const host = await place.host(A, [], program('clawchatd', seat));
  const open = async (name: string): Promise<Running> => {
    const data = place.path(`chat-${name}`);
    const invite = await ok(place, seat, 'clawchatd', ['invite', '--data', A, '--name', name]);
    await ok(place, seat, 'clawchat', ['join', '-', '--data', data], invite);
    return place.start(program('clawchat', seat), ['chat', '--data', data], 'pipe');
  };
  const [ann, bob] = [await open('Ann'), await open('Bob')];
  ann.child.stdin?.write('hello Bob\n');
  await bob.line(line => / Ann: hello Bob/.test(line));
  bob.child.stdin?.write('hello Ann\n');
  await ann.line(line => / Bob: hello Ann/.test(line));
  for (const one of [ann, bob]) {
    one.child.stdin?.end();
    expect((await one.ended).code).toBe(0);
  }
  expect((await host.stop()).code).toBe(0);
}

/** Somebody on another machine gets an invite file, joins with it and nothing else, and both talk. */
export async function twoMachines(place: Place, home: Seat, away: Seat): Promise<void> {
  const [A, bob, ann] = [place.path('home', 'host'), place.path('home', 'bob'), place.path('ann')];
  const host = place.start(program('clawchatd', home), ['--data', A]);
  await host.line(line => line.includes(' is ready'));
  const invite = await ok(place, home, 'clawchatd', ['invite', '--data', A, '--name', 'Bob']);
  await ok(place, home, 'clawchat', ['join', '-', '--data', bob], invite);

  const file = place.path('ann.invite');
  await ok(place, home, 'clawchatd', ['invite', '--data', A, '--name', 'Ann', '--file', file]);
  expect(await ok(place, away, 'clawchat', ['join', file, '--data', ann])).toContain('Joined as Ann.');
  await ok(place, away, 'clawchat', ['send', 'hello from elsewhere', '--data', ann]);
  await ok(place, home, 'clawchat', ['send', 'hello from home', '--data', bob]);
  const heard = await ok(place, away, 'clawchat', ['listen', '--data', ann, '--from', '0', '--count', '2']);
  expect(heard.replace(/^\d\d:\d\d /gm, '')).toBe('Ann: hello from elsewhere\nBob: hello from home\n');
  expect((await host.stop()).code).toBe(0);
}
