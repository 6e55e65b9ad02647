/**
 * A systemd of one's own: the machine's file system under an overlay, in namespaces of its own, with systemd as the first
 * process. Nothing that happens in there is seen outside, and nothing is left of it.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { until } from '../until.ts';

/** Everything but the namespaces of processes and control groups, which need a process of their own. */
const UNSHARE = ['--mount', '--propagation', 'private'];
const NAMESPACES = ['--cgroup', '--pid', '--fork', '--kill-child', '--uts', '--ipc', '--net', '--mount'];

/** Enters a control group of its own, which becomes the root of the new namespace. */
const ENTER = `
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/groups"
mount -t cgroup2 none "$1/groups"
mkdir "$1/groups/$2"
echo $$ >"$1/groups/$2/cgroup.procs"
exec unshare ${NAMESPACES.join(' ')} sh -eu "$3/boot" "$1" "$3"
`;

/** Makes a root in which nothing of the machine can be changed, and starts systemd. */
const BOOT = `
root=$1/root
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t proc none "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro none "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 none "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs none "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 none "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs none "$root/tmp"
mkdir "$root/clone"
mount --bind "$2/clone" "$root/clone"
rm -rf "$root/etc/systemd/system"
mkdir "$root/etc/systemd/system"
: >"$root/etc/fstab"
for unit in systemd-modules-load.service systemd-remount-fs.service systemd-journald-audit.socket; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done
ip link set lo up
mkdir "$root/outside"
cd "$root"
pivot_root . outside
umount -l /outside
rmdir /outside
export container=clawchat PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec /usr/lib/systemd/systemd --system --unit=basic.target --show-status=false
`;

/** What a command in there said, and how it ended. */
export interface Said {
  readonly code: number;
  readonly output: string;
}

/** A running systemd. Needs root. */
export class ServiceManager {
  readonly #child: ChildProcess;
  readonly #place: string;
  readonly #group: string;
  readonly #output: () => string;

  private constructor(child: ChildProcess, place: string, group: string, output: () => string) {
    this.#child = child;
    this.#place = place;
    this.#group = group;
    this.#output = output;
  }

  /** Start one; `place` is a directory of the test's, whose `clone` is /clone in there. Resolves when it is up. */
  static async boot(place: string): Promise<ServiceManager> {
    const group = `clawchat-${process.pid}`;
    mkdirSync(`${place}/machine`);
    writeFileSync(`${place}/boot`, BOOT);
    const args = [...UNSHARE, 'sh', '-eu', '-c', ENTER, 'sh', `${place}/machine`, group, place];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (piece: Buffer) => {
        output += piece.toString();
      });
    }
    const manager = new ServiceManager(child, place, group, () => output);
    try {
      await until('systemd is up', async () => {
        if (child.exitCode !== null) throw new Error(`systemd did not start: ${output}`);
        return (await manager.run('systemctl', 'is-system-running')).output === 'running\n';
      });
    } catch (error) {
      await manager.shutDown();
      throw error;
    }
    return manager;
  }

  /** Run a command in there. */
  run(...command: readonly string[]): Promise<Said> {
    const inside = this.#firstProcess();
    if (inside === undefined) return Promise.resolve({ code: -1, output: this.#output() });
    const args = ['-t', inside, '-m', '-u', '-i', '-n', '-p', '-C', '--root', '--wd', ...command];
    return new Promise(resolve => {
      const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };
      execFile('nsenter', args, { env }, (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1);
        resolve({ code, output: stdout + stderr });
      });
    });
  }

  /** The same for one that has to succeed. @throws Error with what it said */
  async ok(...command: readonly string[]): Promise<string> {
    const { code, output } = await this.run(...command);
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}\n${output}`);
    return output;
  }

  /** Kill it with everything in it, and remove its control groups. */
  async shutDown(): Promise<void> {
    const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
    const ended = isOver ? undefined : once(this.#child, 'exit');
    const inside = this.#firstProcess();
    process.kill(Number(inside ?? this.#child.pid), 'SIGKILL');
    await ended;
    const remove =
      'mount -t cgroup2 none "$1" && find "$1/$2" -depth -type d -exec rmdir {} + 2>/dev/null; test ! -d "$1/$2"';
    const args = [...UNSHARE, 'sh', '-c', remove, 'sh', `${this.#place}/machine`, this.#group];
    await until('its control groups are gone', () => {
      try {
        execFileSync('unshare', args, { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    });
  }

  /** The first process of the new namespace is the only child of what was started. */
  #firstProcess(): string | undefined {
    const { pid } = this.#child;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      return children === '' ? undefined : children;
    } catch {
      return undefined;
    }
  }
}

/** Why no systemd can be started here: undefined when it can. */
export function whyNoServiceManager(): string | undefined {
  const script =
    'mount -t cgroup2 none /tmp && mkdir "/tmp/$1" && rmdir "/tmp/$1" && mount -t tmpfs none /tmp && mkdir /tmp/u /tmp/w /tmp/r && mount -t overlay none -o lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w /tmp/r && mount -t proc none /tmp/r/proc';
  try {
    const args = [
      ...NAMESPACES,
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
