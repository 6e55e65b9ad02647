import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { STANDARD } from '../../src/gen/constants.ts';
import { ClientDriver } from '../../src/node/client/driver.ts';
import { tlsIdentity } from '../../src/node/host/tls-identity.ts';
import { SILENT_LOG } from '../../src/node/log.ts';
import { native } from '../../src/node/native.ts';
import { openStore } from '../../src/node/store.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { type Invite, parseInviteText } from '../../src/protocol/invite.ts';
import { decodeRotation, ROTATION_KEY } from '../../src/protocol/rotation-storage.ts';
import { decodeIdentity, encodeMember, IDENTITY_KEY, MEMBER_KEY } from '../../src/protocol/storage.ts';
import { type Ended, Place, type Running } from './programs.ts';

const place = new Place();
const A = place.path('A');
const B = place.path('B');
let host: Running;

function portOf(running: Running): string {
  return /port (\d+)/.exec(running.lines[0] ?? '')?.[1] ?? '';
}

/** The typed error that a program ended with. */
function refusal(ended: Ended): { readonly code: string; readonly exit: number | null } {
  const last = ended.stderr.trim().split('\n').at(-1) ?? '';
  const parsed: { error?: { code?: string } } = last.startsWith('{') ? JSON.parse(last) : {};
  return { code: parsed.error?.code ?? ended.stderr, exit: ended.code };
}

async function invite(data: string, ...args: readonly string[]): Promise<string> {
  return (await place.ok('clawchatd', ['invite', '--data', data, ...args])).trim();
}

let joins = 0;
async function join(input: string, file?: string): Promise<ReturnType<typeof refusal>> {
  joins += 1;
  const args = ['join', file ?? '-', '--json', '--timeout', '30s', '--data', place.path(`join-${joins}`)];
  return refusal(await place.run('clawchat', args, input));
}

beforeAll(async () => {
  host = await place.host(A);
  await place.join(A, B, 'Bob');
});
afterAll(() => place.clean());

describe('an invite', () => {
  it('with a wrong letter, cut off, or something else is refused by its reader (IN-005)', async () => {
    const text = await invite(A);
    const at = text.length - 40;
    const changed = text.slice(0, at) + (text[at] === 'q' ? 'r' : 'q') + text.slice(at + 1);
    expect(await join(changed)).toEqual({ code: 'INVITE_CHECKSUM', exit: 3 });
    expect(await join(text.slice(0, -8))).toEqual({ code: 'INVITE_CHECKSUM', exit: 3 });
    expect(await join('hello')).toEqual({ code: 'INVITE_MALFORMED', exit: 3 });
  });

  it('that has expired is refused before dialling (IN-006)', async () => {
    const text = await invite(A, '--expires', '1s');
    await sleep(2100);
    expect(await join(text)).toEqual({ code: 'INVITE_EXPIRED', exit: 3 });
  });

  it('that was used finds no file, and with a file no gate (IN-002, EN-009)', async () => {
    const bundle = place.path('used.bundle');
    await place.ok('clawchatd', ['invite', '--data', A, '--file', bundle]);
    await place.ok('clawchat', ['join', bundle, '--data', place.path('first')]);
    expect(await join('', bundle)).toEqual({ code: 'GATE_REFUSED', exit: 4 });
    const text = await invite(A);
    await place.ok('clawchat', ['join', '-', '--data', place.path('second')], text);
    expect(await join(text)).toEqual({ code: 'NOT_A_RECIPIENT', exit: 4 });
  });

  it('of another host opens nothing here (CF-010, IN-005)', async () => {
    const other = place.path('other');
    await place.host(other).then(running => running.stop());
    const text = await invite(other);
    copyFileSync(place.path('A', 'connection.clawchat'), place.path('other', 'connection.clawchat'));
    expect(await join(text)).toEqual({ code: 'NOT_A_RECIPIENT', exit: 4 });
  });

  it('that somebody claimed admits nobody else, alarms, and still admits the claimant (EN-003, EN-004)', async () => {
    const text = await invite(A);
    await claimAndDie(text);
    expect(await join(text)).toEqual({ code: 'INVITE_USED', exit: 3 });
    const status = await place.ok('clawchatd', ['status', '--json', '--data', A]);
    expect(JSON.parse(status).warnings.join()).toContain('already used');
    await place.ok('clawchat', ['join', '-', '--data', place.path('claimant')], text);
  });
});

/** Send an Enrol from the directory `claimant`, and lose power before the answer is on the disk. */
async function claimAndDie(text: string): Promise<void> {
  const parsed = parseInviteText(native, text);
  if (isFault(parsed)) throw new Error(parsed.detail);
  const claimant: Invite = parsed;
  const store = await openStore({ directory: place.path('claimant'), program: 'client', suite: native });
  await new Promise<void>((resolve, reject) => {
    const driver = new ClientDriver(
      undefined,
      'chat.v1',
      STANDARD,
      {
        persist: member => {
          if (member.stage === 'keyed') {
            return store.commit([{ kind: 'put', key: MEMBER_KEY, value: encodeMember(member) }]);
          }
          resolve();
          return new Promise<void>(() => {});
        },
        failed: reject,
        chat: () => ({ message: () => {}, writable: () => {}, closed: () => {} }),
        show: () => {},
        warn: () => {},
        declined: why => reject(new Error(why.detail)),
        trouble: why => reject(new Error(why.detail)),
        attached: () => {},
        stopped: why => reject(new Error(why.detail)),
      },
      SILENT_LOG,
      {},
    );
    driver.step({ kind: 'join', invite: claimant, devicePrivateKey: native.randomBytes(32), name: '' });
  });
  await store.close();
}

