/**
 * The npm package: what is in it and what is not; installed from its tarball into an empty directory, its programs talk,
 * its library runs the example of the README as printed, and its declarations compile in a strict project.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeBlock } from './markdown.ts';
import { Place } from './programs.ts';

const ROOT = process.cwd();
const place = new Place();
const consumer = place.path('consumer');
let files: readonly string[];
afterAll(() => place.clean());

function npm(cwd: string, ...args: readonly string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

beforeAll(() => {
  mkdirSync(consumer);
  const [packed] = JSON.parse(
    npm(ROOT, 'pack', '--ignore-scripts', '--json', '--pack-destination', place.root),
  ) as { filename: string; files: { path: string }[] }[];
  if (packed === undefined) throw new Error('npm pack made nothing');
  files = packed.files.map(({ path }) => path);
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }');
  npm(consumer, 'install', '--no-audit', '--no-fund', '--prefer-offline', place.path(packed.filename));
});

describe('the tarball', () => {
  it('holds programs, library, declarations, licences, documents, schema and text of the protocol', () => {
    for (const path of [
      'LICENSE',
      'NOTICE',
      'README.md',
      'CHANGELOG.md',
      'SECURITY.md',
      'package.json',
      'dist/clawchat.js',
      'dist/clawchatd.js',
      'dist/index.js',
      'dist/types/index.d.ts',
      'dist/THIRD-PARTY-LICENSES.txt',
      'docs/README.md',
      'config.example.yaml',
      'proto/clawchat/v1/frame.proto',
      'spec/README.md',
      'spec/04-handshake.md',
    ]) {
      expect(files).toContain(path);
    }
    const licences = readFileSync(join(ROOT, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const part of licences.split('\n---\n').slice(1)) expect(part).toMatch(/Copyright/i);
    expect(licences).toMatch(/^ws 8/m);
  });

  it('holds nothing else: no test, no source, no key, nothing of this machine', () => {
    const known =
      /^(package\.json|LICENSE|NOTICE|config(\.client)?\.example\.yaml|(README|CHANGELOG|SECURITY)\.md|dist\/(clawchat|clawchatd|index)\.js|dist\/types\/[\w/-]+\.d\.ts|dist\/THIRD-PARTY-LICENSES\.txt|docs\/[\w.-]+|packaging\/[\w.-]+|proto\/(clawchat\/v1\/\w+\.proto|clawchat\.v1\.binpb)|spec\/[\w-]+\.md)$/;
    expect(files.filter(path => !known.test(path))).toEqual([]);
    for (const path of files) {
      const text = readFileSync(join(ROOT, path), 'latin1');
      expect(text.includes(ROOT) ? path : '').toBe('');
      expect(/-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=]{40}/.test(text) ? path : '').toBe('');
    }
  });
});

describe('the declarations', () => {
  it('document every export, and hold nothing of what is behind them', () => {
    const declarations = files.filter(path => path.endsWith('.d.ts'));
    expect(declarations.length).toBeLessThan(15);
    for (const path of declarations.filter(name => /api|channel|fault/.test(name))) {
      const text = readFileSync(join(ROOT, path), 'utf8');
      for (const [whole, before] of text.matchAll(/(.*)\nexport (?:declare|interface|type \w+ =)[^\n]*/g)) {
        expect(before, `${path}: ${whole}`).toMatch(/\*\/$/);
      }
      expect(text).not.toMatch(/HostOptions|ClientOwner|\bDatabase\b/);
    }
  });
});

describe('installed into an empty directory', () => {
  const bin = (name: string): string => join(consumer, 'node_modules/.bin', name);

  it('its programs say their version and talk', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const said = execFileSync(bin('clawchat'), ['--version'], { encoding: 'utf8' });
    expect(said.startsWith(`clawchat ${version} `), said).toBe(true);
    const host = await place.host(place.path('A'), [], { file: bin('clawchatd') });
    const run = (name: string, args: readonly string[], input = ''): string =>
      execFileSync(bin(name), args, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });
    const invite = run('clawchatd', ['invite', '--data', place.path('A'), '--name', 'Ann']);
    run('clawchat', ['join', '-', '--data', place.path('B')], invite);
    run('clawchat', ['send', 'hello', '--data', place.path('B')]);
    expect(run('clawchat', ['history', '--data', place.path('B')])).toMatch(/ Ann: hello\n$/);
    expect((await host.stop()).code).toBe(0);
  });

  it('the example of the README runs as printed, and prints what the README says', () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const { code, after } = codeBlock(readme, 'js', '## In your own program');
    expect(code.trim().split('\n').length).toBeLessThanOrEqual(12);
    writeFileSync(join(consumer, 'example.js'), code);
    const printed = execFileSync(process.execPath, ['example.js'], { cwd: consumer, encoding: 'utf8' });
    expect(after).toContain(`It prints \`${printed.trim()}\``);
    expect(printed).toBe('Ann: hello Bob\n');
  });

  it('its declarations compile in a strict project, and are as strict', () => {
    writeFileSync(
      join(consumer, 'consumer.ts'),
      `import { type Channel, type Client, ClawChatError, connect, ErrorCode, type Host, type Message, type Service, serve } from 'clawchat';
export const echo: Service = async (channel: Channel, peer): Promise<void> => {
  const name: string = peer.name;
  for await (const message of channel) await channel.send(new TextEncoder().encode(name + message.length));
};
export async function talk(signal: AbortSignal): Promise<Message | undefined> {
  const host: Host = await serve({ directory: 'a', services: { echo }, signal });
  const client: Client = await connect({ directory: 'b', invite: (await host.invite()).file, signal });
  try {
    const { cursor }: { readonly cursor: number } = await client.send('hi', { room: 'lobby', signal });
    for await (const message of client.listen({ after: cursor })) return message;
    // @ts-expect-error a message has no such field
    const [first] = (await client.history()).messages.map(message => message.nothing);
    return first;
  } catch (error) {
    if (error instanceof ClawChatError && error.code === ErrorCode.NOT_JOINED) return undefined;
    throw error;
  }
}
// @ts-expect-error a directory is a text
void connect({ directory: 1 });
// @ts-expect-error only what is exported can be imported
void import('clawchat/dist/types/wire/fault.js');
`,
    );
    const types = join(ROOT, 'node_modules/@types');
    writeFileSync(
      join(consumer, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          skipLibCheck: false,
          module: 'nodenext',
          target: 'es2023',
          lib: ['es2023'],
          types: ['node'],
          typeRoots: [types],
          noEmit: true,
        },
        files: ['consumer.ts'],
      }),
    );
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [compiler, '-p', consumer], { encoding: 'utf8' });
  });
});

it('without development tools the clone installs, and its prepare step leaves it as it is', () => {
  const clone = place.path('clone');
  mkdirSync(clone);
  for (const path of ['package.json', 'package-lock.json', 'scripts', 'src', 'tsconfig.types.json']) {
    cpSync(join(ROOT, path), join(clone, path), { recursive: true });
  }
  npm(clone, 'ci', '--omit=dev', '--no-audit', '--no-fund', '--prefer-offline');
  expect(existsSync(join(clone, 'node_modules/classic-level'))).toBe(true);
  expect(existsSync(join(clone, 'node_modules/esbuild'))).toBe(false);
  expect(existsSync(join(clone, 'dist'))).toBe(false);
});
