/** Each thing that `doctor` looks at can be well and can be wrong, and what is wrong comes with what to do. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { storeFailed } from '../../discovery/store.ts';
import { type ControlHostStatus, ControlHostStatusSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { PORT_MAX, PORT_MIN, SOCKET_PATH_BYTES_MAX, STANDARD } from '../../gen/constants.ts';
import { makeCertificate } from '../certificate.ts';
import { endOfCertificate } from '../host/tls-identity.ts';
import { native } from '../native.ts';
import { startTimeServer, type TimeServer } from '../testing/time-server.ts';
import { check, type Finding } from './check.ts';
import { examineHost } from './host-doctor.ts';
import {
  checkBind,
  checkCertificate,
  checkClock,
  checkModes,
  checkSocketPath,
  judgePortRange,
} from './machine.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-doctor-'));
const servers: TimeServer[] = [];
afterEach(() => {
  for (const each of servers.splice(0)) each.close();
  rmSync(root, { recursive: true, force: true });
});

/** Say the grade, after a look whether there is advice with everything that is not well. */
function grade(found: Finding | undefined): string | undefined {
  if (found !== undefined && found.grade !== 'ok') expect(found.advice).toBeTruthy();
  return found?.grade;
}

async function timeServer(offMs: number): Promise<string> {
  const started = await startTimeServer(offMs);
  servers.push(started);
  return started.address;
}

describe('the machine', () => {
  it('has a clock that is right, somewhat off, far off, or unknown', async () => {
    const at = async (offMs: number): Promise<string | undefined> =>
      grade(await checkClock(await timeServer(offMs)));
    expect(await at(0)).toBe('ok');
    expect(await at(STANDARD.CLOCK_WARN_MS + 5000)).toBe('warn');
    expect(await at(-STANDARD.CLOCK_HOLD_MS - 5000)).toBe('fail');
    expect(grade(await checkClock(undefined))).toBe('note');
    expect(grade(await checkClock('127.0.0.1:9'))).toBe('warn');
  });

  it('leaves the range of ports to the host, or keeps some, or nearly all of it', () => {
    const range = (first: number, last: number): readonly Finding[] =>
      judgePortRange([{ first, last }], undefined);
    expect(judgePortRange([], undefined).map(grade)).toEqual(['ok']);
    expect(range(1, PORT_MIN - 1)[0]?.detail).not.toContain('reserves');
    expect(range(50_000, 50_009)[0]).toMatchObject({ grade: 'ok' });
    expect(range(50_000, 50_009)[0]?.detail).toContain('50000-50009');
    expect(range(PORT_MIN, PORT_MAX - 10).map(grade)).toEqual(['fail']);
    expect(judgePortRange([], [32_768, PORT_MIN - 1]).map(grade)).toEqual(['ok']);
    expect(judgePortRange([], [32_768, 60_999]).map(grade)).toEqual(['ok', 'note']);
  });

  it("has an operator's certificate that is in order, ends soon, has ended, or a key that others can read", async () => {
    mkdirSync(root, { recursive: true });
    const tls = { certificate: join(root, 'own.pem'), key: join(root, 'own.key') };
    const { cert, key } = makeCertificate(native, Date.now());
    writeFileSync(tls.certificate, cert);
    writeFileSync(tls.key, key);
    const until = endOfCertificate({ cert, key });
    expect(until).toBeGreaterThan(Date.now());
    const look = async (mode: number, now = Date.now()): Promise<Finding | undefined> => {
      chmodSync(tls.key, mode);
      return (await check('certificate', () => checkCertificate(tls, now)))[0];
    };
    expect(grade(await look(0o600))).toBe('ok');
    expect(grade(await look(0o600, until - 86_400_000))).toBe('warn');
    expect(grade(await look(0o600, until))).toBe('fail');
    for (const mode of [0o644, 0o620, 0o602]) {
      const found = await look(mode);
      expect(grade(found)).toBe('fail');
      expect(found?.detail).toMatch(/others can (read|write) .*own.key.*: chmod (600|go-w) /);
    }
    rmSync(tls.key);
    expect(grade((await check('certificate', () => checkCertificate(tls)))[0])).toBe('fail');
  });

  it('has the address that is listened on, or not', async () => {
    expect(grade(await checkBind('127.0.0.1'))).toBe('ok');
    const none = await checkBind('203.0.113.1');
    expect(grade(none)).toBe('fail');
    expect(none.detail).toContain('EADDRNOTAVAIL');
  });

  it('takes the path of the control socket, or not', () => {
    const path = (bytes: number): string => `/${'d'.repeat(bytes - '/control.sock'.length - 1)}`;
    expect(grade(checkSocketPath(path(SOCKET_PATH_BYTES_MAX)))).toBe('ok');
    expect(grade(checkSocketPath(path(SOCKET_PATH_BYTES_MAX + 1)))).toBe('warn');
  });

  it.each([
    ['directory', '.'],
    ['key', 'identity.key'],
  ])('shows a %s to others, or not', async (_, name) => {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    chmodSync(root, 0o700);
    writeFileSync(join(root, 'identity.key'), 'x', { mode: 0o600 });
    expect(grade(await checkModes(root))).toBe('ok');
    chmodSync(join(root, name), name === '.' ? 0o750 : 0o640);
    const loose = await checkModes(root);
    expect(grade(loose)).toBe('fail');
    expect(loose.advice).toContain('chmod');
  });
});

