import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { BIND_ATTEMPTS_MAX, PORT_MAX, PORT_MIN } from '../gen/constants.ts';
import {
  advertisedAddresses,
  bindPort,
  drawPort,
  parseLinuxReserved,
  parseWindowsExcluded,
  systemReservedPorts,
} from './address.ts';
import { native } from './native.ts';

const random = native.randomBytes;
/** Every pair of bytes once, in order. */
function everyPair(): (length: number) => Uint8Array {
  let next = 0;
  return () => {
    const pair = Uint8Array.of((next >> 8) & 255, next & 255);
    next += 1;
    return pair;
  };
}

describe('drawing a port', () => {
  test('takes each port of the range exactly as often as any other', () => {
    const pairs = everyPair();
    const drawn = new Map<number, number>();
    for (let i = 0; i < 65_536; i += 1) {
      const port = drawPort(pairs, []) ?? 0;
      drawn.set(port, (drawn.get(port) ?? 0) + 1);
    }
    expect(drawn.size).toBe(PORT_MAX - PORT_MIN + 1);
    expect(new Set(drawn.values())).toEqual(new Set([4]));
    expect(Math.min(...drawn.keys())).toBe(PORT_MIN);
    expect(Math.max(...drawn.keys())).toBe(PORT_MAX);
  });

  test('never takes an excluded one, and takes the last that is left', () => {
    const excluded = [
      { first: 1, last: 50_000 },
      { first: 50_002, last: 60_000 },
      { first: 60_001, last: 65_535 },
    ];
    expect(drawPort(random, excluded)).toBe(50_001);
    expect(drawPort(random, [...excluded, { first: 50_001, last: 50_001 }])).toBeUndefined();
    const some = [{ first: PORT_MIN, last: 65_000 }];
    for (let i = 0; i < 200; i += 1) expect(drawPort(random, some)).toBeGreaterThan(65_000);
  });
});

describe('binding a port', () => {
  const taken = (code: string): Error => Object.assign(new Error(code), { code });

  test('listens on a port of the range', async () => {
    const listen = async (port: number): Promise<Server> => {
      const server = createServer().listen(port, '127.0.0.1');
      await once(server, 'listening');
      return server;
    };
    const { port, listener } = await bindPort({ listen, random, excluded: await systemReservedPorts() });
    expect(port).toBeGreaterThanOrEqual(PORT_MIN);
    // The same port again is taken, by the system's own word, and another is found.
    let first = true;
    const again = await bindPort({
      listen: drawn => {
        const wanted = first ? port : drawn;
        first = false;
        return listen(wanted);
      },
      random,
      excluded: [],
    });
    expect(first).toBe(false);
    expect(again.port).not.toBe(port);
    listener.close();
    again.listener.close();
  });

  test('gives up after so many ports, all of them different', async () => {
    const tried: number[] = [];
    const listen = async (port: number): Promise<never> => {
      tried.push(port);
      throw taken(tried.length % 2 === 0 ? 'EADDRINUSE' : 'EACCES');
    };
    const few = [{ first: PORT_MIN, last: PORT_MAX - 20 }];
    await expect(bindPort({ listen, random, excluded: few })).rejects.toMatchObject({
      code: ErrorCode.NO_PORT,
    });
    expect(tried).toHaveLength(BIND_ATTEMPTS_MAX);
    expect(new Set(tried).size).toBe(BIND_ATTEMPTS_MAX);
  });

  test('gives up when all are excluded', async () => {
    const listen = async (): Promise<never> => {
      throw taken('EADDRINUSE');
    };
    const excluded = [{ first: PORT_MIN, last: PORT_MAX - 3 }];
    await expect(bindPort({ listen, random, excluded })).rejects.toMatchObject({ code: ErrorCode.NO_PORT });
  });

  test('gives up at once when another port would not help', async () => {
    let tries = 0;
    const listen = async (): Promise<never> => {
      tries += 1;
      throw taken('EADDRNOTAVAIL');
    };
    await expect(bindPort({ listen, random, excluded: [] })).rejects.toMatchObject({
      code: ErrorCode.NO_PORT,
      message: expect.stringContaining('EADDRNOTAVAIL'),
    });
    expect(tries).toBe(1);
  });
});

describe('reserved ports', () => {
  test('are read from Linux', async () => {
    expect(parseLinuxReserved('8080,9148\n')).toEqual([
      { first: 8080, last: 8080 },
      { first: 9148, last: 9148 },
    ]);
    expect(parseLinuxReserved('50000-50100, 60000')).toEqual([
      { first: 50_000, last: 50_100 },
      { first: 60_000, last: 60_000 },
    ]);
    expect(parseLinuxReserved('\n')).toEqual([]);
    expect(parseLinuxReserved('x,5-,99999,7-3,-4,1')).toEqual([{ first: 1, last: 1 }]);
    expect(Array.isArray(await systemReservedPorts('linux'))).toBe(true);
    expect(await systemReservedPorts('darwin')).toEqual([]);
  });

  test('are read from Windows', () => {
    const text = [
      '',
      'Protocol tcp Port Exclusion Ranges',
      '',
      'Start Port    End Port      ',
      '----------    --------      ',
      '      5357        5357      ',
      '     49690       49789      ',
      '     50000       50059     *',
      '',
      '* - Administered port exclusions.',
    ].join('\r\n');
    expect(parseWindowsExcluded(text)).toEqual([
      { first: 5357, last: 5357 },
      { first: 49_690, last: 49_789 },
      { first: 50_000, last: 50_059 },
    ]);
    expect(parseWindowsExcluded('')).toEqual([]);
  });
});

describe('addresses to tell', () => {
  const info = (address: string, internal = false): NetworkInterfaceInfo => {
    const common = { address, netmask: '', mac: '', internal, cidr: null };
    return address.includes(':') ? { ...common, family: 'IPv6', scopeid: 0 } : { ...common, family: 'IPv4' };
  };
  const loopback = { lo: [info('127.0.0.1', true), info('::1', true)] };
  const home = {
    ...loopback,
    eth0: [info('2001:db8::5'), info('192.168.1.5'), info('fe80::1'), info('fd00::5')],
    wlan0: [info('192.168.1.5'), info('169.254.3.4'), info('10.0.0.7'), info('FEBF::1')],
  };

  test('are all that can be reached, IPv4 first, each once', () => {
    const all = ['192.168.1.5', '10.0.0.7', '2001:db8::5', 'fd00::5'];
    expect(advertisedAddresses(undefined, () => home)).toEqual(all);
    expect(advertisedAddresses('::', () => home)).toEqual(all);
    expect(advertisedAddresses('0.0.0.0', () => home)).toEqual(['192.168.1.5', '10.0.0.7']);
  });

  test('are loopback only when there is nothing else or it is asked for', () => {
    expect(advertisedAddresses(undefined, () => loopback)).toEqual(['127.0.0.1']);
    expect(advertisedAddresses('127.0.0.1', () => home)).toEqual(['127.0.0.1']);
    expect(advertisedAddresses('::1', () => home)).toEqual(['::1']);
    expect(advertisedAddresses('10.0.0.7', () => home)).toEqual(['10.0.0.7']);
    expect(advertisedAddresses('0.0.0.0', () => ({ ...loopback, eth0: [info('2001:db8::5')] }))).toEqual([
      '127.0.0.1',
    ]);
  });

  test('are not made of what is no address', () => {
    expect(() => advertisedAddresses('localhost', () => home)).toThrow(
      expect.objectContaining({ code: ErrorCode.USAGE }),
    );
    expect(advertisedAddresses(undefined).length).toBeGreaterThan(0);
  });
});
