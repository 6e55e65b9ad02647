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
