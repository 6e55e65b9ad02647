/**
 * The flows of the README, and its example, on the oldest and the newest version of Node that is promised; its example and
 * the first flow on those in between. CONFORMANCE_NODES lists others for all of it. npm's package `node` supplies those
 * that do not run this test.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Seat, twoChats, twoDirectories, twoMachines } from './flows.ts';
import { codeBlock } from './markdown.ts';
import { Network } from './network.ts';
import { Place } from './programs.ts';

const NAMED = process.env['CONFORMANCE_NODES']?.split(' ');
const WHOLE = NAMED ?? ['20', '26'];
const VERSIONS = NAMED ?? ['20', '22', '24', '26'];
const network = new Network();
network.add('home');
network.add('away');
afterAll(() => network.remove());

/** Where a version of Node is; it is fetched if it is not the one that runs here. */
async function findNode(version: string): Promise<string> {
  if (`${process.versions.node}.`.startsWith(`${version}.`)) return process.execPath;
  const args = ['-y', '-p', `node@${version}`, 'node', '-p', 'process.execPath'];
  return (await promisify(execFile)('npx', args)).stdout.trim();
}

/** One is fetched behind the other, beside the tests of those that are there. */
const nodes = new Map<string, Promise<string>>();
for (const version of VERSIONS) {
  const before = [...nodes.values()].at(-1) ?? Promise.resolve('');
  const found = before.catch(() => '').then(() => findNode(version));
  // Its own tests say so.
  found.catch(() => {});
  nodes.set(version, found);
}

describe.each(VERSIONS)('on Node %s', version => {
  let node: string;
  let place: Place;
  beforeAll(async () => {
    node = (await nodes.get(version)) ?? '';
    expect(execFileSync(node, ['-v'], { encoding: 'utf8' })).toContain(`v${version}.`);
  }, 600_000);
  beforeEach(() => {
    place = new Place();
  });
  afterEach(() => place.clean());

  it('two data directories talk', () => twoDirectories(place, { node }));

  it('the library runs the example', async () => {
    const { code } = codeBlock(readFileSync('README.md', 'utf8'), 'js', '## In your own program');
    const file = place.path('example.mjs');
    writeFileSync(file, code.replace("'clawchat'", JSON.stringify(join(process.cwd(), 'dist/index.js'))));
    const { stdout } = await promisify(execFile)(node, [file], { cwd: place.root });
    expect(stdout).toBe('Ann: hello Bob\n');
  });

  if (!WHOLE.includes(version)) return;

  it('two machines talk', async () => {
    mkdirSync(place.path('home'));
    const home: Seat = { node, before: network.on('home') };
    await twoMachines(place, home, { node, before: network.on('away', [place.path('home')]) });
  });

  it('two chats talk', () => twoChats(place, { node }));
});
