/** A chat on terminals that can less, and with a host that knows less (docs/chat.md; spec/11-chat.md, 11.8). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildProgram, type Edit } from './mutant.ts';
import { Place } from './programs.ts';
import { ScriptTerminal } from './script-terminal.ts';

let place: Place;
let hostData: string;
let ann: string;

beforeEach(() => {
  place = new Place();
  [hostData, ann] = [place.path('host'), place.path('ann')];
});
afterEach(() => place.clean());

/** Everything that a chat writes on a terminal, in which "hello" is typed and then "/quit". */
async function onTerminal(environment: Readonly<Record<string, string>>): Promise<string> {
  const terminal = new ScriptTerminal(['chat', '--data', ann], environment);
  try {
    await terminal.see(/where lobby begins/);
    terminal.type('hello');
    await terminal.see(/Ann:.*hello .*\[sent\]/);
    terminal.type('/quit');
    expect(await terminal.ended).toBe(0);
    return terminal.written;
  } finally {
    terminal.kill();
  }
}

const ESCAPE = '\u001b';
const COLOUR = new RegExp(`${ESCAPE}\\[[\\d;]*m`);
const OTHER_SCREEN = `${ESCAPE}[?1049h`;

describe('a terminal', () => {
  beforeEach(async () => {
    await place.host(hostData);
    await place.join(hostData, ann, 'Ann');
  });

  test('that is dumb is sent lines of text and nothing else', async () => {
    const written = await onTerminal({ TERM: 'dumb' });
    expect([...written].filter(letter => letter < ' ' && letter !== '\r' && letter !== '\n')).toEqual([]);
    expect(written).toMatch(/^\d\d:\d\d Ann: hello \[sent\]\r$/m);
  });

  test('is drawn on in colour, but not for people who want none', async () => {
    const [coloured, plain] = [
      await onTerminal({ TERM: 'xterm' }),
      await onTerminal({ TERM: 'xterm', NO_COLOR: '1' }),
    ];
    for (const written of [coloured, plain]) {
      expect(written).toContain(OTHER_SCREEN);
      expect(written.lastIndexOf('\u001b[?1049l')).toBeGreaterThan(written.lastIndexOf('hello'));
    }
    expect(coloured).toMatch(COLOUR);
    expect(plain).not.toMatch(COLOUR);
  });
});

/** It takes a ChatHello for a request of a later version. */
const KNOWS_NO_HELLO: Edit = {
  file: 'src/services/chat/request.ts',
  find: "return { kind: 'hello', events: body.value.events };",
  replace: 'return undefined;',
};

describe('a host that is older', () => {
  // CH-039~1
  test('takes no part in a chat, which says so and ends; messages are sent and read as ever', async () => {
    const file = await buildProgram('src/node/clawchatd.ts', place.path('old', 'clawchatd.js'), [
      KNOWS_NO_HELLO,
    ]);
    await place.host(hostData, [], { file });
    await place.join(hostData, ann, 'Ann');
    for (const args of [['chat'], ['people'], ['invite-device']]) {
      const ended = await place.run('clawchat', [...args, '--data', ann], '');
      expect([args, ended.code, ended.stdout]).toEqual([args, 4, '']);
      expect(ended.stderr).toMatch(/VERSION_UNSUPPORTED.*older version/);
    }
    await place.ok('clawchat', ['send', 'hello', '--data', ann]);
    for (const args of [['history'], ['listen', '--from', '0', '--count', '1'], ['rooms']]) {
      expect(await place.ok('clawchat', [...args, '--data', ann])).toMatch(/Ann: hello|lobby/);
    }
  });
});

test('a chat whose host does not answer says where it was dialled, and goes on', async () => {
  const host = await place.host(hostData);
  await place.join(hostData, ann, 'Ann');
  await host.stop();
  const chat = place.start('clawchat', ['chat', '--data', ann], 'pipe');
  const said = await chat.line(text => text.includes('last attempt: '));
  expect(said).toMatch(/last attempt: 127\.0\.0\.1 port \d+: nothing listens there/);
  expect(chat.lines.some(text => text.includes('not connected yet: '))).toBe(true);
  await place.host(hostData);
  chat.child.stdin?.write('hello\n');
  await chat.line(text => text.includes('Ann: hello'));
  expect((await chat.stop()).signal ?? 0).toBe(0);
});