describe('a connection file', () => {
  it('with a changed byte is refused with the reason, by inspect and by join (CF-001, CF-006)', async () => {
    const path = place.path('A', 'connection.clawchat');
    const file = readFileSync(path);
    const altered = place.path('altered');
    const seen = new Set<string>();
    for (const at of [0, 1, 4, 6, 20, 60, 300, 3000, file.length - 800, file.length - 1]) {
      const bytes = Buffer.from(file);
      bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
      writeFileSync(altered, bytes);
      const { code, exit } = refusal(
        await place.run('clawchat', ['inspect', altered, '--json', '--data', B]),
      );
      expect(
        ['FILE_MALFORMED', 'FILE_ALTERED', 'VERSION_UNSUPPORTED', 'NOT_A_RECIPIENT'],
        String(at),
      ).toContain(code);
      expect(exit).toBe(4);
      seen.add(code);
    }
    expect(seen.size).toBeGreaterThanOrEqual(3);
    writeFileSync(altered, Buffer.concat([file, file]));
    const twice = refusal(await place.run('clawchat', ['inspect', altered, '--json', '--data', B]));
    expect(twice).toEqual({ code: 'FILE_MALFORMED', exit: 4 });
    writeFileSync(altered, Buffer.alloc(300_000));
    const long = refusal(await place.run('clawchat', ['inspect', altered, '--json', '--data', B]));
    expect(long).toEqual({ code: 'FILE_TOO_LARGE', exit: 4 });

    const text = await invite(A);
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad.writeUInt8((bad[bad.length - 100] ?? 0) ^ 0x80, bad.length - 100);
    writeFileSync(path, bad);
    expect(await join(text)).toEqual({ code: 'FILE_ALTERED', exit: 4 });
    writeFileSync(path, good);
  });
});

describe('a device', () => {
  it('that was revoked is told that the host does not let it in, and its session ends at once (EN-030)', async () => {
    await place.join(A, place.path('gone'), 'gone');
    const listening = place.start('clawchat', ['listen', '--json', '--data', place.path('gone')]);
    await place.ok('clawchat', ['ping', '--data', place.path('gone')]);
    const began = performance.now();
    await place.ok('clawchatd', ['revoke', 'gone', '--data', A]);
    const status = JSON.parse(await place.ok('clawchat', ['status', '--json', '--data', place.path('gone')]));
    expect(status.link).not.toBe('connected');
    console.log(
      `from revoke to a client without a path: ${Math.round(performance.now() - began)} ms, two program starts included`,
    );
    await listening.stop();
    const pinged = await place.run('clawchat', [
      'ping',
      '--json',
      '--data',
      place.path('gone'),
      '--timeout',
      '30s',
    ]);
    // The gate says what it says to a stranger; that the store has no file for this device either tells the rest.
    expect(refusal(pinged)).toEqual({ code: 'NOT_A_RECIPIENT', exit: 4 });
  });
});

describe('a wrong server behind the right address', () => {
  it('is found out by its certificate (HS-002), and with that by its channel key (HS-010)', async () => {
    const port = portOf(host);
    await host.stop();
    const thief = await place.host(place.path('thief'), ['--port', port]);
    const tls = await place.run('clawchat', ['ping', '--json', '--data', B, '--timeout', '30s']);
    expect(refusal(tls)).toEqual({ code: 'TLS_FAILED', exit: 4 });
    await thief.stop();

    // The thief has the TLS key too, and lets everybody through the gate, but has no channel key.
    const server = createServer({ ...(await storedTls(A)), minVersion: 'TLSv1.3' });
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'clawchat.v1' });
    sockets.on('connection', socket => socket.send(native.randomBytes(112)));
    await new Promise<void>(resolve => server.listen(Number(port), '127.0.0.1', resolve));
    const ping = await place.run('clawchat', ['ping', '--json', '--data', B, '--timeout', '30s']);
    expect(refusal(ping)).toEqual({ code: 'HANDSHAKE_FAILED', exit: 4 });

    // A message waits through more of that than ends a question, and is stored when the host is back (CT-045).
    let refused = 0;
    const enough = new Promise<void>(resolve => {
      sockets.on('connection', () => {
        refused += 1;
        if (refused > 3) resolve();
      });
    });
    const send = place.start('clawchat', ['send', 'still there?', '--data', B]);
    await Promise.race([enough, send.ended]);
    expect(send.child.exitCode).toBeNull();
    sockets.close();
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
    const back = await place.host(A);
    expect(portOf(back)).toBe(port);
    expect(await send.ended).toMatchObject({ code: 0 });
    await place.ok('clawchat', ['ping', '--data', B]);
  });
});

async function storedTls(data: string): Promise<{ readonly key: string; readonly cert: string }> {
  const store = await openStore({ directory: data, program: 'host', suite: native });
  const [identityBytes, rotationBytes] = await Promise.all([
    store.get(IDENTITY_KEY),
    store.get(ROTATION_KEY),
  ]);
  await store.close();
  const identity = decodeIdentity(native, identityBytes ?? new Uint8Array());
  if (isFault(identity)) throw new Error(identity.detail);
  const rotation = decodeRotation(native, identity, rotationBytes ?? new Uint8Array());
  if (isFault(rotation)) throw new Error(rotation.detail);
  const [keys] = rotation.keys;
  if (keys === undefined) throw new Error('no keys');
  return tlsIdentity(keys.tlsKey);
}
