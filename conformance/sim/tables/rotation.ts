/** The host's rotation, in each state and for each input (spec/06-rotation.md, 6.12). */
import { STANDARD } from '../../../src/gen/constants.ts';
import { rotation, step } from '../../../src/protocol/rotation.ts';
import { PORT_ENTROPY_BYTES } from '../../../src/protocol/rotation-port.ts';
import { headOf } from '../../../src/protocol/rotation-record.ts';
import type {
  Effect,
  Rotation,
  RotationInput,
  RotationOutput,
} from '../../../src/protocol/rotation-state.ts';
import { Bench } from '../rotation-bench.ts';
import { grid, NOTHING } from './grid.ts';

const R = STANDARD.ROTATION_INTERVAL_MS;

/** A machine in the middle of each state. */
function states(): readonly (readonly [string, Rotation])[] {
  const at = (ms: number, storeMs: number | undefined): Rotation => {
    const bench = new Bench({ isMapped: true });
    bench.run(1);
    bench.weather.storeMs = storeMs;
    return bench.run(ms).state;
  };
  const fleeing = new Bench({ isMapped: true });
  fleeing.run(R / 2);
  fleeing.weather.storeMs = undefined;
  fleeing.host.input({ kind: 'emergency', isHard: false });
  fleeing.run(R / 2 + 10_000);
  return [
    ['starting', rotation(fleeing.host.config)],
    ['resting', at(R / 2, 2000)],
    ['preparing', at(R - STANDARD.MAPPING_LEAD_MS - 1000, 2000)],
    ['publishing', at(R - STANDARD.MIGRATE_LEAD_MS, undefined)],
    ['verified', at(R - STANDARD.MIGRATE_LEAD_MS, 2000)],
    ['grace', at(R + STANDARD.MIGRATE_LAG_MS, 2000)],
    ['emergency', fleeing.state],
  ];
}

/** Every input, in words and for a state. */
const INPUTS: readonly (readonly [string, (state: Rotation) => RotationInput])[] = [
  ['start, nothing stored', () => ({ kind: 'start', journal: undefined })],
  ['tick, nothing due', () => ({ kind: 'tick' })],
  ['drawn', () => ({ kind: 'drawn', entropy: new Uint8Array(PORT_ENTROPY_BYTES) })],
  ['committed, another one', () => ({ kind: 'committed', id: 0 })],
  ['commitFailed, another one', () => ({ kind: 'commitFailed', id: 0 })],
  ['bound, a port it gave up', () => ({ kind: 'bound', port: 1 })],
  ['bindFailed, the first port', state => ({ kind: 'bindFailed', port: first(state) })],
  ['bindFailed, the other port', state => ({ kind: 'bindFailed', port: other(state) })],
  ['mapped', state => ({ kind: 'mapped', port: first(state) })],
  ['mapFailed, the newest port', state => ({ kind: 'mapFailed', port: newest(state), isTaken: false })],
  ['mapFailed, taken', state => ({ kind: 'mapFailed', port: newest(state), isTaken: true })],
  ['unmapped, a port it gave up', () => ({ kind: 'unmapped', port: 1 })],
  ['verified, the record in force', state => ({ kind: 'verified', sequence: state.record?.sequence ?? 0 })],
  ['changed', () => ({ kind: 'changed' })],
  ['rotateNow', () => ({ kind: 'rotateNow' })],
  ['emergency', () => ({ kind: 'emergency', isHard: false })],
  ['emergency, hard', () => ({ kind: 'emergency', isHard: true })],
  ['clockChecked, right', () => ({ kind: 'clockChecked', offsetMs: 0 })],
  ['clockChecked, off by too much', () => ({ kind: 'clockChecked', offsetMs: STANDARD.CLOCK_HOLD_MS + 1 })],
];

function first(state: Rotation): number {
  return headOf(state)?.port ?? 0;
}

function other(state: Rotation): number {
  return state.places.find(({ port }) => port !== first(state))?.port ?? 0;
}

function newest(state: Rotation): number {
  return state.places.at(-1)?.port ?? 0;
}

/** Make the table. */
export function rotationTable(): string {
  return grid(states(), INPUTS, (state, input) => cell(state, input(state)));
}

function cell(state: Rotation, input: RotationInput): string {
  const [next, outputs] = step(state, input, state.clock);
  const parts: string[] = [];
  if (next.phase !== state.phase) parts.push(`**${next.phase}**`);
  const said = outputs.map(word).join(', ');
  if (said !== '') parts.push(said);
  const then = next.commit?.then.map(word).join(', ') ?? '';
  if (then !== '') parts.push(`then ${then}`);
  const changed = isChanged(state, next) && parts.length === 0 ? 'noted' : NOTHING;
  return parts.length === 0 ? changed : parts.join('; ');
}

function isChanged(before: Rotation, after: Rotation): boolean {
  const blank = (state: Rotation): string => JSON.stringify({ ...state, clock: undefined, ports: undefined });
  const ports = (state: Rotation): string => JSON.stringify([...state.ports].sort((a, b) => a.port - b.port));
  return blank(before) !== blank(after) || ports(before) !== ports(after);
}

function word(output: RotationOutput | Effect): string {
  if (output.kind === 'note') return `note ${output.note.what}`;
  if (output.kind === 'notify')
    return `notify ${typeof output.notice === 'string' ? output.notice : output.notice.kind}`;
  return output.kind;
}
