/** Data directories of other versions of the programs (CT-002, CT-009), and what a program says of its own. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { afterAll, expect, it } from 'vitest';
import { SCHEMA_VERSION } from '../../../src/node/store.ts';
import { PROTOCOL_VERSION } from '../../../src/protocol/keys.ts';
import { Place } from '../programs.ts';

/** A host and its member, as the version before wrote them: the member had sent one message. */
const OLD = fileURLToPath(new URL('fixtures/schema-1.tar.gz', import.meta.url));

const place = new Place();
const [HOST, CLIENT] = [place.path('host'), place.path('client')];
afterAll(() => place.clean());

async function raw<T>(data: string, work: (level: ClassicLevel) => Promise<T>): Promise<T> {
  const level = new ClassicLevel(join(data, 'db'));
  await level.open();
  try {
    return await work(level);
  } finally {
    await level.close();
  }
}

it('a program says its versions', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const program of ['clawchat', 'clawchatd'] as const) {
    const text = await place.ok(program, ['--version']);
    expect(text).toContain(
      `${program} ${version} (protocol ${PROTOCOL_VERSION}, data directory ${SCHEMA_VERSION}, `,
    );
    const json = JSON.parse(await place.ok(program, ['--version', '--json']));
    expect(json).toMatchObject({ program, version, protocol: PROTOCOL_VERSION, schema: SCHEMA_VERSION });
  }
});

it('goes on with the directories of the version before', async () => {
  execFileSync('tar', ['-xzf', OLD, '-C', place.root]);
  expect(await raw(HOST, level => level.get('!schema'))).toBe('1');
  const host = await place.host(HOST);
  expect(await place.ok('clawchatd', ['devices', '--data', HOST])).toContain('Ann');
  await place.join(HOST, place.path('new'), 'Nora');
  const history = await place.ok('clawchat', ['history', '--data', place.path('new')]);
  expect(history).toContain('written under schema 1');
  const status = JSON.parse(await place.ok('clawchat', ['status', '--json', '--data', CLIENT]));
  expect(status.joined).toBe(true);
  await host.stop();
  for (const data of [HOST, CLIENT])
    expect(await raw(data, level => level.get('!schema'))).toBe(String(SCHEMA_VERSION));
});

it('refuses the directory of a newer version, and leaves it alone', async () => {
  for (const [program, data] of [
    ['clawchatd', HOST],
    ['clawchat', CLIENT],
  ] as const) {
    await raw(data, level => level.batch().put('!schema', '99').put('!writer', '9.9.9').write());
    const before = await raw(data, level => level.iterator().all());
    const ended = await place.run(program, ['status', '--json', '--data', data]);
    expect(ended.code).toBe(6);
    const { error } = JSON.parse(ended.stderr.trim().split('\n').at(-1) ?? '');
    expect(error).toMatchObject({ code: 'SCHEMA_NEWER', exit: 6 });
    expect(error.text).toContain('a newer version 9.9.9 wrote');
    expect(await raw(data, level => level.iterator().all())).toEqual(before);
  }
});
