/** Files, variables, options, and what is said of what is wrong (docs/configuration.md). */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClawChatError, codeName } from '../../protocol/fault.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';
import { parseConfig, readConfigFile } from './file.ts';
import { HOST_SETTINGS, STORES_KEY } from './host-settings.ts';
import { resolveSettings, type Setting, type Settings } from './setting.ts';

const HOST: readonly Setting<unknown>[] = Object.values(HOST_SETTINGS);
const CLIENT: readonly Setting<unknown>[] = Object.values(CLIENT_SETTINGS);

function settings(
  text: string,
  environment: Record<string, string> = {},
  flags: Record<string, string[]> = {},
): Settings {
  const file = parseConfig(text, 'f.yaml', HOST, [STORES_KEY]);
  return resolveSettings(HOST, { flag: name => flags[name], environment, file });
}

describe('the examples', () => {
  test.each<[string, readonly Setting<unknown>[], readonly string[]]>([
    ['config.example.yaml', HOST, [STORES_KEY]],
    ['config.client.example.yaml', CLIENT, []],
  ])('%s names every setting, and changes nothing', (path, all, lists) => {
    const file = parseConfig(readFileSync(path, 'utf8'), path, all, lists);
    expect([...file.values.keys()]).toEqual(all.map(({ key }) => key));
    const none = { flag: () => undefined, environment: {} };
    const [written, standard] = [file, undefined].map(each => resolveSettings(all, { ...none, file: each }));
    for (const setting of all) {
      expect(written?.get(setting), setting.key).toEqual(standard?.get(setting));
      expect(written?.origin(setting).kind).toBe('file');
    }
  });

  test('no option, variable or key is there twice', () => {
    for (const all of [HOST, CLIENT]) {
      for (const name of ['key', 'flag', 'variable'] as const)
        expect(new Set(all.map(setting => setting[name])).size).toBe(all.length);
    }
  });
});

describe('precedence', () => {
  test('an option counts more than a variable, a variable more than the file, the file more than the default', () => {
    const { port } = HOST_SETTINGS;
    const at = (...args: Parameters<typeof settings>): [number | undefined, string] => {
      const all = settings(...args);
      return [all.get(port), all.origin(port).where];
    };
    const [file, variable, flag] = ['# it\nport: 1', { CLAWCHATD_PORT: '2' }, { port: ['3'] }] as const;
    expect(at(file, variable, { port: [...flag.port] })).toEqual([3, '--port']);
    expect(at(file, variable)).toEqual([2, 'CLAWCHATD_PORT']);
    expect(at(file, { CLAWCHATD_PORT: '' })).toEqual([1, 'f.yaml line 2']);
    expect(at('')).toEqual([undefined, '']);
  });

  test('a list comes from one source, too', () => {
    const { advertise } = HOST_SETTINGS;
    const file = 'advertise: [a.example, b.example]';
    expect(settings(file).get(advertise)).toEqual(['a.example', 'b.example']);
    expect(settings('advertise: a.example').get(advertise)).toEqual(['a.example']);
    expect(settings(file, { CLAWCHATD_ADVERTISE: 'c.example, d.example' }).get(advertise)).toEqual([
      'c.example',
      'd.example',
    ]);
  });
});

describe('what is wrong is named with its line', () => {
  test.each<[string, string]>([
    ['log:\n  levle: info', 'line 2: there is no setting "log.levle"; did you mean "log.level"?'],
    ['log-level: info', 'line 1: there is no setting "log-level"; did you mean "log.level"?'],
    ['levels: info', 'line 1: there is no setting "levels"; did you mean "log.level"?'],
    ['\n\nprot: 1', 'line 3: there is no setting "prot"; did you mean "port"?'],
    [
      'wholly-different-thing: 1',
      'line 1: there is no setting "wholly-different-thing"; there are listen, port',
    ],
    ['log: info', 'line 1: "log" is a group of settings: level, style, file, size, files'],
    ['port: [1]', 'line 1: "port" takes a whole number from 1 to 65535, or moving, not a list'],
    ['port:', 'line 1: "port" takes a whole number from 1 to 65535, or moving, not nothing'],
    ['port: { a: 1 }', 'not a group'],
    ['stores: 1', 'line 1: "stores" takes a list'],
    ['port: 1\nport: 2', 'line 2: Map keys must be unique'],
    ['port: "1', 'line 1: Missing closing'],
    ['- a', 'line 1: a configuration is a list of "key: value" lines'],
    ['port: 1\n---\nport: 2', 'line 2'],
    ['a: &x 1\nport: *x', 'line 2: "port" takes a whole number from 1 to 65535, or moving, not an alias'],
  ])('%j', (text, expected) => {
    expect(() => settings(text)).toThrow(expected);
  });

  test.each<[string, string]>([
    ['port: 0', "f.yaml line 1: port takes a whole number from 1 to 65535, or moving, not '0'"],
    ['port: 65536', "not '65536'"],
    ['port: 1e3', "not '1e3'"],
    ['interval: 90', 'interval takes a time with its unit from 1s to 7d'],
    ['interval: 8d', 'from 1s to 7d'],
    ['bench: yes', "bench takes true or false, not 'yes'"],
    ['log:\n  size: 1000B', 'log.size takes a size with its unit from 1KiB to 1GiB'],
    ['log:\n  level: loud', 'log.level takes one of debug, info, warn, error'],
    ['tls:\n  key: relative.pem', 'tls.key takes an absolute path, or none'],
    ['metrics:\n  listen: localhost:1', 'metrics.listen takes an IP address and a port'],
    ['proxy: ftp://x', 'proxy takes an http URL'],
    ['front:\n  hops: [proxy.example]', 'front.hops takes an IP address'],
    ['advertise: ["a b"]', 'advertise takes an address or a name'],
  ])('%j', (text, expected) => {
    expect(() => settings(text)).toThrow(expected);
  });

  test('of everything at once, and of variables and options by their names', () => {
    const environment = { CLAWCHATD_DRAIN: '1' };
    expect(() => settings('bench: 1', environment, { port: ['x'] })).toThrow(
      /--port takes .*; f.yaml line 1: bench takes .*; CLAWCHATD_DRAIN takes /,
    );
    expect(() => settings('a: 1\nb: 2')).toThrow(/line 1: .*; f.yaml line 2: /);
  });
});

describe('a file', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'clawchat-config-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  async function read(text: string, mode: number): Promise<string> {
    const path = join(directory, 'c.yaml');
    writeFileSync(path, text);
    chmodSync(path, mode);
    try {
      return String((await readConfigFile(path, HOST, [STORES_KEY]))?.values.size);
    } catch (error) {
      if (!(error instanceof ClawChatError)) throw error;
      return codeName(error.code);
    }
  }

  test('that others can write is refused, and one with stores that others can read', async () => {
    expect(await read('port: 1', 0o644)).toBe('1');
    expect(await read('port: 1', 0o664)).toBe('PERMISSIONS_LOOSE');
    const stores = 'stores: [{ kind: local, path: /x }]';
    expect(await read(stores, 0o644)).toBe('PERMISSIONS_LOOSE');
    expect(await read(stores, 0o600)).toBe('0');
    expect(await read('stores: []', 0o644)).toBe('0');
  });

  test('that is too long is refused, and one that is not there is none', async () => {
    expect(await read(`# ${'x'.repeat(70_000)}`, 0o600)).toBe('FILE_TOO_LARGE');
    expect(await readConfigFile(join(directory, 'none.yaml'), HOST, [])).toBeUndefined();
  });
});
