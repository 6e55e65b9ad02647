import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

interface Script {
  presign(request: {
    readonly url: string;
    readonly region: string;
    readonly accessKey: string;
    readonly secretKey: string;
    readonly expiresS: number;
    readonly now: number;
    readonly method?: string;
  }): string;
}

test('signs as the worked example of AWS (Signature Version 4, query parameters)', async () => {
  const { presign } = (await import(new URL('../../scripts/presign-s3.mjs', import.meta.url).href)) as Script;
  const signed = presign({
    url: 'https://examplebucket.s3.amazonaws.com/test.txt',
    region: 'us-east-1',
    accessKey: 'AKIAIOSFODNN7EXAMPLE',
    secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    expiresS: 86_400,
    now: Date.UTC(2013, 4, 24),
    method: 'GET',
  });
  expect(new URL(signed).searchParams.get('X-Amz-Signature')).toBe(
    'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  );
});

const SCRIPT = fileURLToPath(new URL('../../scripts/presign-s3.mjs', import.meta.url));

test('the command says what it takes, and what is wrong without a trace of the program', () => {
  const run = (
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ): [number | null, string] => {
    const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret-key' };
    const env = { PATH: process.env['PATH'], ...keys, ...more };
    const ended = spawnSync(process.execPath, [SCRIPT, ...args], { env, encoding: 'utf8' });
    return [ended.status, ended.stdout + ended.stderr];
  };
  const url = 'https://s3.example.org/bucket/host.claw';
  expect(run(['--help'])).toEqual([0, expect.stringContaining('usage: presign-s3.mjs URL')]);
  expect(run([url])).toEqual([
    0,
    expect.stringMatching(/X-Amz-Expires=604800&.*X-Amz-Signature=[0-9a-f]{64}\n$/),
  ]);
  const refusals: readonly (readonly [readonly string[], string, Readonly<Record<string, string>>?])[] = [
    [[], 'usage:'],
    [[url, '--bogus'], '--bogus'],
    [['bucket/key'], 'URL is no address'],
    [[url, '--days', '8'], '--days takes more than 0 and at most 7'],
    [[url], 'set AWS_ACCESS_KEY_ID', { AWS_ACCESS_KEY_ID: '' }],
    [[url], 'AWS_SESSION_TOKEN', { AWS_SESSION_TOKEN: 'token' }],
  ];
  for (const [args, says, more] of refusals) {
    const [status, text] = run(args, more);
    expect([status, text]).toEqual([2, expect.stringContaining(says)]);
    expect(text).not.toMatch(/\n {4}at |secret-key/);
  }
});
