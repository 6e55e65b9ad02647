/**
 * A systemd of one's own: the machine's file system under an overlay, in namespaces of its own, with systemd as the first
 * process. Nothing that happens in there is seen outside, and nothing is left of it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { until } from '../until.ts';
import { FIRST, Machine, type Said, UNSHARE } from './namespaces.ts';

const NAMESPACES = ['--cgroup', '--net', ...FIRST];

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

/** A running systemd. Needs root. */
export class ServiceManager {
  readonly #machine: Machine;
  readonly #place: string;
  readonly #group: string;

  private constructor(machine: Machine, place: string, group: string) {
    this.#machine = machine;
    this.#place = place;
    this.#group = group;
  }

  /** Start one; `place` is a directory of the test's, whose `clone` is /clone in there. Resolves when it is up. */
  static async boot(place: string): Promise<ServiceManager> {
    const group = `clawchat-${process.pid}`;
    mkdirSync(`${place}/machine`);
    writeFileSync(`${place}/boot`, BOOT);
    const enter = ['sh', '-eu', '-c', ENTER, 'sh', `${place}/machine`, group, place];
    const machine = new Machine(['unshare', ...UNSHARE, ...enter]);
    const manager = new ServiceManager(machine, place, group);
    try {
      await until('systemd is up', async () => {
        if (machine.isOver) throw new Error(`systemd did not start: ${machine.output}`);
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
    return this.#machine.run(['-m', '-u', '-i', '-n', '-p', '-C'], command);
  }

  /** The same for one that has to succeed. @throws Error with what it said */
  async ok(...command: readonly string[]): Promise<string> {
    const { code, output } = await this.run(...command);
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}\n${output}`);
    return output;
  }

  /** Kill it with everything in it, and remove its control groups. */
  async shutDown(): Promise<void> {
    await this.#machine.kill();
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
}
