/**
 * Prints the state x input tables of a client's membership and of its move into spec/08-devices.md and spec/06-rotation.md.
 *
 *   npx tsx conformance/sim/machine-tables.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { STANDARD } from '../../src/gen/constants.ts';
import { native } from '../../src/node/native.ts';
import { parseEnvelope } from '../../src/protocol/envelope.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { NOW_MS, named, seeded, testEnvelope, testHost, testRecord } from '../../src/protocol/fixtures.ts';
import { type Invite, parseInvite } from '../../src/protocol/invite.ts';
import { type JoinInput, type JoinOutput, type Member, stepJoin } from '../../src/protocol/join.ts';
import {
  type Migration,
  type MigrationInput,
  type MoveNotice,
  stepMigration,
} from '../../src/protocol/migration.ts';
import { EMPTY_REGISTRY } from '../../src/protocol/registry.ts';
import { Server } from '../../src/protocol/server.ts';

const suite = seeded(native, 'tables');
const host = testHost(suite, 'tables');

function must<T>(value: T): Exclude<T, { kind: 'fault' }> {
  if (isFault(value)) throw new Error(value.detail);
  return value as Exclude<T, { kind: 'fault' }>;
}

/** An invite of this host. */
function invite(name: string): Invite {
  const server = new Server({
    suite,
    serverId: host.serverId,
    registry: EMPTY_REGISTRY,
    accessKeys: [],
    channelKeys: [],
    envelope: new Uint8Array(0),
    witness: undefined,
    software: '',
  });
  const terms = { identity: host.identity(0), serverId: host.serverId, stores: [], name, lifeMs: 0 };
  const now = { wall: NOW_MS, mono: 0 };
  const secret = named(suite, name);
  const asked = server.step({ kind: 'makeInvite', ref: 1, terms: { ...terms, secret } }, now);
  for (const output of asked) {
    if (output.kind !== 'persist') continue;
    for (const made of server.step({ kind: 'committed', id: output.id }, now)) {
      if (made.kind === 'made') return must(parseInvite(suite, made.invite));
    }
  }
  throw new Error('no invite was made');
}

const [first, second] = [invite('first'), invite('second')];
const bytesOf = (sequence: number): Uint8Array =>
  testEnvelope(suite, host, testRecord(suite, host, { sequence }));
const record = (sequence: number): JoinInput => ({
  kind: 'record',
  envelope: must(parseEnvelope(bytesOf(sequence))),
});
const reply: JoinInput = {
  kind: 'enrolled',
  deviceSecret: named(suite, 'device secret'),
  envelope: bytesOf(5),
  name: 'ada',
};
const joins = (with_: Invite): JoinInput => ({
  kind: 'join',
  invite: with_,
  devicePrivateKey: named(suite, 'device key'),
  name: 'ada',
});

const JOIN_INPUTS: readonly (readonly [string, JoinInput])[] = [
  ['`join` with an invite', joins(first)],
  ['`join` with another invite', joins(second)],
  ['the process starts', { kind: 'resume' }],
  ['a newer record', record(6)],
  ['the same record', record(5)],
  ['an older record', record(4)],
  ['Enrolled', reply],
  ['Enrolled, broken', { ...reply, deviceSecret: new Uint8Array(3) }],
  ['the first frame on a path of the device', { kind: 'heard' }],
];

/** Nobody, and each stage with record 5. */
function members(): readonly (readonly [string, Member | undefined])[] {
  const after = (member: Member | undefined, ...inputs: readonly JoinInput[]): Member | undefined =>
    inputs.reduce<Member | undefined>((all, input) => stepJoin(suite, all, input, NOW_MS)[0], member);
  const keyed = after(undefined, joins(first), record(5));
  const granted = after(keyed, reply);
  return [
    ['has joined nobody', undefined],
    ['KEYED', keyed],
    ['GRANTED', granted],
    ['DEVICE', after(granted, { kind: 'heard' })],
  ];
}

