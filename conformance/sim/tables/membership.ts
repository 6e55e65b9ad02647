/** What a client is to its host, in each state and for each input (spec/08-devices.md, 8.2). */
import { parseEnvelope } from '../../../src/protocol/envelope.ts';
import { codeName } from '../../../src/protocol/fault.ts';
import { NOW_MS, named, testEnvelope, testRecord } from '../../../src/protocol/fixtures.ts';
import { type Invite, parseInvite } from '../../../src/protocol/invite.ts';
import { type JoinInput, type JoinOutput, type Member, stepJoin } from '../../../src/protocol/join.ts';
import { EMPTY_REGISTRY } from '../../../src/protocol/registry.ts';
import { Server } from '../../../src/protocol/server.ts';
import { grid, host, must, suite } from './grid.ts';

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
  ['Enrolled with a device secret of 3 bytes', { ...reply, deviceSecret: new Uint8Array(3) }],
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

/** Make the table. */
export function membershipTable(): string {
  return grid(members(), JOIN_INPUTS, joinCell);
}
