/** What is typed in a chat goes to the room that it was meant for, or nowhere (docs/chat.md). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Place } from './programs.ts';
import { ScriptTerminal } from './script-terminal.ts';

let place: Place;
let ann: string;
let bob: string;

beforeAll(async () => {
  place = new Place();
  [ann, bob] = [place.path('ann'), place.path('bob')];
  await place.host(place.path('host'));
  await place.join(place.path('host'), ann, 'Ann');
  await place.join(place.path('host'), bob, 'Bob');
  // Whoever has opened a chat can be invited.
  await place.ok('clawchat', ['chat', '--data', bob]);
});
afterAll(() => place.clean());

/** What the host has stored so far, oldest first: the room and the text, or what it does. */
async function stored(): Promise<readonly string[]> {
  const lines = await place.ok('clawchat', ['history', '--json', '--data', bob]);
  return lines
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
    .map(({ room, act, text }) => `${room}: ${act ?? text}`);
}

// What a chat in a pipe is called with, its input, how it ends, and what is stored.
const IN_A_PIPE: readonly (readonly [readonly string[], string, RegExp, readonly string[]])[] = [
  [['nowhere'], 'a secret\n', /\[ROOM_UNKNOWN\] there is no room 'nowhere'/, []],
  [[], 'one\n/join nowhere\na secret\n', /\[ROOM_UNKNOWN\] .* 'nowhere'.*still in lobby/, ['lobby: one']],
  [[], 'two\n/nonsense\na secret\n', /\[USAGE\] there is no \/nonsense/, ['lobby: two']],
  [[], '/r a secret\n', /\[USAGE\] \/r could be .*\/rename, .*or \/receipts/, []],
  [[], '/create quiet clsoed\na secret\n', /\[USAGE\] .*not 'clsoed'/, []],
  [[], '/leave quiet\na secret\n', /\[USAGE\] \/leave takes no words/, []],
  [[], `${'x'.repeat(40_000)}\n`, /\[MESSAGE_TOO_LARGE\]/, []],
];

test('in a pipe what fails ends the chat, and nothing behind it goes out', async () => {
  const expected: string[] = [];
  for (const [args, input, said, went] of IN_A_PIPE) {
    const ended = await place.run('clawchat', ['chat', ...args, '--data', ann], input);
    expect([input.slice(0, 40), ended.code, ended.stderr]).toEqual([
      input.slice(0, 40),
      2,
      expect.stringMatching(said),
    ]);
    expected.push(...went);
  }
  expect(await stored()).toEqual(expected);
});