describe('the host', () => {
  const now = Date.now();
  const store = {
    name: 'https://store.example/f',
    verifiedSequence: 7n,
    verifiedAtMs: BigInt(now),
    trouble: '',
    detail: '',
  };
  const well = {
    serving: true,
    port: 50_000,
    phase: 'resting',
    sequence: 7n,
    validUntilMs: BigInt(now + 60_000),
    nextIdentityExported: true,
    stores: [store],
    warnings: [] as string[],
  };

  async function examine(
    changes: Partial<typeof well> & { readonly code?: ErrorCode },
  ): Promise<readonly Finding[]> {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const { code = ErrorCode.UNSPECIFIED, ...rest } = changes;
    const stores = (rest.stores ?? well.stores).map(each => ({ ...each, code }));
    const status: ControlHostStatus = create(ControlHostStatusSchema, { ...well, ...rest, stores });
    return examineHost({
      directory: root,
      listen: '127.0.0.1',
      timeServer: undefined,
      status: () => Promise.resolve(status),
    });
  }

  const of = (all: readonly Finding[], what: string): string | undefined =>
    grade(all.find(found => found.what.startsWith(what)));

  it('serves or not, with a record that holds or has expired', async () => {
    const all = await examine({});
    expect(['host', 'record', 'store', 'next identity'].map(what => of(all, what))).toEqual([
      'ok',
      'ok',
      'ok',
      'ok',
    ]);
    expect(of(await examine({ serving: false }), 'host')).toBe('warn');
    expect(of(await examine({ validUntilMs: BigInt(now - 1000) }), 'record')).toBe('fail');
    expect(of(await examine({ nextIdentityExported: false }), 'next identity')).toBe('warn');
  });

  it('has stores that hold the current file, an older one, or fail', async () => {
    expect(of(await examine({ stores: [{ ...store, verifiedSequence: 6n }] }), 'store')).toBe('warn');
    // One that has only just started is still publishing.
    const fresh = { startedAtMs: BigInt(Date.now()), stores: [{ ...store, verifiedSequence: 6n }] };
    expect(of(await examine(fresh), 'store')).toBe('note');
    expect(of(await examine({ code: ErrorCode.STORE_UNAVAILABLE }), 'store')).toBe('fail');
  });

  it('says of a store that fails why, and what to do', async () => {
    const { code, trouble, detail } = storeFailed('refused', `${store.name}: answers 401`);
    const all = await examine({ stores: [{ ...store, trouble, detail }], code });
    const found = all.find(({ what }) => what.startsWith('store'));
    expect(found?.detail).toBe('refused (answers 401)');
    expect(found?.advice).toContain('correct "headers"');
  });

  it('gives its warnings, each with what to do', async () => {
    const warnings = [
      'https://s/f: the address to write to ended; renew it (docs/stores.md)',
      'a strange thing',
    ];
    const all = (await examine({ warnings })).filter(({ what }) => what === 'the host says');
    expect(all.map(({ detail, advice }) => [detail, advice])).toEqual([
      ['https://s/f: the address to write to ended', 'renew it (docs/stores.md)'],
      ['a strange thing', 'the log of the host says more'],
    ]);
  });

  it('that serves listens already, whatever this command was told', async () => {
    expect(of(await examine({}), 'listen')).toBeUndefined();
    expect(of(await examine({ serving: false }), 'listen')).toBe('ok');
  });

  it('does not answer', async () => {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const all = await examineHost({
      directory: root,
      listen: '127.0.0.1',
      timeServer: undefined,
      status: () => Promise.reject(new Error('the owner is gone')),
    });
    expect(of(all, 'host')).toBe('fail');
  });
});
