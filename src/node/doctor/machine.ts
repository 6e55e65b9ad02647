/** What `doctor` looks at on this machine: modes, socket path, clock, ports. */
import { lstat, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  PORT_MAX,
  PORT_MIN,
  RECENT_PORTS_MAX,
  SOCKET_PATH_BYTES_MAX,
  STANDARD,
} from '../../gen/constants.ts';
import { type PortRange, systemReservedPorts } from '../address.ts';
import { clockOffset } from '../clock-check.ts';
import { systemCode } from '../failure.ts';
import { endOfCertificate, readTlsFiles, type TlsFiles } from '../host/tls-identity.ts';
import { type Finding, finding } from './check.ts';

const LOOSE = 0o077;
/** Authorities that renew every few months do so earlier than this. */
const RENEW_MS = 14 * 86_400_000;
/** So many that recent ports and those in use leave a choice. */
const PORTS_WANTED = 10 * RECENT_PORTS_MAX;

/** Can others read or enter what is only for its owner? */
export async function checkModes(directory: string): Promise<Finding> {
  const loose: string[] = [];
  for (const name of ['.', ...(await readdir(directory))]) {
    const path = join(directory, name);
    const found = await lstat(path);
    // What lies in a directory that nobody may enter is out of reach.
    const matters = name === '.' || /\.key$/.test(name);
    if (matters && (found.mode & LOOSE) !== 0) loose.push(`${path} (${(found.mode & 0o777).toString(8)})`);
  }
  if (loose.length === 0) return finding('modes', 'ok', `${directory} is for its owner alone`);
  return finding(
    'modes',
    'fail',
    `others can read ${loose.join(', ')}`,
    `chmod 700 ${directory}; chmod 600 ${directory}/*.key`,
  );
}

/** Is the operator's certificate one that clients take today, and its key for the host alone? @throws ClawChatError */
export async function checkCertificate(tls: TlsFiles, now: number = Date.now()): Promise<Finding> {
  const until = endOfCertificate(await readTlsFiles(tls));
  const text = `${tls.certificate} is valid until ${new Date(until).toISOString()}`;
  const leftMs = until - now;
  if (leftMs > RENEW_MS) return finding('certificate', 'ok', `${text}, and its key is for the host alone`);
  const advice = 'renew it, then send SIGHUP to the host';
  return finding('certificate', leftMs > 0 ? 'warn' : 'fail', text, advice);
}

/** Does the control socket fit into the directory? */
export function checkSocketPath(directory: string): Finding {
  const path = join(directory, 'control.sock');
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return finding('control socket', 'ok', path);
  return finding(
    'control socket',
    'warn',
    `${path} is ${bytes} bytes long, and ${SOCKET_PATH_BYTES_MAX} is what every system takes`,
    'it lies in the runtime directory instead; a shorter data directory is simpler',
  );
}

/** Is the clock right? */
export async function checkClock(server: string | undefined): Promise<Finding> {
  if (server === undefined) {
    const text = `it is ${new Date().toISOString()} here; nobody was asked`;
    return finding('clock', 'note', text, 'to have it compared: --time-server HOST, or an https URL');
  }
  const offsetMs = await clockOffset(server);
  if (offsetMs === undefined) {
    return finding('clock', 'warn', `${server} gives no time`, 'name another with --time-server');
  }
  const text = `${Math.abs(offsetMs) / 1000} s ${offsetMs >= 0 ? 'ahead of' : 'behind'} ${server}`;
  if (Math.abs(offsetMs) > STANDARD.CLOCK_HOLD_MS) {
    return finding('clock', 'fail', text, 'set the clock; until then a host holds its rotation');
  }
  if (Math.abs(offsetMs) > STANDARD.CLOCK_WARN_MS) return finding('clock', 'warn', text, 'set the clock');
  return finding('clock', 'ok', text);
}

/** Does the range of ports meet what the system does with it? */
export async function checkPortRange(): Promise<readonly Finding[]> {
  return judgePortRange(await systemReservedPorts(), await ephemeralRange());
}

/** Judge what the system keeps for itself, and which ports it gives to outgoing connections. */
export function judgePortRange(
  reserved: readonly PortRange[],
  ephemeral: readonly [number, number] | undefined,
): readonly Finding[] {
  const met = reserved.filter(({ first, last }) => last >= PORT_MIN && first <= PORT_MAX);
  const kept = met.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
  let open = 0;
  for (let port = PORT_MIN; port <= PORT_MAX; port += 1) {
    if (!met.some(({ first, last }) => first <= port && port <= last)) open += 1;
  }
  const range = `${PORT_MIN}-${PORT_MAX}`;
  const found = [
    open >= PORTS_WANTED
      ? finding(
          'port range',
          'ok',
          `${range}${kept === '' ? '' : `, without ${kept} that the system reserves`}`,
        )
      : finding(
          'port range',
          'fail',
          `the system reserves ${kept}: of ${range} only ${open} ports are left to move to`,
          'give ports back: sysctl net.ipv4.ip_local_reserved_ports; or stay on one with --port PORT',
        ),
  ];
  if (ephemeral !== undefined && ephemeral[1] >= PORT_MIN) {
    found.push(
      finding(
        'ephemeral ports',
        'note',
        `this system uses ${ephemeral[0]}-${ephemeral[1]} for outgoing connections, so a port can be taken when it is drawn`,
        'nothing to do: another port is drawn; to avoid it, sysctl net.ipv4.ip_local_port_range="32768 49151"',
      ),
    );
  }
  return found;
}

async function ephemeralRange(): Promise<readonly [number, number] | undefined> {
  try {
    const text = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const [first = 0, last = 0] = text.trim().split(/\s+/).map(Number);
    return [first, last];
  } catch {
    return undefined;
  }
}

/** Can a port of this address be listened on? */
export function checkBind(host: string): Promise<Finding> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', error => {
      const code = systemCode(error) ?? error.message;
      resolve(
        finding('listen', 'fail', `${host}: ${code}`, 'give an address of this machine: --listen ADDRESS'),
      );
    });
    server.listen({ host, port: 0 }, () => {
      server.close(() => resolve(finding('listen', 'ok', `${host} can be listened on`)));
    });
  });
}
