/** Starting other people's servers on loopback: a directory, a certificate, a process that ends with its test. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recipe } from './recipes.ts';

/** The password of the user `host` in every test server. */
export const PASSWORD = 'secret-password';
/** The header that lets the host write. */
export const AUTHORIZATION: string = `Basic ${Buffer.from(`host:${PASSWORD}`).toString('base64')}`;

/** A directory with a certificate for localhost, made by the commands of the recipe. */
export interface ServerRoot {
  readonly path: string;
  /** SHA-256 of the authority's key. */
  readonly pin: Uint8Array;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  remove(): void;
}

/** Make the directory, for a server under these names. */
export function serverRoot(alternatives: string = 'DNS:localhost,IP:127.0.0.1'): ServerRoot {
  const path = mkdtempSync(join(tmpdir(), 'clawchat-server-'));
  // The servers work as www-data.
  chmodSync(path, 0o755);
  const shell = (script: string): string =>
    execFileSync('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: path,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const names = { 'DNS:store.example.org': alternatives };
  const pin = shell(recipe('certificate', names)).trim();
  shell(recipe('password', { '-apr1': `-apr1 ${PASSWORD}` }));
  return {
    path,
    pin: Uint8Array.from(Buffer.from(pin, 'hex')),
    ca: readFileSync(join(path, 'ca.pem'), 'utf8'),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A server's process. */
export interface ServerProcess {
  stop(): Promise<void>;
}

/** Start a program that stays in the foreground, and wait until it listens. */
export async function startServer(
  command: string,
  parameters: readonly string[],
  port: number,
): Promise<ServerProcess> {
  const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      said += text;
    });
  }
  const ended = once(child, 'exit');
  const deadline = Date.now() + 20_000;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${command} does not listen: ${said}`);
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  return {
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Find a free port of loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>(resolve => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
