/**
 * `npm run demo`: a host and three people as real processes, and somebody who listens on the wire between them. Ends by
 * itself, with exit code 0 when everything arrived once and in order and nothing of it stood on the wire in the clear.
 *
 * `npm run demo -- --leak` sends one line in the clear as well, and has to fail.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { HostWatch } from '../../conformance/system/moving-relay.ts';
import { Place } from '../../conformance/system/programs.ts';
import { Capture, type Passed } from './capture.ts';
import { Person } from './people.ts';
import { Tap } from './tap.ts';
import { View } from './view.ts';

const NAMES = ['Ann', 'Bob', 'Cleo'] as const;
type Name = (typeof NAMES)[number];
/** Where the wire is: the host's file names this address, and the host itself is at 127.0.0.1. */
const WIRE = '127.0.0.2';
const LOOK_MS = 25;
const SHOWN_PER_LINE = 2;
/** Longer than it takes on a machine that does nothing else, and less than a minute. */
const LIMIT_MS = 58_000;
const BIRDS = ['canary', 'heron', 'wren', 'plover', 'siskin', 'avocet', 'merlin'];

/** What people say; each line gets words that nothing else contains. */
const BEFORE: readonly (readonly [Name, string])[] = [
  ['Ann', 'is this line safe?'],
  ['Bob', 'nobody can read it but us and the host'],
  ['Cleo', 'then here is the number of the safe: 4711'],
  ['Ann', 'and the key is under the third stone'],
  ['Bob', 'noted. what if somebody blocks our port?'],
];
const WHILE: readonly (readonly [Name, string])[] = [
  ['Cleo', 'it moves every hour, and here every 12 seconds. watch the wire'],
  ['Ann', 'I am still here'],
  ['Bob', 'me too. did you notice anything?'],
  ['Cleo', 'not a thing'],
];
const AFTER: readonly (readonly [Name, string])[] = [
  ['Ann', 'and the old port?'],
  ['Bob', 'closes by itself'],
  ['Cleo', 'goodbye, then'],
];

/** A word that no cipher text contains by chance. */
function canary(): string {
  const bird = BIRDS[randomInt(BIRDS.length)] ?? 'canary';
  return `${bird}-${randomBytes(6).toString('hex')}`;
}

/** Send a text in the clear over a tap of the same kind, to see whether a capture finds it. */
async function sendInTheClear(text: string, capture: Capture): Promise<void> {
  const server = createServer(socket => socket.pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const tap = new Tap(WIRE, capture);
  await tap.forward(new Set([address.port]));
  const socket = connect(address.port, WIRE);
  let echoed = '';
  const came = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the wire does not carry')));
    socket.on('data', (piece: Buffer) => {
      echoed += piece.toString();
      if (echoed === text) resolve();
    });
  });
  // In two pieces: what is looked for may stand across them.
  const middle = text.length >> 1;
  socket.write(text.slice(0, middle));
  await sleep(20);
  socket.write(text.slice(middle));
  await came;
  socket.destroy();
  tap.close();
  server.close();
}

function shown({ connection, port, direction, bytes, begin }: Passed): string {
  const arrow = direction === 'to host' ? '->' : '<-';
  return `#${connection} ${arrow} :${port} ${String(bytes).padStart(5)} B  ${Buffer.from(begin).toString('hex').replace(/../g, '$& ')}..`;
}

/** Keep the wire forwarding what the host has open, and say when the host is elsewhere. */
class Follower {
  readonly ports: number[] = [];
  readonly #watch: HostWatch;
  readonly #tap: Tap;
  readonly #moved: (from: number, to: number) => void;
  readonly #work: Promise<void>;
  #isOver = false;

  constructor(data: string, tap: Tap, moved: (from: number, to: number) => void) {
    this.#watch = new HostWatch(data);
    this.#tap = tap;
    this.#moved = moved;
    this.#work = this.#follow();
  }

  /** Resolve when the host has moved so often since its start, and nobody is on an older port. */
  async moved(times: number): Promise<void> {
    for (;;) {
      const status = await this.#watch.status();
      const old = (status?.places ?? []).filter(({ role }) => role !== 'primary');
      if (this.ports.length > times && old.every(({ paths }) => paths === 0)) return;
      await sleep(LOOK_MS);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#work;
    this.#watch.close();
  }

  async #follow(): Promise<void> {
    while (!this.#isOver) {
      const status = await this.#watch.status();
      if (status !== undefined) {
        await this.#tap.forward(new Set(status.places.filter(({ open }) => open).map(({ port }) => port)));
        const { port } = status;
        const before = this.ports.at(-1);
        if (port !== 0 && port !== before) {
          this.ports.push(port);
          if (before !== undefined) this.#moved(before, port);
        }
      }
      await sleep(LOOK_MS);
    }
  }
}

