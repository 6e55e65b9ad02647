/** One thing that `doctor` looks at, and how it prints what it found. */

import { countText, jsonLine, line } from '../cli/output.ts';
import { withCommands } from '../cli/typed-command.ts';
import { asError } from '../failure.ts';

/** `ok`; `note` when nothing is wrong and it is good to know; `warn` when it works and could be better; `fail` when it does not work. */
export type Grade = 'ok' | 'note' | 'warn' | 'fail';

/** What was found. */
export interface Finding {
  readonly what: string;
  readonly grade: Grade;
  readonly detail: string;
  /** What to do about it; for everything but `ok`. */
  readonly advice?: string;
}

/** Make a finding. */
export function finding(what: string, grade: Grade, detail: string, advice?: string): Finding {
  return advice === undefined ? { what, grade, detail } : { what, grade, detail, advice };
}

/** Run one check; what it throws is what it found. */
export async function check(
  what: string,
  look: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    const found = await look();
    return 'what' in found ? [found] : found;
  } catch (error) {
    const text = asError(error).message;
    return [finding(what, 'fail', text, 'do what the message says')];
  }
}

const MARKS: Readonly<Record<Grade, string>> = { ok: 'ok  ', note: 'note', warn: 'warn', fail: 'FAIL' };

/** Print findings; gives whether nothing fails. */
export function printFindings(findings: readonly Finding[], json: boolean): boolean {
  for (const { what, grade, ...said } of findings) {
    const detail = withCommands(said.detail);
    const advice = said.advice === undefined ? undefined : withCommands(said.advice);
    if (json) jsonLine({ what, grade, detail, advice: advice ?? null });
    else {
      line(`${MARKS[grade]}  ${what}: ${detail}`);
      if (advice !== undefined) line(`      ${advice}`);
    }
  }
  const count = (wanted: Grade): number => findings.filter(({ grade }) => grade === wanted).length;
  const [fails, warnings] = [count('fail'), count('warn')];
  const isWell = fails === 0;
  const better = warnings === 0 ? '' : `; ${countText(warnings, 'thing')} could be better`;
  if (!json) line(isWell ? `Nothing is wrong${better}.` : `${countText(fails, 'thing')} failed${better}.`);
  return isWell;
}
