/** What each event of the log means, for docs/operations.md. */
import type { Note } from '../protocol/rotation-state.ts';

/** What happens to a host's address; its history keeps these, too. */
const ROTATION: Readonly<Record<Note['what'], string>> = {
  rotated: 'the host moved: `port` is the one in use now',
  retired: 'the port before was closed, and its keys were erased',
  held: 'a move was put off by five minutes: `why` is `stores` (none shows the new address), `mapping` (the router), `no-port`, `clock` or `busy` (the disk)',
  'emergency-began': 'somebody asked to leave every earlier address',
  'emergency-folded': 'another emergency was asked for and follows the one under way',
  'emergency-ended': 'every earlier address is closed',
  'port-lost': 'a port that people were told of cannot be opened; it is tried again',
  'port-back': 'it can be opened again',
  'port-refused': 'the next port cannot be had, and another one is drawn',
  'mapping-refused': 'the router did not forward the port',
  'clock-jumped': 'the machine slept, or its clock was set',
  'clock-off': 'the time server says that the clock is wrong by more than a minute',
  'clock-unfit': 'by more than five minutes: the host does not move until it is set',
  'commit-failed': 'the disk did not take what a move needs; it is tried again',
  'already-rotating': 'a move was asked for while one was under way',
};

/** Everything else. */
const OTHERS: Readonly<Record<string, string>> = {
  alarm: 'somebody has to look: `text` says at what',
  'bind-failed': 'a port cannot be listened on: `code` is what the system said',
  'certificate-read': 'a certificate of your own was read again',
  'certificate-refused': 'it could not be; the one before stays',
  'control-accept-failed': 'a command could not connect to `control.sock`',
  'control-reader-stalled': 'a command did not read its answers and was cut off',
  'control-request-failed': 'a fault of the program while it answered a command: report it',
  'control-rule-broken': 'a command did not keep to the protocol of `control.sock`',
  'database-failed': 'the database takes no writes: the host ends',
  'database-trusted': 'started with `--trust-database`',
  declined: 'on a device: what the host sent was refused, and why',
  'device-enrolled': 'somebody joined: `words` are those that they saw',
  'device-invite': 'somebody asked for an invite for a further device of theirs, and got none',
  'dial-failed': 'on a device: the host could not be reached',
  'drain-cut': 'the time for stopping in order ran out',
  drained: 'everybody was told to come back later',
  'metrics-open': 'metrics are answered there',
  'not-serving':
    'no store tells whether the database is old, so nobody is served yet: `why` says what each store gave',
  outbox: 'on a device: the host knew another outbox of it, so what is unanswered is sent anew',
  'outbox-failed': 'on a device: the outbox could not be written',
  'owner-answered': 'a command was answered by the process that has its data directory',
  'owner-asked':
    'a command asked that process: `what` is the request; what comes of it is in the log of that process',
  'owner-attached':
    'a command found another process, `pid`, that has its data directory, and works through it',
  'owner-refused': 'that process refused, or was given up: `why`',
  'path-accepted': 'a connection passed the gate',
  'path-closed':
    'a connection ended: `code` is `DONE` where nothing was wrong, else one of [spec/09](../spec/09-errors.md)',
  'record-published': 'a store shows that record: people who look there find the host',
  'record-publishing': 'a new record - an address, keys, stores - is on its way to the stores',
  refused:
    'somebody was turned away before they had proved who they are; at most one line a minute for each `reason`',
  'rotation-not-stored': 'the disk did not take a step of a move',
  'rotation-notice': 'on a device: the host said that it moves, or handed over its newest record',
  'service-failed': 'a fault of a service, whose stream was ended: report it',
  'session-lost': 'on a device: a session is over, and another one begins',
  stopped: 'the host has ended',
  stopping: 'the host was told to stop',
  'store-ahead': 'a store has a newer record of this host than its database: see [recovery.md](recovery.md)',
  'store-changed': 'on a device: a store in a folder has changed and is read',
  'store-failed': 'a store could not be written or read back; it is tried again',
  'store-verified': 'a store was read back',
  'stores-exhausted': 'on a device: every store was read, and none helped',
  'time-server-silent': 'the time server does not answer',
  warning: 'on a device: what its user should know',
};

/** Name and meaning of every event, by name. */
export const LOG_EVENTS: readonly (readonly [name: string, meaning: string])[] = Object.entries({
  ...ROTATION,
  ...OTHERS,
}).sort(([a], [b]) => (a < b ? -1 : 1));

/** The table for docs/operations.md. */
export function logTable(): string {
  const rows = LOG_EVENTS.map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  return ['| event | what happened |', '|---|---|', ...rows].join('\n');
}
