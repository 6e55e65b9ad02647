/** Machines of one's own: network namespaces on one bridge, each with an address and files that it alone sees. */
import { execFileSync } from 'node:child_process';

const SUBNET = '10.203.7';

/** Some machines on one network that reaches nothing else. Needs root and iproute2. */
export class Network {
  readonly #id: string = `cc${process.pid}`;
  readonly #names: string[] = [];

  constructor() {
    this.#make('net');
    const net = this.#namespace('net');
    ip('-n', net, 'link', 'add', 'br0', 'type', 'bridge');
    ip('-n', net, 'link', 'set', 'br0', 'up');
  }

  /** Add a machine; gives its address. */
  add(name: string): string {
    const number = this.#names.length;
    const address = `${SUBNET}.${number}`;
    this.#make(name);
    const [net, machine] = [this.#namespace('net'), this.#namespace(name)];
    ip('-n', machine, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `port${number}`, 'netns', net);
    ip('-n', machine, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', machine, 'link', 'set', 'eth0', 'up');
    ip('-n', net, 'link', 'set', `port${number}`, 'master', 'br0', 'up');
    return address;
  }

  /** What stands before a command to run it there, with `hidden` directories empty: they are on another machine. */
  on(name: string, hidden: readonly string[] = []): readonly string[] {
    const hide = hidden.map(path => `mount -t tmpfs none '${path}' && `).join('');
    return ['ip', 'netns', 'exec', this.#namespace(name), 'sh', '-c', `${hide}exec "$@"`, 'sh'];
  }

  /** Let a machine reach one address and nothing else, as behind a firewall. */
  confine(name: string, address: string): void {
    const machine = this.#namespace(name);
    ip('-n', machine, 'route', 'del', `${SUBNET}.0/24`, 'dev', 'eth0');
    ip('-n', machine, 'route', 'add', address, 'dev', 'eth0');
  }

  /** Plug a machine's cable in or out. */
  plug(name: string, isIn: boolean): void {
    ip('-n', this.#namespace(name), 'link', 'set', 'eth0', isIn ? 'up' : 'down');
  }

  /** Remove everything. What runs there has to have ended. */
  remove(): void {
    for (const name of this.#names.splice(0).reverse()) ip('netns', 'del', this.#namespace(name));
  }

  #make(name: string): void {
    ip('netns', 'add', this.#namespace(name));
    this.#names.push(name);
    ip('-n', this.#namespace(name), 'link', 'set', 'lo', 'up');
  }

  #namespace(name: string): string {
    return `${this.#id}-${name}`;
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}
