/** The data key under a passphrase: what is on the disk, who opens it, and what a damaged file does. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gcm } from '@noble/ciphers/aes.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { PassphraseSource } from './data-key.ts';
import { native } from './native.ts';
import { changePassphrase, openStore, type Store } from './store.ts';

const WORDS = 'correct horse battery \u00e9';
let directory: string;
const file = (): Buffer => readFileSync(join(directory, 'data.key'));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-key-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function options(passphrase?: string): {
  directory: string;
  program: 'host';
  suite: typeof native;
  passphrase: PassphraseSource;
} {
  return { directory, program: 'host', suite: native, passphrase: async () => passphrase };
}

async function stored(store: Store): Promise<string | undefined> {
  const value = await store.get('a');
  await store.close();
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

async function fill(passphrase?: string): Promise<Buffer> {
  const store = await openStore(options(passphrase));
  await store.commit([{ kind: 'put', key: 'a', value: new TextEncoder().encode('kept') }]);
  await store.close();
  return file();
}

// CT-006~1
test('the file is what the chapter says, and another implementation of scrypt and AES-GCM opens it', async () => {
  const plain = await fill();
  await changePassphrase(options(), WORDS);
  const sealed = file();
  expect(sealed.length).toBe(88);
  expect(sealed.includes(plain)).toBe(false);
  expect(sealed.toString('latin1', 0, 8)).toBe('clawkey1');
  expect([...sealed.subarray(8, 12)]).toEqual([17, 8, 1, 0]);
  expect(statSync(join(directory, 'data.key')).mode & 0o777).toBe(0o600);
  const typed = new TextEncoder().encode(WORDS.normalize('NFC'));
  const key = scrypt(typed, sealed.subarray(12, 28), { N: 2 ** 17, r: 8, p: 1, dkLen: 32 });
  const opened = gcm(key, sealed.subarray(28, 40), sealed.subarray(0, 28)).decrypt(sealed.subarray(40));
  expect(Buffer.from(opened)).toEqual(plain);
  // Typed on another keyboard, decomposed.
  expect(await stored(await openStore(options(WORDS.normalize('NFD'))))).toBe('kept');

  // Fresh salt and nonce each time.
  await changePassphrase(options(WORDS), WORDS);
  const again = file();
  expect(again.subarray(12, 28)).not.toEqual(sealed.subarray(12, 28));
  expect(again.subarray(28, 40)).not.toEqual(sealed.subarray(28, 40));
});

// CT-008~1
test('without it, or with another, nothing opens and nothing changes; with it everything is there', async () => {
  await fill();
  await changePassphrase(options(), WORDS);
  const sealed = file();
  const needed = expect.objectContaining({ code: ErrorCode.PASSPHRASE_NEEDED });
  const wrong = expect.objectContaining({ code: ErrorCode.PASSPHRASE_WRONG });
  await expect(openStore(options())).rejects.toEqual(needed);
  await expect(openStore({ directory, program: 'host', suite: native })).rejects.toEqual(needed);
  await expect(openStore(options('correct horse'))).rejects.toEqual(wrong);
  await expect(changePassphrase(options(), 'another one')).rejects.toEqual(needed);
  await expect(changePassphrase(options('guess'), 'another one')).rejects.toEqual(wrong);
  await expect(changePassphrase(options('guess'), undefined)).rejects.toEqual(wrong);
  expect(file()).toEqual(sealed);
  expect(await stored(await openStore(options(WORDS)))).toBe('kept');
});

test('it can be changed and removed, and the key stays what it was', async () => {
  const plain = await fill();
  await changePassphrase(options(), WORDS);
  await changePassphrase(options(WORDS), 'another one');
  await expect(openStore(options(WORDS))).rejects.toMatchObject({ code: ErrorCode.PASSPHRASE_WRONG });
  expect(await stored(await openStore(options('another one')))).toBe('kept');
  await changePassphrase(options('another one'), undefined);
  expect(file()).toEqual(plain);
  expect(await stored(await openStore(options()))).toBe('kept');
});

test('in a new directory the key was never in the clear', async () => {
  await changePassphrase(options(), WORDS);
  expect(file().length).toBe(88);
  await fill(WORDS);
  expect(await stored(await openStore(options(WORDS)))).toBe('kept');
});

test("nobody changes it while the directory has an owner, or is the other program's", async () => {
  const store = await openStore(options());
  await expect(changePassphrase(options(), WORDS)).rejects.toMatchObject({
    code: ErrorCode.DIRECTORY_LOCKED,
  });
  await store.close();
  const before = file();
  await expect(changePassphrase({ ...options(), program: 'client' }, WORDS)).rejects.toMatchObject({
    code: ErrorCode.USAGE,
  });
  await expect(changePassphrase(options(), '')).rejects.toMatchObject({ code: ErrorCode.USAGE });
  await expect(changePassphrase(options(), 'x'.repeat(1025))).rejects.toMatchObject({
    code: ErrorCode.USAGE,
  });
  expect(file()).toEqual(before);
});

// CT-007~1, CT-003~2
test('a file that nobody wrote is refused before any work, and stays as it is', async () => {
  await fill();
  await changePassphrase(options(), WORDS);
  const sealed = file();
  let asked = 0;
  const source: PassphraseSource = async () => {
    asked += 1;
    return WORDS;
  };
  const damaged = async (bytes: Uint8Array, code: ErrorCode = ErrorCode.STORE_DAMAGED): Promise<void> => {
    writeFileSync(join(directory, 'data.key'), bytes);
    await expect(openStore({ ...options(), passphrase: source })).rejects.toMatchObject({ code });
    expect(file()).toEqual(Buffer.from(bytes));
  };
  const with_ = (at: number, value: number): Uint8Array => {
    const bytes = Uint8Array.from(sealed);
    bytes[at] = value;
    return bytes;
  };
  await damaged(sealed.subarray(0, 87));
  await damaged(new Uint8Array(0));
  await damaged(with_(0, 0));
  for (const costLog2 of [0, 13, 21, 40, 255]) await damaged(with_(8, costLog2));
  for (const r of [0, 7, 9]) await damaged(with_(9, r));
  for (const p of [0, 5, 255]) await damaged(with_(10, p));
  await damaged(with_(11, 1));
  expect(asked).toBe(0);
  for (const at of [12, 28, 40, 87]) {
    await damaged(with_(at, (sealed[at] ?? 0) ^ 1), ErrorCode.PASSPHRASE_WRONG);
  }
  await damaged(with_(10, 2), ErrorCode.PASSPHRASE_WRONG);
  expect(asked).toBe(5);
});
