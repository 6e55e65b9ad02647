/** Every group of rows, in the order in which they are measured and printed: one line each (bench/README.md). */
import { moving } from './moving.ts';
import { connections, fanOut, memory, messages, sessions, unsealed } from './network.ts';
import { files, finding, handshakes, peers, records } from './primitive-groups.ts';
import { refusals } from './refusals.ts';
import type { Group } from './settings.ts';

export const GROUPS: readonly Group[] = [
  messages,
  unsealed,
  connections,
  refusals,
  fanOut,
  sessions,
  memory,
  moving,
  records,
  handshakes,
  files,
  finding,
  peers,
];