function joinCell(member: Member | undefined, input: JoinInput): string {
  const [next, outputs] = stepJoin(suite, member, input, NOW_MS);
  const stage = next?.stage === member?.stage ? [] : [`**${next?.stage.toUpperCase()}**`];
  return [...stage, ...outputs.map(joinWord)].join(', ') || '·';
}

function joinWord(output: JoinOutput): string {
  if (output.kind === 'refuse') return `refuses: \`${codeName(output.fault.code)}\``;
  if (output.kind === 'dial') return `dials as the ${output.as}`;
  if (output.kind === 'show') return 'shows the words';
  if (output.kind === 'endPath') return 'ends the path of the invite';
  return output.kind === 'commit' ? 'commits' : 'warns';
}

const onTime: MoveNotice = {
  kind: 'move',
  rotatesInMs: STANDARD.PUBLISH_LEAD_MS,
  oldEndsInMs: STANDARD.PUBLISH_LEAD_MS + STANDARD.GRACE_MS,
};
const notice = (of: Partial<MoveNotice>, isElsewhere = true): MigrationInput => ({
  kind: 'notice',
  notice: { ...onTime, ...of },
  isElsewhere,
  entropy: 0.5,
});

const MOVE_INPUTS: readonly (readonly [string, MigrationInput])[] = [
  ['notice of a move', notice({})],
  ['notice of a move, on the newest place', notice({}, false)],
  [
    'notice of an emergency',
    notice({ kind: 'emergency', rotatesInMs: 0, oldEndsInMs: STANDARD.EMERGENCY_MS }),
  ],
  ['notice of a hold', notice({ kind: 'hold' })],
  ['its instant has come: the dial goes out', { kind: 'moving' }],
  ['the dial failed', { kind: 'failed', entropy: 0.5 }],
  ['on a new path, or on none', { kind: 'ended' }],
];

const PLANS: readonly (readonly [string, Migration | undefined])[] = [
  ['no plan', undefined],
  ['planned', { at: 60_000, failures: 0 }],
  ['dialling', { at: Number.POSITIVE_INFINITY, failures: 1 }],
];

function moveCell(plan: Migration | undefined, input: MigrationInput): string {
  const next = stepMigration(plan, input, 0, STANDARD);
  if (next === undefined) return plan === undefined ? '·' : '**no plan**';
  if (next.at === Number.POSITIVE_INFINITY) return plan?.at === next.at ? '·' : '**dialling**';
  return input.kind === 'failed'
    ? `**planned**, after the wait of failure ${next.failures}`
    : '**planned**, at an instant that is drawn';
}

function table<State, Input>(
  states: readonly (readonly [string, State])[],
  inputs: readonly (readonly [string, Input])[],
  cell: (state: State, input: Input) => string,
): string {
  return [
    `| | ${states.map(([name]) => name).join(' | ')} |`,
    `|---|${states.map(() => '---|').join('')}`,
    ...inputs.map(
      ([name, input]) => `| ${name} | ${states.map(([, state]) => cell(state, input)).join(' | ')} |`,
    ),
  ].join('\n');
}

/** A table and the chapter whose markers it stands between. */
export const TABLES: readonly {
  readonly name: string;
  readonly path: string;
  readonly text: () => string;
}[] = [
  { name: 'join', path: chapter('08-devices.md'), text: () => table(members(), JOIN_INPUTS, joinCell) },
  { name: 'move', path: chapter('06-rotation.md'), text: () => table(PLANS, MOVE_INPUTS, moveCell) },
];

function chapter(name: string): string {
  return fileURLToPath(new URL(`../../spec/${name}`, import.meta.url));
}

/** Put a table between its markers. */
export function withTable(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}: table -->\n`, `<!-- ${name}: end -->`];
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`no ${begin}`);
  return `${before}${begin}${content}\n${end}${after}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, path, text } of TABLES) {
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), name, text()));
  }
}
