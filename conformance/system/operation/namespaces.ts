/** A machine of one's own: a first process in namespaces of its own, commands beside it, and nothing left of either. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** What `nsenter` is told for each namespace of a machine. */
export type Namespace = '-m' | '-u' | '-i' | '-n' | '-p' | '-C';

/** What a command in there said, and how it ended. */
export interface Said {
  readonly code: number;
  readonly output: string;
}

/** Everything but the namespaces of processes and control groups, which need a process of their own. */
export const UNSHARE: readonly string[] = ['--mount', '--propagation', 'private'];
/** What makes a process the first of its own, which ends with everything in there. */
export const FIRST: readonly string[] = ['--pid', '--fork', '--kill-child', '--uts', '--ipc', '--mount'];

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };

/** A running machine. Needs root. */
export class Machine {
  readonly #child: ChildProcess;
  #output = '';

  /** Start one by a command that ends as an `unshare` whose only child is the first process. */
  constructor(command: readonly string[]) {
    const [program = '', ...args] = command;
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (piece: Buffer) => {
        this.#output += piece.toString();
      });
    }
  }

  /** What it has said. */
  get output(): string {
    return this.#output;
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The id of its first process out here, once there is one. */
  get first(): string | undefined {
    const { pid } = this.#child;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      return children === '' ? undefined : children;
    } catch {
      return undefined;
    }
  }

  /** Run a command in those namespaces of it. */
  run(
    namespaces: readonly Namespace[],
    command: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Said> {
    const { first } = this;
    if (first === undefined) return Promise.resolve({ code: -1, output: this.#output });
    const args = ['-t', first, ...namespaces, '--root', '--wd', ...command];
    return new Promise(resolve => {
      execFile('nsenter', args, { env: { ...ENVIRONMENT, ...environment } }, (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1);
        resolve({ code, output: stdout + stderr });
      });
    });
  }

  /** Kill it with everything in it. */
  async kill(): Promise<void> {
    const ended = this.isOver ? undefined : once(this.#child, 'exit');
    if (ended !== undefined) process.kill(Number(this.first ?? this.#child.pid), 'SIGKILL');
    await ended;
  }
}

/** Why no machine with files of its own can be made here: undefined when it can. */
export function whyNoMachine(): string | undefined {
  const script =
    'mount -t cgroup2 none /tmp && mkdir "/tmp/$1" && rmdir "/tmp/$1" && mount -t tmpfs none /tmp && mkdir /tmp/u /tmp/w /tmp/r && mount -t overlay none -o lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w /tmp/r && mount -t proc none /tmp/r/proc';
  try {
    const args = [
      '--cgroup',
      '--net',
      ...FIRST,
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      'sh',
      `clawchat-try-${process.pid}`,
    ];
    execFileSync('unshare', args, { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return said.trim().split('\n').at(-1);
  }
}
