/** `repair`: saves what can be saved of a damaged data directory. Chapter: spec/12-control.md, 12.1. */
import { native } from '../native.ts';
import { type Repaired, repairStore } from '../repair.ts';
import type { StoreProgram } from '../store.ts';
import type { Call, Command } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';
import { jsonLine, line } from './output.ts';
import { askedPassphrase } from './passphrase.ts';
import { dataDirectory } from './settings.ts';
import { withCommands } from './typed-command.ts';

/** What a lost value means, by the beginning of its key; the first that fits. */
const MEANINGS: readonly (readonly [prefix: string, meaning: string])[] = [
  ['identity', 'who the host is: only a backup brings it back'],
  ['rotation', 'where the host is and with which keys: only a backup brings it back'],
  ['member', 'who this device is: join again with a new invite'],
  ['device/', 'devices: they have to be invited again'],
  ['invite/', 'open invites: make new ones'],
  ['chat/message/', 'messages'],
  [`chat/room/${'0'.repeat(14)}`, 'what the lobby is about, and how long its messages are kept'],
  [
    'chat/room/',
    'rooms: nobody sees their messages until it is decided what becomes of them (`clawchatd rooms` names them)',
  ],
  ['chat/part/', 'roles and read marks'],
  ['chat/post/', 'messages that were not sent yet'],
  [
    'chat/',
    'what recognizes repeated posts, names and persons: a client may say that its outbox was replaced',
  ],
  ['', 'other values'],
];

/** Say what was lost, a line for each kind of value. */
export function describeLoss(lost: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const key of lost) {
    const meaning = MEANINGS.find(([prefix]) => key.startsWith(prefix))?.[1] ?? '';
    counts.set(meaning, (counts.get(meaning) ?? 0) + 1);
  }
  return [...counts].map(([meaning, count]) => `lost ${count}: ${meaning}`);
}

function describe({ kept, lost, rebuilt, copy }: Repaired): void {
  if (copy === undefined) {
    line(`Nothing is damaged: ${kept} values are whole.`);
    return;
  }
  line(`${kept} values are whole and were kept.`);
  for (const text of describeLoss(lost)) line(withCommands(text));
  if (rebuilt) {
    line(
      'The files of the database were made anew from what could be read: what was written last may be missing,',
    );
    line(
      withCommands(
        'and what was deleted last may be back. Look at the devices (`clawchatd devices`), the rooms (`clawchatd rooms`) and the history.',
      ),
    );
  }
  line(`The database as it was lies in ${copy}; delete it when nothing is missed.`);
}

/** The command of a program. */
export function repairCommand(program: StoreProgram): Command {
  return {
    name: 'repair',
    summary: 'save what can be saved of a damaged data directory (while nothing runs on it)',
    details: [
      'Every value is looked at. What is damaged is deleted, behind a copy of the database as it was.',
    ],
    run: async (call: Call) => {
      const directory = dataDirectory(call, program === 'host' ? 'clawchatd' : 'clawchat');
      const repaired = await repairStore({ directory, program, suite: native, passphrase: askedPassphrase });
      if (call.on('json')) jsonLine({ ...repaired, copy: repaired.copy ?? null });
      else describe(repaired);
      return EXIT_OK;
    },
  };
}
