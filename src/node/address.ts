/** Where the host listens and which addresses it tells (spec/06-rotation.md, spec/03-connection-file.md). */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { BIND_ATTEMPTS_MAX, PORT_MAX, PORT_MIN } from '../gen/constants.ts';
import { failure, systemCode } from './failure.ts';

/** From port `first` to port `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const PORTS = PORT_MAX - PORT_MIN + 1;
const LINUX_RESERVED = '/proc/sys/net/ipv4/ip_local_reserved_ports';
const NETSH_MS_MAX = 5_000;
/** What says "not this port"; anything else (no such address, too many files) would fail on every port. */
const PORT_TAKEN: ReadonlySet<string> = new Set(['EADDRINUSE', 'EACCES']);

/**
 * Draw a port of the range uniformly, none of `excluded`; undefined when all of them are excluded.
 *
 * `random` gives that many random bytes. A draw outside the range or excluded is thrown away and drawn again, so no
 * port is likelier than another.
 */
export function drawPort(
  random: (bytes: number) => Uint8Array,
  excluded: readonly PortRange[],
): number | undefined {
  const open = (port: number): boolean => !excluded.some(range => range.first <= port && port <= range.last);
  let any = PORT_MIN;
  while (!open(any)) {
    any += 1;
    if (any > PORT_MAX) return undefined;
  }
  // The largest multiple of the number of ports below 2^16: what lies above would favour the low ports.
  const limit = 65_536 - (65_536 % PORTS);
  for (;;) {
    const [high = 0, low = 0] = random(2);
    const drawn = high * 256 + low;
    const port = PORT_MIN + (drawn % PORTS);
    if (drawn < limit && open(port)) return port;
  }
}

/** What `bindPort` works with. */
export interface BindOptions<T> {
  /** Listen on one port, or reject with the system's error. */
  readonly listen: (port: number) => Promise<T>;
  /** Give that many random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  /** Ports not to take: the current one, recent ones, and those that the system reserves. */
  readonly excluded: readonly PortRange[];
}

/** A bound port and what listens on it. */
export interface Bound<T> {
  readonly port: number;
  readonly listener: T;
}

/**
 * Listen on a random port of the range; a port that is taken is not tried again.
 *
 * @throws ClawChatError `NO_PORT` after `BIND_ATTEMPTS_MAX` ports, or at once when another port would not help.
 */
export async function bindPort<T>(options: BindOptions<T>): Promise<Bound<T>> {
  const excluded = [...options.excluded];
  let cause: unknown;
  for (let attempt = 0; attempt < BIND_ATTEMPTS_MAX; attempt += 1) {
    const port = drawPort(options.random, excluded);
    if (port === undefined) throw failure(ErrorCode.NO_PORT, 'every port of the range is excluded', cause);
    try {
      return { port, listener: await options.listen(port) };
    } catch (error) {
      cause = error;
      const code = systemCode(error);
      if (code === undefined || !PORT_TAKEN.has(code)) {
        throw failure(ErrorCode.NO_PORT, `cannot listen (${code ?? 'unknown'})`, cause);
      }
      excluded.push({ first: port, last: port });
    }
  }
  throw failure(ErrorCode.NO_PORT, `${BIND_ATTEMPTS_MAX} ports are all taken`, cause);
}

/** Read which ports the system keeps for itself; none where it does not say. */
export async function systemReservedPorts(
  platform: NodeJS.Platform = process.platform,
): Promise<readonly PortRange[]> {
  if (platform === 'win32') return parseWindowsExcluded(await netsh());
  if (platform !== 'linux') return [];
  try {
    return parseLinuxReserved(await readFile(LINUX_RESERVED, 'utf8'));
  } catch {
    return []; // A sandbox may hide the file, and the bind will tell.
  }
}

/** Parse `ip_local_reserved_ports`: ports and ranges separated by commas. What is not understood is left out. */
export function parseLinuxReserved(text: string): readonly PortRange[] {
  return text
    .trim()
    .split(',')
    .flatMap(part => {
      const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
      return match === null ? [] : toRange(match[1], match[2] ?? match[1]);
    });
}

/** Parse `netsh interface ipv4 show excludedportrange protocol=tcp`, whose headings are in the system's language. */
export function parseWindowsExcluded(text: string): readonly PortRange[] {
  return text.split(/\r?\n/).flatMap(line => {
    const match = /^\s*(\d{1,5})\s+(\d{1,5})\s*\*?\s*$/.exec(line);
    return match === null ? [] : toRange(match[1], match[2]);
  });
}

function toRange(first: string | undefined, last: string | undefined): readonly PortRange[] {
  const range = { first: Number(first), last: Number(last) };
  return range.first <= range.last && range.last <= 65_535 ? [range] : [];
}

function netsh(): Promise<string> {
  const parameters = ['interface', 'ipv4', 'show', 'excludedportrange', 'protocol=tcp'];
  return new Promise(resolve => {
    execFile('netsh', parameters, { timeout: NETSH_MS_MAX }, (error, stdout) => resolve(error ? '' : stdout));
  });
}

/** @throws ClawChatError `USAGE` where the system does not tell. */
function systemInterfaces(): Interfaces {
  try {
    return networkInterfaces();
  } catch (cause) {
    const text =
      'the addresses of this machine cannot be listed: say with --advertise what clients shall dial';
    throw failure(ErrorCode.USAGE, text, cause);
  }
}

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * List the addresses at which a host that listens on `listen` can be reached, without duplicates, IPv4 first.
 *
 * `listen` is an address, or undefined, `0.0.0.0` or `::` for all of them. Link-local addresses are left out: they
 * need the reader's own interface name. Loopback is listed when it is asked for or when there is nothing else.
 *
 * @throws ClawChatError `USAGE` when `listen` is no address, or the system lists none.
 */
export function advertisedAddresses(
  listen: string | undefined,
  interfaces: () => Interfaces = systemInterfaces,
): readonly string[] {
  if (listen !== undefined && isIP(listen) === 0) {
    throw failure(ErrorCode.USAGE, `not an address to listen on: ${JSON.stringify(listen)}`);
  }
  if (listen !== undefined && listen !== '0.0.0.0' && listen !== '::') return [listen];
  const found = Object.values(interfaces()).flatMap(list => list ?? []);
  const reachable = found.filter(info => !info.internal && !isLinkLocal(info));
  const families = listen === '0.0.0.0' ? ['IPv4'] : ['IPv4', 'IPv6'];
  const addresses = families.flatMap(family =>
    reachable.filter(info => info.family === family).map(info => info.address),
  );
  return addresses.length > 0 ? [...new Set(addresses)] : ['127.0.0.1'];
}

function isLinkLocal(info: NetworkInterfaceInfo): boolean {
  return info.family === 'IPv4' ? info.address.startsWith('169.254.') : /^fe[89ab]/i.test(info.address);
}