describe('on a terminal', () => {
  /** Chat on a terminal that shows lines and nothing else. */
  async function chatting(work: (terminal: ScriptTerminal) => Promise<void>): Promise<void> {
    const terminal = new ScriptTerminal(['chat', '--data', ann], { TERM: 'dumb' });
    try {
      await terminal.see(/where lobby begins/);
      await work(terminal);
      terminal.type('/quit');
      expect(await terminal.ended).toBe(0);
    } finally {
      terminal.kill();
    }
  }

  test('a room that is not there ends a chat that was to begin in it', async () => {
    const terminal = new ScriptTerminal(['chat', 'nowhere', '--data', ann], { TERM: 'xterm' });
    try {
      await terminal.see(/\[ROOM_UNKNOWN\] there is no room 'nowhere'/);
      expect(await terminal.ended).toBe(2);
    } finally {
      terminal.kill();
    }
  });

  test('what was typed while it started is sent, as it was meant', async () => {
    const terminal = new ScriptTerminal(['chat', '--data', ann], { TERM: 'xterm', NO_COLOR: '1' });
    try {
      terminal.type('typed ahead');
      await terminal.see(/Ann: typed ahead \[sent\]/);
      terminal.type('/quit');
      expect(await terminal.ended).toBe(0);
    } finally {
      terminal.kill();
    }
  });

  test('each mistake is told apart, and what was to be done instead; one stays where one is', async () => {
    const before = await stored();
    await chatting(async terminal => {
      const mistakes: readonly (readonly [string, string])[] = [
        ['/join nowhere', "there is no room 'nowhere'.*/create nowhere makes it; you are still in lobby"],
        ['/nonsense', 'there is no /nonsense; /help lists what there is'],
        ['/r hi', '/r could be /rooms, /rename, /role, /reply or /receipts'],
        ['/create quiet clsoed', `not 'clsoed'; .*quotes: /create "quiet clsoed"`],
        ['/create "quiet', 'a name in quotes ends with one'],
        ['/leave quiet', '/leave takes no words: leave this room for the lobby'],
        ['/leave', 'the lobby is always there'],
        ['/receipts maybe', 'use: /receipts on.off'],
        ['/invite', 'use: /invite PERSON'],
        ['/rename', 'use: /rename NAME'],
        ['/rename a\u202eb', 'a name has 1 to 64 bytes, and nothing that moves or hides other letters'],
        ['/keep', 'use: /keep 30d.12h.forever'],
        ['/keep 3 weeks', "keep takes a time with its unit, such as 10s, 30m or 24h, not '3 weeks'"],
        ['/delete-room', 'use: /delete-room ROOM'],
      ];
      for (const [line, said] of mistakes) {
        terminal.type(line);
        await terminal.see(new RegExp(`\\* .*${said}`));
      }
      // Whoever is faster than the answer does not say in one room what was meant for another.
      terminal.type('/join nowhere\ra secret');
      await terminal.see(/not done, because .*: a secret/);
      terminal.type('to all');
      await terminal.see(/Ann: to all \[\w/);
    });
    expect((await stored()).slice(before.length)).toEqual(['lobby: to all']);
  });

  test('a room is deleted behind a question, and whoever did it reads what they did', async () => {
    const before = await stored();
    let written = '';
    await chatting(async terminal => {
      terminal.type('/create "Tom\'s den" closed');
      await terminal.see(/made Tom's den/);
      terminal.type('/delete-room "Tom\'s den"');
      await terminal.see(/delete Tom's den with everything in it, for everybody\? \[y\/n\]/);
      terminal.type('n');
      await terminal.see(/nothing was deleted/);
      terminal.type('/delete-room "Tom\'s den"');
      await terminal.see(/for everybody\? \[y\/n\]/);
      terminal.type('what?');
      await terminal.see(/for everybody\? \[y\/n\]/);
      terminal.type('y');
      await terminal.see(/you deleted Tom's den with everything in it/);
      terminal.type('/create shed closed');
      await terminal.see(/made shed/);
      terminal.type('/invite Bob');
      await terminal.see(/made Bob a member/);
      terminal.type('/role Bob owner');
      await terminal.see(/made Bob an owner/);
      terminal.type('/leave');
      await terminal.see(/you left shed/);
      terminal.type('the end');
      await terminal.see(/Ann: the end \[\w/);
      written = terminal.written;
    });
    expect(written).not.toMatch(/was deleted, or|no longer kept/);
    // What was typed as an answer was said to nobody.
    expect((await stored()).slice(before.length)).toEqual([
      'shed: create',
      'shed: grant',
      'shed: grant',
      'shed: leave',
      'lobby: the end',
    ]);
  });

  test('what is typed in a room that somebody else deletes goes to no other', async () => {
    const before = await stored();
    await place.ok('clawchat', ['chat', '--data', bob], '/create pit\n');
    await chatting(async terminal => {
      terminal.type('/join pit');
      await terminal.see(/Ann joined pit/);
      const asked = await place.run('clawchat', ['chat', '--data', bob], '/delete-room pit\nmore\n');
      expect([asked.code, asked.stderr]).toEqual([
        2,
        expect.stringMatching(/\/delete-room pit --yes deletes it/),
      ]);
      await place.ok('clawchat', ['chat', '--data', bob], '/delete-room pit --yes\n');
      await terminal.see(/pit was deleted, or you are no longer one of its people/);
      terminal.type('a secret of the pit');
      await terminal.see(/pit was deleted, .*; \/join ROOM goes to another/);
      terminal.type('/topic mine');
      await terminal.see(/pit was deleted, .*; \/join ROOM goes to another/);
      terminal.type('/join lobby');
      await terminal.see(/-- lobby/);
      terminal.type('here again');
      await terminal.see(/Ann: here again \[\w/);
    });
    expect((await stored()).slice(before.length)).toEqual(['lobby: here again']);
  });
});
