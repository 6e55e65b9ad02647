/** The rows of an attack, for people and for the README. */
import type { AttackReport, Delays } from './run.ts';

/** The most that the host's resident memory may grow under attack, MiB. */
const MEMORY_MIB_MAX = 128;
/** The most that the members' p99 may be of what it is in calm. */
export const P99_RATIO_MAX = 2;

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function delays({ p50Ms, p99Ms, worstMs }: Delays): string {
  return `p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, worst ${ms(worstMs)}`;
}

/** What a row shows of a report. */
type Row = readonly [what: string, of: (report: AttackReport) => string];

const ROWS: readonly Row[] = [
  [
    'attackers',
    ({ sources, connections, reached }) =>
      `${sources} addresses, ${connections} connections, ${reached.toFixed(0)} a second reached`,
  ],
  ['members in calm', ({ calm }) => delays(calm)],
  ['members under attack', ({ attacked }) => delays(attacked)],
  [
    `p99, attacked against calm (at most ${P99_RATIO_MAX})`,
    ({ p99Ratio }) => `**${p99Ratio.toFixed(2)}**${p99Ratio > P99_RATIO_MAX ? ', MISS' : ''}`,
  ],
  [
    'messages lost, doubled or out of order',
    ({ wrong, calm, attacked }) =>
      wrong.length === 0 ? `0 of ${calm.messages + attacked.messages}` : wrong.join('; '),
  ],
  ['members that came back, known address', ({ returned }) => `${returned.known}, each at once`],
  [
    'members that came back, new address',
    ({ returned }) => `${returned.unknown}, in ${returned.unknownTries} tries`,
  ],
  [
    `memory of the host (at most ${MEMORY_MIB_MAX} MiB more)`,
    ({ restMiB, peakMiB }) => `${restMiB.toFixed(0)} MiB at rest, ${peakMiB.toFixed(0)} MiB at most`,
  ],
  [
    'processor of the host',
    ({ cpuUsPerConnection }) => `${cpuUsPerConnection.toFixed(0)} us for each connection of an attacker`,
  ],
  [
    'refused',
    ({ refused }) =>
      Object.entries(refused)
        .filter(([, count]) => count > 0)
        .map(([reason, count]) => `${count} \`${reason}\``)
        .join(', '),
  ],
];

/** Print reports, each of one rate, as a table of Markdown. */
export function table(reports: readonly AttackReport[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(['strangers', ...reports.map(({ rate }) => `${rate} a second`)]),
    `|${'---|'.repeat(reports.length + 1)}`,
    ...ROWS.map(([what, of]) => line([what, ...reports.map(of)])),
  ].join('\n');
}

const BEGIN = '<!-- attack:begin -->';
const END = '<!-- attack:end -->';

/** The text of a page with the table between its markers. */
export function withAttack(page: string, reports: readonly AttackReport[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('the page has no place for the table');
  const [first] = reports;
  if (first === undefined) throw new Error('nothing was measured');
  const { at, node, processors } = first;
  const when = `Measured ${at.slice(0, 10)} with Node ${node}, all on the same ${processors} processors.`;
  return `${page.slice(0, begin + BEGIN.length)}\n${when}\n\n${table(reports)}\n${page.slice(end)}`;
}

/** What is wrong with a report that no luck excuses. */
export function findings(report: AttackReport): readonly string[] {
  const { refused, accepted, authenticated, waiting, answers, returned } = report;
  const found = [...report.wrong];
  const count = (reason: string): number => refused[reason] ?? 0;
  const answered = (line: string): number => answers[line] ?? 0;
  const expect = (isRight: boolean, text: string): void => {
    if (!isRight) found.push(text);
  };
  // Every connection that was accepted came to one end, and was counted once.
  const ended = Object.values(refused).reduce((sum, each) => sum + each, 0) - count('address_limit');
  expect(
    accepted === ended + authenticated + waiting,
    `${accepted} accepted, ${ended} refused, ${authenticated} let in, ${waiting} waiting`,
  );
  expect(waiting === 0, `${waiting} connections are still waiting`);
  for (const reason of [
    'address_limit',
    'displaced',
    'plain_http',
    'not_http',
    'handle_unknown',
    'token_seen',
    'gave_up',
  ]) {
    expect(count(reason) > 0, `nobody was counted as ${reason}`);
  }
  // Who got a page or a 404 was counted for it; who was displaced before reading it may have been, too.
  const pages = count('plain_http') + count('not_http');
  expect(
    pages >= answered('HTTP/1.1 400 Bad Request'),
    `${pages} pages counted, ${answered('HTTP/1.1 400 Bad Request')} seen`,
  );
  const refusals = count('handle_unknown') + count('token_seen');
  expect(
    refusals >= answered('HTTP/1.1 404 Not Found'),
    `${refusals} refusals counted, ${answered('HTTP/1.1 404 Not Found')} seen`,
  );
  expect(answered('HTTP/1.1 404 Not Found') > 0, 'nobody got a 404');
  // A recorded token is good once.
  const opened = answered('HTTP/1.1 101 Switching Protocols');
  expect(opened <= 1, `${opened} replays opened the gate`);
  for (const reason of [
    'mac_wrong',
    'epoch_unknown',
    'recipient_ended',
    'handle_limit',
    'host_limit',
    'handshake_failed',
    'too_many_bytes',
  ]) {
    expect(count(reason) === 0, `${count(reason)} were counted as ${reason}`);
  }
  expect(returned.known > 0 && returned.unknown > 0, 'no member came back');
  const grown = report.peakMiB - report.restMiB;
  expect(grown <= MEMORY_MIB_MAX, `the host grew by ${grown.toFixed(0)} MiB`);
  return found;
}
