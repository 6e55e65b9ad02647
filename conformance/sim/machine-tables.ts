/**
 * Prints the tables of states and inputs of all machines into the chapters of spec/.
 *
 *   npx tsx conformance/sim/machine-tables.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { clientPathTable } from './tables/client-path.ts';
import { enrolmentTable } from './tables/enrolment.ts';
import { message2Table, message3Table, tokenTable } from './tables/handshake.ts';
import { hostPathTable } from './tables/host-path.ts';
import { membershipTable } from './tables/membership.ts';
import { moveTable } from './tables/move.ts';
import { publishingTable } from './tables/publishing.ts';
import { readingTable } from './tables/reading.ts';
import { rotationTable } from './tables/rotation.ts';
import { sessionTable } from './tables/session.ts';

/** A table and the chapter between whose markers it stands. */
export interface MachineTable {
  readonly name: string;
  readonly path: string;
  readonly text: () => string;
}

/** All of them. */
export const TABLES: readonly MachineTable[] = [
  { name: 'token', path: chapter('04-handshake.md'), text: tokenTable },
  { name: 'message 2', path: chapter('04-handshake.md'), text: message2Table },
  { name: 'message 3', path: chapter('04-handshake.md'), text: message3Table },
  { name: 'host path', path: chapter('05-session.md'), text: hostPathTable },
  { name: 'client path', path: chapter('05-session.md'), text: clientPathTable },
  { name: 'session', path: chapter('05-session.md'), text: sessionTable },
  { name: 'rotation', path: chapter('06-rotation.md'), text: rotationTable },
  { name: 'move', path: chapter('06-rotation.md'), text: moveTable },
  { name: 'publishing', path: chapter('07-discovery.md'), text: publishingTable },
  { name: 'reading', path: chapter('07-discovery.md'), text: readingTable },
  { name: 'enrolment', path: chapter('08-devices.md'), text: enrolmentTable },
  { name: 'join', path: chapter('08-devices.md'), text: membershipTable },
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