async function demonstrate(place: Place, view: View, leak: boolean): Promise<readonly string[]> {
  const startedAt = performance.now();
  const failures: string[] = [];
  const canaries: string[] = [];

  const control = new Capture();
  const known = canary();
  await sendInTheClear(known, control);
  if (control.find(known) === 0)
    return ['a text that was sent in the clear was not found: the search is broken'];
  view.tell('A text sent in the clear over this wire is found in its capture: the search works.');

  let toShow = 0;
  let isOn = false;
  const capture = new Capture(
    passed => {
      if (toShow <= 0) return;
      toShow -= 1;
      view.say('wire', shown(passed));
    },
    (connection, port) => {
      if (isOn) view.say('wire', `#${connection} opens to :${port}`);
    },
  );
  const tap = new Tap(WIRE, capture);
  const data = place.path('host');
  const host = await place.host(data, ['--advertise', WIRE]);
  view.tell(
    'A host is up, and its "hour" has 12 seconds. Three people join; everything they send passes the wire.',
  );
  const follower = new Follower(data, tap, (from, to) => {
    view.tell(`** The host has moved from port ${from} to port ${to}, and everybody with it. **`);
  });
  while (follower.ports.length === 0) await sleep(LOOK_MS);
  await Promise.all(NAMES.map(name => place.join(data, place.path(name), name)));
  const heardBy = new Map<string, number>();
  const people = new Map(
    NAMES.map(name => [
      name,
      new Person(place, name, heard => {
        const count = (heardBy.get(heard.text) ?? 0) + 1;
        heardBy.set(heard.text, count);
        // Shown when the last of them has it.
        if (count === NAMES.length) view.say('people', `${heard.name}: ${heard.text}`);
      }),
    ]),
  );
  view.tell(
    'Each line ends with a word in brackets that nobody could guess: look for it in what the wire shows. It must not be there, and at the end the whole capture is searched for each of them. They talk:',
  );
  view.heads();
  isOn = true;
  const said: string[] = [];
  const talk = async (lines: readonly (readonly [Name, string])[], everyMs: number): Promise<void> => {
    for (const [name, line] of lines) {
      const words = canary();
      canaries.push(words);
      const text = `${line} (${words})`;
      said.push(`${name} ${text}`);
      toShow = SHOWN_PER_LINE;
      await people.get(name)?.say(text);
      while ((heardBy.get(text) ?? 0) < NAMES.length) await sleep(LOOK_MS);
      toShow = 0;
      await sleep(everyMs);
    }
  };
  await talk(BEFORE, 900);
  const moves = follower.ports.length;
  if (leak) {
    view.tell('Somebody sends the last line once more, without ClawChat.');
    await sendInTheClear(said.at(-1) ?? '', capture);
  } else {
    await talk(WHILE, 1200);
    await follower.moved(moves);
    await talk(AFTER, 600);
  }
  isOn = false;
  for (const person of people.values()) await person.leave();
  await follower.close();
  await host.stop();
  tap.close();

  for (const { name, heard } of people.values()) {
    const got = heard.map(each => `${each.name} ${each.text}`);
    if (JSON.stringify(got) !== JSON.stringify(said))
      failures.push(`${name} did not get every line once and in order`);
  }
  const secrets = [...canaries, 'number of the safe', 'third stone', 'ClawChat', 'clawchat'];
  const found = secrets.filter(text => capture.find(text) > 0);
  for (const text of found) failures.push(`'${text}' stands on the wire, for everybody to read`);
  const ports = follower.ports.join(', then ');
  view.tell('');
  view.tell('Summary');
  view.tell(
    `  said         ${said.length} lines, each by one of three people and read by all of them, in order: ${failures.length === found.length ? 'yes' : 'NO'}`,
  );
  view.tell(`  the host was at port ${ports}`);
  view.tell(
    `  captured     ${capture.bytes} bytes in ${capture.connections} connections, ${capture.entropy.toFixed(2)} bits of chance in a byte of 8`,
  );
  view.tell(`  in the clear ${found.length} of ${secrets.length} texts that were looked for`);
  view.tell(`  took         ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  return failures;
}

const { values } = parseArgs({
  options: {
    leak: { type: 'boolean', default: false },
    limit: { type: 'string', default: String(LIMIT_MS) },
  },
});
// Programs of this demonstration have a short hour.
process.env['CLAWCHAT_PRESET'] = 'minimal';
const { stdout } = process;
const view = new View(
  stdout.isTTY ? stdout.columns : 0,
  stdout.isTTY && process.env['NO_COLOR'] === undefined,
  text => void stdout.write(text),
);
const place = new Place();
const interrupted = (): void => void place.clean().finally(() => process.exit(130));
process.once('SIGINT', interrupted);
process.once('SIGTERM', interrupted);
const late = setTimeout(() => {
  console.error(
    `demo: this machine is too busy: not over after ${values.limit} ms (--limit MS gives it more)`,
  );
  void place.clean().finally(() => process.exit(124));
}, Number(values.limit));
try {
  const failures = await demonstrate(place, view, values.leak);
  for (const failure of failures) console.error(`demo: ${failure}`);
  view.tell(
    failures.length === 0 ? 'Everything arrived, and the wire knows nothing.' : 'The demonstration FAILED.',
  );
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  clearTimeout(late);
  await place.clean();
}
