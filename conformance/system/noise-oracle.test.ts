/** The committed Noise transcripts are what the Go implementation prints (needs golang-go, golang-github-flynn-noise-dev). */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('test-vectors/noise/xkpsk3.json is what flynn/noise makes', () => {
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode' };
  const printed = execFileSync('go', ['run', 'conformance/oracle/noise/main.go'], {
    env,
    maxBuffer: 2 ** 24,
  });
  expect(printed.toString()).toBe(readFileSync('test-vectors/noise/xkpsk3.json', 'utf8'));
});
