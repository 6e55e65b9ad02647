/** Every store of docs/stores.md against the real server, as the page says to set it up. Needs root: .ci/apt. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HttpsReader, parseStoreUrl } from '../../../src/node/stores/https.ts';
import { LocalStore } from '../../../src/node/stores/local.ts';
import type { Trust } from '../../../src/node/stores/tls.ts';
import { storeBehaviour } from '../../stores/behaviour.ts';
import { sealed } from '../../stores/sealed.ts';
import { openS3, type S3Lab } from './s3.ts';
import { openApache, openNginx, type WebLab } from './web.ts';

const live = new AbortController().signal;

storeBehaviour('nginx, dav, TLS 1.3', openNginx);
storeBehaviour('Apache, dav, TLS 1.3', openApache);
storeBehaviour('S3, signed addresses', openS3);

describe('nginx', () => {
  let lab: WebLab;
  beforeAll(async () => {
    lab = await openNginx();
    await lab.plant(sealed(1));
  });
  afterAll(() => lab?.close());

  const read = async (trust: Trust, host = 'localhost'): Promise<unknown> => {
    const url = parseStoreUrl(`https://${host}:${lab.port}/host.claw`);
    if (url === undefined) throw new Error('not a URL');
    return await new HttpsReader(url, { trust, proxy: undefined }).read(live);
  };

  test('an authority is trusted by its key or by its certificate, and only for the names that it vouches for (DI-040~1)', async () => {
    const pin: Trust = { kind: 'pin', sha256: lab.root.pin };
    const pem: Trust = { kind: 'authorities', pem: lab.root.ca };
    for (const trust of [pin, pem]) {
      expect(await read(trust)).toMatchObject({ kind: 'file' });
      expect(await read(trust, '127.0.0.1')).toMatchObject({ kind: 'file' });
      expect(await read(trust, '127.0.0.2')).toMatchObject({ kind: 'failed' });
      expect(await read(trust, 'ip6-localhost.localdomain')).toMatchObject({ kind: 'failed' });
    }
    expect(await read({ kind: 'system' })).toMatchObject({ kind: 'failed', trouble: 'untrusted' });
  });

  test('the pin of an authority does not vouch for another name (DI-040~1)', async () => {
    // The certificate is for localhost and 127.0.0.1; by the machine's own name the server is the same and the name is not.
    const name = execFileSync('hostname', { encoding: 'utf8' }).trim();
    const url = parseStoreUrl(`https://${name}:${lab.port}/host.claw`);
    if (url === undefined) throw new Error('not a URL');
    const reader = new HttpsReader(url, { trust: { kind: 'pin', sha256: lab.root.pin }, proxy: undefined });
    expect(await reader.read(live)).toMatchObject({ kind: 'failed' });
  });

  test("the pin of the server's own key is enough (DI-040~1)", async () => {
    const command =
      "openssl x509 -in store.crt -noout -pubkey | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1";
    const hex = execFileSync('bash', ['-c', command], { cwd: lab.root.path, encoding: 'utf8' }).trim();
    expect(await read({ kind: 'pin', sha256: Uint8Array.from(Buffer.from(hex, 'hex')) })).toMatchObject({
      kind: 'file',
    });
  });

  test('a reader needs no password; nothing but the one file can be written', async () => {
    const { writer } = lab.open({ write: `https://localhost:${lab.port}/other.claw` });
    expect(await writer.publish(sealed(2), live)).toMatchObject({ kind: 'failed', trouble: 'refused' });
    expect(await lab.reader().read(live)).toMatchObject({ kind: 'file' });
  });
});

describe('Apache', () => {
  let lab: WebLab;
  beforeAll(async () => {
    lab = await openApache();
  });
  afterAll(() => lab?.close());

  test('keeps a condition of the writer: 412 is somebody else writing there, and the file stays', async () => {
    const old = sealed(1);
    await lab.plant(old);
    const { authorization = '' } = {
      authorization: `Basic ${Buffer.from('host:secret-password').toString('base64')}`,
    };
    const { writer } = lab.open({ headers: { authorization, 'if-match': '"another"' } });
    expect(await writer.publish(sealed(2), live)).toMatchObject({ kind: 'failed', trouble: 'busy' });
    expect((await lab.peek()).map(bytes => Buffer.compare(bytes, old))).toEqual([0]);
  });
});

describe('S3', () => {
  let lab: S3Lab;
  beforeAll(async () => {
    lab = await openS3();
    await lab.clear();
  });
  afterAll(() => lab?.close());

  test('an address that has ended is expired; renewed, the same host writes on without a restart', async () => {
    const { writer, writableUntil } = lab.open();
    lab.renew(1 / 86_400);
    await new Promise(resolve => setTimeout(resolve, 2100));
    expect(await writer.publish(sealed(1), live)).toMatchObject({ kind: 'failed', trouble: 'expired' });
    lab.renew(3);
    const days = ((await writableUntil()) ?? 0) / 86_400_000 - Date.now() / 86_400_000;
    expect(days).toBeGreaterThan(2.9);
    expect(days).toBeLessThan(3.1);
    expect(await writer.publish(sealed(1), live)).toEqual({ kind: 'published' });
  });

  test('without the file of the address the host says so', async () => {
    rmSync(join(lab.root.path, 's3-address'));
    const { writer, writableUntil } = lab.open();
    expect(await writableUntil()).toBeUndefined();
    expect(await writer.publish(sealed(1), live)).toMatchObject({ kind: 'failed', trouble: 'expired' });
  });
});

describe('local file', () => {
  test('a full disk is quota, the old file stays, and nothing is left over (DI-012~1)', async () => {
    const root = mkdtempSync(join(tmpdir(), 'clawchat-full-'));
    const disk = join(root, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const store = new LocalStore(join(disk, 'host.claw'));
      const file = sealed(1);
      expect(await store.publish(file, live)).toEqual({ kind: 'published' });
      writeFileSync(join(disk, 'ballast'), new Uint8Array(56 * 1024));
      expect(await store.publish(new Uint8Array(16 * 1024), live)).toMatchObject({
        kind: 'failed',
        trouble: 'quota',
      });
      expect(readdirSync(disk).sort()).toEqual(['ballast', 'host.claw']);
      expect(Buffer.compare(readFileSync(join(disk, 'host.claw')), file)).toBe(0);
    } finally {
      execFileSync('umount', [disk]);
      rmSync(root, { recursive: true });
    }
  });
});
