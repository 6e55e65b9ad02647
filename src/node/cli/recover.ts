/** `clawchatd recover` and `clawchatd succeed`. Chapters: spec/07-discovery.md 7.6, spec/03-connection-file.md 3.2. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { SEQUENCE_MAX, SUCCESSIONS_MAX } from '../../gen/constants.ts';
import { failure } from '../failure.ts';
import type { HostOptions } from '../host/options.ts';
import { type RecoveryView, recoverHost } from '../host/recover.ts';
import { succeedHost } from '../host/succeed.ts';
import { describeSurveyed } from '../host/survey.ts';
import { Asker } from './asker.ts';
import { type Call, usage, wholeNumber } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';
import { hex, jsonLine, line, seenText } from './output.ts';
import { harmlessLine } from './terminal-text.ts';
import { typedCommand } from './typed-command.ts';

/** Replace the identity. */
export async function succeed(call: Call, options: HostOptions): Promise<number> {
  const [file = ''] = call.words;
  const { index, identity, floor, nextKeyPath } = await succeedHost(options, file);
  if (call.on('json')) {
    jsonLine({ succeeded: true, succession: index, identity, floor, next_key: nextKeyPath });
    return EXIT_OK;
  }
  line(`The identity key was replaced (${index} of ${SUCCESSIONS_MAX} times): ${hex(identity)}`);
  line(
    `Start the host (${typedCommand('clawchatd')}): devices follow by themselves. Nothing signed with the old key counts any more.`,
  );
  line(`The key behind it lies in ${nextKeyPath}: ${typedCommand('clawchatd export-next-identity FILE')}`);
  line(`${file} is the host's identity now: destroy that copy.`);
  return EXIT_OK;
}

/** Recover a restored directory. */
export async function recover(call: Call, options: HostOptions): Promise<number> {
  const given = call.text('above');
  const above = given === undefined ? undefined : wholeNumber(given, '--above', 1, SEQUENCE_MAX - 1);
  const keep = call.texts('keep');
  const isAll = call.on('keep-all');
  if (isAll && keep.length > 0) throw usage('give --keep or --keep-all, not both');
  const done = await recoverHost(options, above, async view => {
    if (!call.on('json')) show(view);
    if (isAll) return new Set(view.devices.map(({ id }) => id));
    return keep.length > 0 ? named(view, keep) : await asked(view);
  });
  if (call.on('json')) {
    const removed = done.removed.map(({ id, name }) => ({ device: id, name }));
    const { kept, invites } = done;
    jsonLine({ recovered: true, above: done.above, kept, removed, voided_invites: invites });
    return EXIT_OK;
  }
  line(`Recovered: records go on above ${done.above}, on a new port with new keys.`);
  line(`${done.kept.length} devices kept, ${done.removed.length} removed, ${done.invites} invites voided.`);
  line(`Start the host: ${typedCommand('clawchatd')}`);
  line('Who was removed, or joined after the backup, needs a new invite.');
  return EXIT_OK;
}

function show(view: RecoveryView): void {
  const { sequence, stores, above, devices, invites } = view;
  process.stderr.write(`This database knows record ${sequence}. In the stores:\n`);
  for (const store of stores) process.stderr.write(`  ${describeSurveyed(store)}\n`);
  process.stderr.write(`Records will go on above ${above}. ${invites} invites will be void.\n`);
  process.stderr.write(`${devices.length} devices:\n`);
}

/** The devices that were named, each exactly once. @throws ClawChatError `DEVICE_UNKNOWN` */
function named({ devices }: RecoveryView, wanted: readonly string[]): ReadonlySet<string> {
  const ids = wanted.map(text => {
    const fits = devices.filter(({ id, name }) => id === text.toLowerCase() || name === text);
    const [device] = fits;
    if (device !== undefined && fits.length === 1) return device.id;
    const what = fits.length > 1 ? `fits ${fits.length} devices; give the id` : 'is no device';
    const list = devices.map(({ id, name }) => `${id} ${harmlessLine(name)}`).join(', ');
    throw failure(ErrorCode.DEVICE_UNKNOWN, `'${text}' ${what}; there are: ${list}`);
  });
  return new Set(ids);
}

/** One question a device; an answer that is missing changes nothing. */
async function asked({ devices }: RecoveryView): Promise<ReadonlySet<string>> {
  const asker = new Asker();
  const keep = new Set<string>();
  try {
    for (const { id, name, lastSeenAtMs, words } of devices) {
      const seen = seenText(lastSeenAtMs, Date.now());
      const about = `  ${harmlessLine(name)}  ${id}  ${seen}  ${words}`;
      for (;;) {
        const answer = (await asker.ask(`${about}\n    keep it? [y/n] `, true))?.toLowerCase();
        if (answer === undefined) {
          throw usage('nothing was changed: answer for each device, or give --keep DEVICE or --keep-all');
        }
        if (answer === 'y' || answer === 'yes') keep.add(id);
        if (['y', 'yes', 'n', 'no'].includes(answer)) break;
      }
    }
    return keep;
  } finally {
    asker.close();
  }
}
