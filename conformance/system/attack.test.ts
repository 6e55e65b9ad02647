/** The attack of `npm run attack`, half as long and at its rate: what cannot depend on luck is asserted, what members felt is printed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AttackReport, runAttack } from '../attack/run.ts';
import { findings, table } from '../attack/table.ts';
import { Place } from './programs.ts';

const place = new Place();
let report: AttackReport;

beforeAll(async () => {
  report = await runAttack(place, { windows: 2, windowMs: 8000, sources: 4000, rate: 250 });
  console.log(table([report]));
});
afterAll(() => place.clean());

describe('4,000 attackers', () => {
  it('take nothing from members, and are each counted (LI-001~1, LI-002~2, LI-003~1, LI-009~1, LI-010~1)', () => {
    expect(findings(report)).toEqual([]);
  });

  it('would not be missed: a report with a lost message, a count that does not add up, or more memory is red', () => {
    const { refused, peakMiB } = report;
    expect(findings({ ...report, wrong: ['ann has 1 message of bob, who sent 2'] })).toHaveLength(1);
    expect(
      findings({ ...report, refused: { ...refused, not_http: (refused['not_http'] ?? 0) + 1 } }),
    ).toHaveLength(1);
    expect(findings({ ...report, peakMiB: peakMiB + 1000 })).toHaveLength(1);
  });
});
