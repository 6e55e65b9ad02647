/** Runs the built programs as a person would, in directories of their own, and leaves nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The programs that a person has after the build. */
export type ProgramName = 'clawchat' | 'clawchatd';

/** A program in a file of its own, with its environment beside that of the test. */
export interface ProgramFile {
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The Node that runs it; `NODE` unless given. */
  readonly node?: string;
  /** A command that runs what follows it, such as one that enters another machine. */
  readonly before?: readonly string[];
}

/** The Node that runs the programs: CONFORMANCE_NODE, or the one that runs the tests. */
export const NODE: string = process.env['CONFORMANCE_NODE'] ?? process.execPath;

/** How a finished program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** Lines of standard output so far. */
  readonly lines: readonly string[];
  readonly stderr: () => string;
  /** Resolve with the first line that fits; reject when the program ends or `ms` pass before. */
  line(fits: (line: string) => boolean, ms?: number): Promise<string>;
  readonly ended: Promise<Ended>;
  /** Signal it (SIGTERM unless told) and wait for its end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** How long anything here may take before a test gives up, milliseconds: generous, because nothing waits for it. */
export const PATIENCE_MS = 60_000;

/** Where the build puts a program. */
export function built(name: ProgramName): string {
  return join(process.cwd(), 'dist', `${name}.js`);
}

/** A temporary place with the programs that were started in it. */
export class Place {
  readonly root: string = mkdtempSync(join(tmpdir(), 'clawchat-'));
  readonly #running = new Set<Running>();
  /** What every program gets in its environment beside that of the test, asked at its start. */
  environment: () => Readonly<Record<string, string>> = () => ({});
  /** What stands in front of a program's command line: the network that it runs in. */
  prefix: (name: ProgramName | ProgramFile) => readonly string[] = () => [];

  /** A path inside. */
  path(...parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  /** Start a program; `input` is its standard input, empty unless given. */
  start(name: ProgramName | ProgramFile, args: readonly string[], input?: string | 'pipe'): Running {
    const program: ProgramFile = typeof name === 'string' ? { file: built(name) } : name;
    const { file, env, node = NODE, before = [] } = program;
    if (!existsSync(file)) throw new Error(`${file} is missing: npm run build`);
    const [command = node, ...rest] = [...this.prefix(name), ...before, node, file, ...args];
    const child = spawn(command, rest, {
      cwd: this.root,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NO_COLOR: '1',
        HOME: this.root,
        XDG_RUNTIME_DIR: this.root,
        ...this.environment(),
        ...env,
      },
    });
    if (input !== 'pipe') child.stdin?.end(input ?? '');
    child.stdin?.on('error', () => {});
    const running = observe(child);
    this.#running.add(running);
    void running.ended.then(() => this.#running.delete(running));
    return running;
  }

  /** Run a program to its end. */
  async run(name: ProgramName | ProgramFile, args: readonly string[], input?: string): Promise<Ended> {
    const running = this.start(name, args, input);
    const timer = setTimeout(() => running.child.kill('SIGKILL'), PATIENCE_MS);
    const ended = await running.ended;
    clearTimeout(timer);
    return ended;
  }

  /** Run a program that has to succeed; gives its standard output. */
  async ok(name: ProgramName, args: readonly string[], input?: string): Promise<string> {
    const ended = await this.run(name, args, input);
    if (ended.code !== 0) {
      throw new Error(`${name} ${args.join(' ')} ended with ${ended.code ?? ended.signal}\n${ended.stderr}`);
    }
    return ended.stdout;
  }

  /** Start a host that is ready when this resolves. */
  async host(
    data: string,
    args: readonly string[] = [],
    program: ProgramName | ProgramFile = 'clawchatd',
  ): Promise<Running> {
    const host = this.start(program, ['--data', data, '--listen', '127.0.0.1', ...args]);
    await host.line(line => line.includes(' is ready'));
    return host;
  }

  /** Make a device of the host in `hostData`, in a directory `data`. */
  async join(hostData: string, data: string, name?: string): Promise<string> {
    const named = name === undefined ? [] : ['--name', name];
    const invite = await this.ok('clawchatd', ['invite', '--data', hostData, ...named]);
    return this.ok('clawchat', ['join', '-', '--data', data], invite);
  }

  /** Kill what runs and remove everything. */
  async clean(): Promise<void> {
    await Promise.all([...this.#running].map(running => running.stop('SIGKILL')));
    // What a killed program still wrote may come in between.
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

function observe(child: ChildProcess): Running {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let stderr = '';
  let stdout = '';
  child.stderr?.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  child.stdout?.on('data', (piece: Buffer) => {
    stdout += piece.toString();
  });
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', line => {
      lines.push(line);
      for (const look of waiting) look();
    });
  }
  let over = false;
  const ended = new Promise<Ended>(resolve => {
    child.on('close', (code, signal) => {
      over = true;
      resolve({ code, signal, stdout, stderr });
      for (const look of waiting) look();
    });
  });
  return {
    child,
    lines,
    stderr: () => stderr,
    ended,
    line(fits, ms = PATIENCE_MS) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(new Error(`no such line within ${ms} ms`)), ms);
        const finish = (result: string | Error): void => {
          clearTimeout(timer);
          waiting.delete(look);
          if (typeof result === 'string') resolve(result);
          else reject(new Error(`${result.message}\nstdout:\n${stdout}\nstderr:\n${stderr}`));
        };
        const look = (): void => {
          const found = lines.find(fits);
          if (found !== undefined) finish(found);
          else if (over) finish(new Error('the program ended first'));
        };
        waiting.add(look);
        look();
      });
    },
    stop(signal = 'SIGTERM') {
      if (!over) child.kill(signal);
      return ended;
    },
  };
}
