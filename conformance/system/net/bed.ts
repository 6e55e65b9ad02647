/** Two networks with a slow and lossy router between them, in network namespaces of this machine. Needs root. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** How the router treats what it forwards, one way. */
export interface Terms {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly lossPercent: number;
}

const DELAY = fileURLToPath(new URL('delay.py', import.meta.url));

/** The host's network, the clients', and what lies between. */
export class NetBed {
  /** The host's address. */
  readonly hostAddress: string = '10.119.1.2';
  readonly #name: string = `clawchat-${process.pid}`;
  #router: ChildProcess | undefined;

  /** What stands in front of a command that runs in that network. */
  in(side: 'host' | 'clients'): readonly string[] {
    return ['ip', 'netns', 'exec', this.#space(side)];
  }

  async up({ delayMs, jitterMs, lossPercent }: Terms): Promise<void> {
    for (const side of ['host', 'clients', 'router']) {
      ip('netns', 'add', this.#space(side));
      ip('-n', this.#space(side), 'link', 'set', 'lo', 'up');
    }
    this.#join('host', 'to-host', '10.119.1');
    this.#join('clients', 'to-clients', '10.119.2');
    execFileSync('ip', [
      'netns',
      'exec',
      this.#space('router'),
      'sh',
      '-c',
      'echo 1 >/proc/sys/net/ipv4/ip_forward',
    ]);
    const terms = [delayMs, jitterMs, lossPercent].map(String);
    const words = [
      'netns',
      'exec',
      this.#space('router'),
      'python3',
      DELAY,
      ...terms,
      'to-host',
      'to-clients',
    ];
    const router = spawn('ip', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#router = router;
    const ended = once(router, 'exit').then(() => {
      throw new Error('the router ended');
    });
    ended.catch(() => {});
    await Promise.race([once(router.stdout, 'data'), ended]);
  }

  /** Let nothing through for a while; what comes meanwhile waits, or is lost. */
  async stall(ms: number, isLost: boolean): Promise<void> {
    this.#router?.kill('SIGSTOP');
    await sleep(ms);
    if (isLost) this.#router?.kill('SIGUSR1');
    this.#router?.kill('SIGCONT');
  }

  /** Cut one connection of the clients to a port of the host, as a middlebox does. */
  cut(port: number): void {
    execFileSync('ip', [...this.in('clients').slice(1), 'ss', '-K', 'dport', '=', `:${port}`], {
      stdio: 'ignore',
    });
  }

  async down(): Promise<void> {
    this.#router?.kill('SIGCONT');
    this.#router?.kill('SIGKILL');
    for (const side of ['host', 'clients', 'router']) {
      try {
        ip('netns', 'del', this.#space(side));
      } catch {
        // It was never made.
      }
    }
  }

  #space(side: string): string {
    return `${this.#name}-${side}`;
  }

  #join(side: 'host' | 'clients', device: string, net: string): void {
    const [space, router] = [this.#space(side), this.#space('router')];
    ip('-n', space, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', device, 'netns', router);
    ip('-n', space, 'addr', 'add', `${net}.2/24`, 'dev', 'eth0');
    ip('-n', space, 'link', 'set', 'eth0', 'up');
    ip('-n', router, 'addr', 'add', `${net}.1/24`, 'dev', device);
    ip('-n', router, 'link', 'set', device, 'up');
    ip('-n', space, 'route', 'add', 'default', 'via', `${net}.1`);
  }
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words);
}
