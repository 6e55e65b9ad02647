/**
 * An engine for containers of one's own: podman on a machine that has this one's files, with an overlay in
 * memory where an engine writes, and a network of the test's. Nothing of it is seen outside, and nothing is left of it.
 *
 * What differs from podman as it is installed: no control groups (a machine of tests may lend none), no systemd that
 * begins the health checks, and limits of processes and files that need no privilege of the machine's root.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Network } from '../network.ts';
import { until } from '../until.ts';
import { FIRST, Machine, type Namespace, type Said, UNSHARE } from './namespaces.ts';

const BOOT = `
memory=$1/memory
mkdir "$memory"
mount -t tmpfs none "$memory"
for directory in run var; do
  mkdir "$memory/$directory" "$memory/$directory.work"
  mount -t overlay none -o "lowerdir=/$directory,upperdir=$memory/$directory,workdir=$memory/$directory.work" "/$directory"
done
mount -t tmpfs none /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
echo up
exec sleep infinity
`;

const ENGINE = `[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
`;
const RUNNING = `[containers]
cgroups = "disabled"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
`;
/** Steps of a build reach what this machine reaches, and find in npm's cache what npm found for this test. */
const building = (volumes: readonly string[]): string => `[containers]
cgroups = "disabled"
netns = "host"
volumes = ${JSON.stringify(volumes)}
`;

/** A running engine. Needs root. */
export class ContainerEngine {
  readonly #machine: Machine;
  readonly #place: string;

  private constructor(machine: Machine, place: string) {
    this.#machine = machine;
    this.#place = place;
  }

  /** Start one on a machine of the network; `place` is an empty directory of the test's. */
  static async start(place: string, network: Network, name: string): Promise<ContainerEngine> {
    writeFileSync(join(place, 'boot'), BOOT);
    const storage = `[storage]\ndriver = "overlay"\ngraphroot = "${place}/memory/graph"\nrunroot = "/run/containers/storage"\n`;
    writeFileSync(join(place, 'storage.conf'), storage);
    writeFileSync(join(place, 'running.conf'), RUNNING + ENGINE);
    writeFileSync(join(place, 'building.conf'), building(registryAccess(place)) + ENGINE);
    const first = ['unshare', ...UNSHARE, ...FIRST, '--mount-proc', 'sh', '-eu', join(place, 'boot'), place];
    const machine = new Machine([...network.on(name), ...first]);
    const engine = new ContainerEngine(machine, place);
    try {
      await until('it is up', () => {
        if (machine.isOver) throw new Error(`it did not start: ${machine.output}`);
        return machine.output === 'up\n';
      });
    } catch (error) {
      await engine.stop();
      throw error;
    }
    return engine;
  }

  /** Run a shell script that makes images, with the network of this machine. @throws Error with what it said */
  build(script: string, directory: string): Promise<string> {
    return this.#ok(['-m', '-u', '-i', '-p'], 'building.conf', script, directory);
  }

  /** Run a shell script with the network of the engine's machine. @throws Error with what it said */
  ok(script: string, directory: string = this.#place): Promise<string> {
    return this.#ok(['-m', '-u', '-i', '-p', '-n'], 'running.conf', script, directory);
  }

  /** The same for one that may fail. */
  run(script: string): Promise<Said> {
    return this.#run(['-m', '-u', '-i', '-p', '-n'], 'running.conf', script, this.#place);
  }

  /** Kill it with every container. */
  stop(): Promise<void> {
    return this.#machine.kill();
  }

  async #ok(
    namespaces: readonly Namespace[],
    config: string,
    script: string,
    directory: string,
  ): Promise<string> {
    const { code, output } = await this.#run(namespaces, config, script, directory);
    if (code !== 0) throw new Error(`${script}\nended with ${code}\n${output}`);
    return output;
  }

  #run(namespaces: readonly Namespace[], config: string, script: string, directory: string): Promise<Said> {
    const command = ['sh', '-euc', `cd "$1"\n${script}`, 'sh', directory];
    return this.#machine.run(namespaces, command, {
      CONTAINERS_CONF: join(this.#place, config),
      CONTAINERS_STORAGE_CONF: join(this.#place, 'storage.conf'),
      BUILDAH_ISOLATION: 'chroot',
      DISABLE_HC_SYSTEMD: 'true',
    });
  }
}

/** What lets npm in a build reach its registry as npm on this machine does: where it is, and who is trusted. */
function registryAccess(place: string): readonly string[] {
  const found = execFileSync('npm', ['config', 'get', 'registry', 'https-proxy', 'noproxy', 'cache'], {
    encoding: 'utf8',
  });
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  const quiet = 'prefer-offline=true\naudit=false\nfund=false\nupdate-notifier=false\n';
  const file = join(place, 'npmrc');
  writeFileSync(file, `${found}cafile=${certificates}\n${quiet}`);
  const cache = join(/^cache=(.+)$/m.exec(found)?.[1] ?? '', '_cacache');
  mkdirSync(cache, { recursive: true });
  return [`${certificates}:${certificates}:ro`, `${file}:/usr/local/etc/npmrc:ro`, `${cache}:${cache}`];
}
