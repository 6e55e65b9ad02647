/** A client's plan to follow a move of its host (spec/06-rotation.md). */
import { STANDARD } from '../../../src/gen/constants.ts';
import {
  type Migration,
  type MigrationInput,
  type MoveNotice,
  stepMigration,
} from '../../../src/protocol/migration.ts';
import { grid } from './grid.ts';

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
  ['notice of a record', notice({ kind: 'record', rotatesInMs: 0, oldEndsInMs: 0 })],
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
  if (next === plan) return '·';
  if (next === undefined) return plan === undefined ? '·' : '**no plan**';
  if (next.at === Number.POSITIVE_INFINITY) return plan?.at === next.at ? '·' : '**dialling**';
  return input.kind === 'failed'
    ? `**planned**, after the wait of failure ${next.failures}`
    : '**planned**, at an instant that is drawn';
}

/** Make the table. */
export function moveTable(): string {
  return grid(PLANS, MOVE_INPUTS, moveCell);
}
