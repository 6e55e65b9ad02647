/**
 * Sends numbered messages until its standard input ends, with many under way, and forgets nothing when it is killed:
 * a number is in its ledger, synced, before anybody hears that the host has stored it. Started again, it repeats every
 * number that is not in the ledger with the same message id.
 *
 * Arguments: data directory, ledger, how many may be under way. Prints `started N` and `done N`, at last `finished N`.
 */
import { fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { ControlProgram } from '../../src/gen/clawchat/v1/control_pb.ts';
import { STANDARD } from '../../src/gen/constants.ts';
import { directoryOptions, expectAnswer } from '../../src/node/cli/directory.ts';
import { openClientOwner } from '../../src/node/client-owner.ts';
import { standardErrorLog } from '../../src/node/log.ts';
import { OwnerLink } from '../../src/node/owner-link.ts';

const [directory = '', ledgerPath = '', windowText = '1'] = process.argv.slice(2);
const underWayMax = Number(windowText);

/** Message N is the same whoever sends it, and whenever. */
function message(number: number): { messageId: Uint8Array; room: string; text: string; sentAtMs: bigint } {
  const messageId = new Uint8Array(16);
  new DataView(messageId.buffer).setUint32(12, number);
  return { messageId, room: '', text: String(number), sentAtMs: BigInt(1_700_000_000_000 + number) };
}

/** The numbers that the host has stored, each with its cursor, a line each. */
class Ledger {
  readonly #file: number;
  #lines: string[] = [];
  #heard: number[] = [];
  /** What was in it at the start: answers come in any order, so there may be gaps. */
  readonly #stored: ReadonlySet<number>;

  constructor(path: string) {
    this.#file = openSync(path, 'a+', 0o600);
    const text = readFileSync(path, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    // What is behind the last end of line was cut off by a death.
    ftruncateSync(this.#file, Buffer.byteLength(whole));
    const lines = whole.split('\n').slice(0, -1);
    this.#stored = new Set(lines.map(line => Number(line.slice(0, line.indexOf(' ')))));
  }

  has(number: number): boolean {
    return this.#stored.has(number);
  }

  /** Write what was stored in this turn of the loop with one sync, then say so. */
  add(number: number, cursor: bigint): void {
    if (this.#lines.length === 0) setImmediate(() => this.#flush());
    this.#lines.push(`${number} ${cursor}\n`);
    this.#heard.push(number);
  }

  #flush(): void {
    writeSync(this.#file, this.#lines.join(''));
    fsyncSync(this.#file);
    this.#lines = [];
    for (const number of this.#heard.splice(0)) {
      process.stdout.write(`done ${number}\n`);
      underWay -= 1;
    }
    sendMore();
  }
}

const ledger = new Ledger(ledgerPath);
let next = 0;
let underWay = 0;
let ending = false;

const log = standardErrorLog('info');
const link = await OwnerLink.open(
  directoryOptions(ControlProgram.CLIENT, directory, log, () =>
    openClientOwner({ directory, constants: STANDARD, log, environment: {} }),
  ),
);

function sendMore(): void {
  for (; !ending && underWay < underWayMax; next += 1) if (!ledger.has(next)) send(next);
  if (ending && underWay === 0) finish();
}

function send(number: number): void {
  underWay += 1;
  process.stdout.write(`started ${number}\n`);
  link.call({ case: 'send', value: message(number) }).then(
    answer => ledger.add(number, expectAnswer(answer, 'sent').cursor),
    (error: unknown) => {
      process.stderr.write(`${number}: ${error}\n`);
      process.exit(1);
    },
  );
}

function finish(): void {
  process.stdout.write(`finished ${next}\n`);
  link.close().then(() => process.exit(0));
}

process.stdin.on('end', () => {
  ending = true;
  if (underWay === 0) finish();
});
process.stdin.resume();
sendMore();
