/**
 * Nothing is lost, doubled or reordered by processes that die: host and writer are killed while they write, commit and
 * answer. CONFORMANCE_KILLS says how often (30), CONFORMANCE_SEED repeats a run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, KillRun, type Ledgers, seeded } from './kill-run.ts';
import { buildProgram, type Edit } from './mutant.ts';
import type { ProgramFile, ProgramName } from './programs.ts';

const KILLS = Number(process.env['CONFORMANCE_KILLS'] ?? 30);
const SEED = Number(process.env['CONFORMANCE_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const LIMIT_MS = Math.max(300_000, KILLS * 15_000);

const programs = mkdtempSync(join(tmpdir(), 'clawchat-programs-'));
let writer: ProgramFile;
beforeAll(async () => {
  writer = { file: await buildProgram('conformance/system/kill-writer.ts', join(programs, 'writer.js')) };
});
afterAll(() => rmSync(programs, { recursive: true, force: true }));

/** Kill until `enough`, and read the ledgers. */
async function campaign(
  host: ProgramName | ProgramFile,
  seed: number,
  enough: (run: KillRun, kills: number) => boolean,
): Promise<{ readonly ledgers: Ledgers; readonly run: KillRun }> {
  const run = new KillRun({ host, writer, random: seeded(seed) });
  try {
    await run.start();
    for (let kills = 0; !enough(run, kills); kills += 1) await run.kill();
    return { run, ledgers: await run.finish() };
  } catch (error) {
    console.log(run.logs);
    throw error;
  } finally {
    await run.clean();
  }
}

describe('host and writer, killed at random', () => {
  it(
    `have the same ledger after ${KILLS} kills, each number once and in order (CH-012~1, CH-013~1, CH-015~2, CT-042~1, CT-044~1)`,
    async () => {
      console.log(`CONFORMANCE_KILLS=${KILLS} CONFORMANCE_SEED=${SEED}`);
      const { run, ledgers } = await campaign('clawchatd', SEED, (_, kills) => kills >= KILLS);
      console.log(`${ledgers.written} messages`, run.tally);
      expect(compare(ledgers)).toEqual([]);
      expect(run.tally.unacknowledged).toBeGreaterThan(KILLS / 2);
      expect(Math.min(run.tally.host, run.tally.writer)).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );

  const mutants: Record<
    string,
    { readonly edits: readonly Edit[]; readonly deaths: number; readonly finding: RegExp }
  > = {
    'takes every post as the next one': {
      edits: [
        {
          file: 'src/services/chat/posting.ts',
          find: "return { kind: 'repeat', serial: head.base + number };",
          replace: "return { kind: 'next' };",
        },
      ],
      deaths: 10,
      finding: /is doubled/,
    },
    'answers before it has committed': {
      edits: [
        {
          file: 'src/services/chat/host.ts',
          find: 'posted?.(outcome.code);\n      answer(outcome);',
          replace: 'posted?.(outcome.code);',
        },
        {
          file: 'src/services/chat/host.ts',
          find: 'const advance = this.outboxes.advance(',
          replace: 'answer(outcome);\n    const advance = this.outboxes.advance(',
        },
        {
          file: 'src/services/chat/host.ts',
          find: 'this.#options.database.commit(operations).then(durable)',
          replace: `new Promise(resolve => setTimeout(resolve, 20))
              .then(() => this.#options.database.commit(operations)).then(durable)`,
        },
      ],
      deaths: 5,
      finding: /is missing/,
    },
  };
  for (const [name, { edits, deaths, finding }] of Object.entries(mutants)) {
    it(`would be found out if the host ${name}`, async () => {
      const file = await buildProgram('src/node/clawchatd.ts', join(programs, 'clawchatd.js'), edits);
      const enough = (soFar: KillRun): boolean => soFar.isDoubled || soFar.tally.host >= deaths;
      const { run, ledgers } = await campaign({ file }, SEED, enough);
      const wrong = compare(ledgers);
      console.log(`${run.tally.host + run.tally.writer} kills, ${wrong.length} faults, first: ${wrong[0]}`);
      expect(wrong.join('\n')).toMatch(finding);
    });
  }
});
