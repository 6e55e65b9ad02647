/**
 * The flows of the README, and its example, on other versions of Node: CONFORMANCE_NODES lists them, 20 and 26 unless
 * told. npm's package `node` supplies those that do not run this test.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Seat, twoChats, twoDirectories, twoMachines } from './flows.ts';
import { codeBlock } from './markdown.ts';
import { Network } from './network.ts';
import { Place } from './programs.ts';

const VERSIONS = (process.env['CONFORMANCE_NODES'] ?? '20 26').split(' ');
const network = new Network();
network.add('home');
network.add('away');
afterAll(() => network.remove());

/** Where a version of Node is; it is fetched if it is not the one that runs here. */
function findNode(version: string): string {
  if (`${process.versions.node}.`.startsWith(`${version}.`)) return process.execPath;
  const args = ['-y', '-p', `node@${version}`, 'node', '-p', 'process.execPath'];
  return execFileSync('npx', args, { encoding: 'utf8' }).trim();
}

describe.each(VERSIONS)('on Node %s', version => {
  let node: string;
  let place: Place;
  beforeAll(() => {
    node = findNode(version);
    expect(execFileSync(node, ['-v'], { encoding: 'utf8' })).toContain(`v${version}.`);
  }, 600_000);
  beforeEach(() => {
    place = new Place();
  });
  afterEach(() => place.clean());

  it('two data directories talk', () => twoDirectories(place, { node }));

  it('two machines talk', async () => {
    mkdirSync(place.path('home'));
    const home: Seat = { node, before: network.on('home') };
    await twoMachines(place, home, { node, before: network.on('away', [place.path('home')]) });
  });

  it('two chats talk', () => twoChats(place, { node }));

  it('the library runs the example', () => {
    const { code } = codeBlock(readFileSync('README.md', 'utf8'), 'js', '## In your own program');
    const file = place.path('example.mjs');
    writeFileSync(file, code.replace("'clawchat'", JSON.stringify(join(process.cwd(), 'dist/index.js'))));
    expect(execFileSync(node, [file], { cwd: place.root, encoding: 'utf8' })).toBe('Ann: hello Bob\n');
  });
});
