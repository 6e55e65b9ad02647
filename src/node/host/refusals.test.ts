import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { codeName } from '../../protocol/fault.ts';
import { createLog } from '../log.ts';
import { REFUSALS, type Refusal, Tally } from './counts.ts';
import { REFUSAL_CODES, Refusals } from './refusals.ts';

afterEach(() => void vi.useRealTimers());

describe('refusals', () => {
  it('are the ones of the chapter, each with its code (LI-009~1)', () => {
    const chapter = readFileSync(new URL('../../../spec/10-limits.md', import.meta.url), 'utf8');
    const rows = [...chapter.matchAll(/^\| `([a-z_]+)` \| `([A-Z_]+)` \| (?:cut|page|404|-)/gm)];
    const written = rows.map(([, reason, code]) => [reason, code]);
    expect(written.map(([reason]) => reason)).toEqual(Object.keys(REFUSALS));
    expect(written).toEqual(Object.entries(REFUSAL_CODES).map(([reason, code]) => [reason, codeName(code)]));
  });

  it('are each counted, and logged as one line and a number (LI-009~1)', () => {
    vi.useFakeTimers();
    const lines: unknown[] = [];
    const log = createLog({
      level: 'info',
      style: 'json',
      now: () => 0,
      write: line => {
        const { at: _at, level: _level, ...rest } = JSON.parse(line);
        lines.push(rest);
      },
    });
    const tally = new Tally<Refusal>();
    const refusals = new Refusals(log, tally);
    for (let i = 0; i < 5000; i += 1) refusals.add('mac_wrong', `192.0.2.${i % 250}`);
    refusals.add('displaced', '::ffff:192.0.2.7');
    expect([...tally.entries()]).toEqual([
      ['mac_wrong', 5000],
      ['displaced', 1],
    ]);
    const first = { event: 'refused', reason: 'mac_wrong', code: 'GATE_REFUSED' };
    const other = { event: 'refused', reason: 'displaced', code: 'RATE_LIMITED', address: '192.0.2.7' };
    expect(lines).toEqual([{ ...first, address: '192.0.2.0' }, other]);
    vi.advanceTimersByTime(9999);
    expect(lines).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(lines.slice(2)).toEqual([{ ...first, more: 4999 }]);
    refusals.add('mac_wrong', '192.0.2.9');
    refusals.add('mac_wrong', '192.0.2.9');
    refusals.close();
    expect(lines.slice(3)).toEqual([
      { ...first, address: '192.0.2.9' },
      { ...first, more: 1 },
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
