/** The commands of `clawchatd` about invites: make, list, withdraw. Chapter: spec/08-devices.md, 8.1. */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { ControlInvite, ControlOpenInvite } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { INVITE_LIFE_MS, INVITE_LIFE_MS_MAX } from '../../gen/constants.ts';
import { failure } from '../failure.ts';
import { refuseUnwritable, writeFileAtomic } from '../files.ts';
import type { OwnerLink } from '../owner-link.ts';
import { type Call, type Command, duration, usage } from './command-line.ts';
import { listDevices, listInvites, meant } from './device-commands.ts';
import { expectAnswer } from './directory.ts';
import { EXIT_OK } from './exit-code.ts';
import { hostOptions } from './host-options.ts';
import { endsText, fromNow, hex, jsonLine, line, takesColour, timeText } from './output.ts';
import { drawQr } from './qr.ts';
import { reachExistingHost, reachHost } from './reach-host.ts';
import { harmlessLine } from './terminal-text.ts';
import { shellWord, typedCommand, typedElsewhere, withCommands } from './typed-command.ts';

/** Fewest digits of an id that are shown. */
const ID_SHOWN_MIN = 8;
/** An invite ends at a whole second. */
const LIFE_MS_MIN = 1000;

async function invite(call: Call): Promise<number> {
  const expires = call.text('expires');
  const lifeMs = expires === undefined ? INVITE_LIFE_MS : duration(expires, '--expires');
  if (lifeMs < LIFE_MS_MIN || lifeMs > INVITE_LIFE_MS_MAX)
    throw usage(`--expires takes 1s to 7d, not '${expires}'`);
  const named = call.text('file');
  const file = named === undefined ? undefined : resolve(named);
  if (file !== undefined && (call.on('qr') || call.on('qr-light')))
    throw usage('--qr draws the invite alone: leave --file out');
  const { directory } = await hostOptions(call);
  const isNew = !existsSync(directory);
  // Before the invite is made: what cannot be handed out is not to be open.
  if (file !== undefined) await refuseUnwritable(file);
  await reachHost(call, async link => {
    if (isNew) process.stderr.write(newHostText(directory));
    const name = call.text('name') ?? '';
    const same = await sameName(link, name);
    const value = { name, lifeMs: BigInt(lifeMs), bundle: file !== undefined };
    const made = expectAnswer(await link.call({ case: 'invite', value }), 'invite');
    if (file !== undefined) await writeOrWithdraw(link, file, made);
    if (call.on('json')) {
      jsonLine({
        ...(file === undefined ? { invite: made.invite } : { file }),
        id: made.inviteId,
        expires_at_ms: made.expiresAtMs,
        published: made.published,
        name_taken: same.taken,
        name_invited: same.invited,
        warnings: made.warnings.map(warning => withCommands(warning)),
      });
      return;
    }
    const isLight = call.on('qr-light');
    if (call.on('qr') || isLight)
      for (const row of drawQr(made.invite, { colour: takesColour() && !isLight, isLight })) line(row);
    // Otherwise the invite alone on standard output, so that it can be piped.
    if (file === undefined) line(made.invite);
    else process.stderr.write(`wrote ${file}: it is a secret until it is used\n`);
    const join = `clawchat join${file === undefined ? '' : ` ${shellWord(basename(file))}`}`;
    const id = hex(made.inviteId).slice(0, ID_SHOWN_MIN);
    const said = [
      `works once, until ${timeText(made.expiresAtMs)}; to use it: ${typedElsewhere(join)}`,
      `to withdraw it: ${typedCommand(`clawchatd withdraw ${id}`)}`,
      'Whoever runs this host can read what is written there: tell those whom you invite.',
      ...made.warnings.map(warning => withCommands(warning)),
      ...(same.taken ? [`A device called ${harmlessLine(name)} has joined already: there will be two.`] : []),
      ...(same.invited
        ? [withCommands(`An invite for ${harmlessLine(name)} was open already: \`clawchatd invites\``)]
        : []),
    ];
    process.stderr.write(`${said.join('\n')}\n`);
  });
  return EXIT_OK;
}

/** What else there is of a name. */
async function sameName(
  link: OwnerLink,
  name: string,
): Promise<{ readonly taken: boolean; readonly invited: boolean }> {
  if (name === '') return { taken: false, invited: false };
  const isSame = (one: { readonly name: string }): boolean => one.name === name;
  return {
    taken: (await listDevices(link)).some(isSame),
    invited: (await listInvites(link)).some(one => one.claimedBy.length === 0 && isSame(one)),
  };
}

/** @impl IN-009~1 */
async function writeOrWithdraw(
  link: OwnerLink,
  file: string,
  { bundle, inviteId }: ControlInvite,
): Promise<void> {
  try {
    await writeFileAtomic(file, bundle);
  } catch (error) {
    await link.call({ case: 'withdraw', value: { inviteId } });
    throw error;
  }
}

/** Nobody who mistyped the directory of their host is to miss it. */
function newHostText(directory: string): string {
  return (
    `NOTE: there was no host in ${directory}: a new one was made there, and the invite is to that one.\n` +
    '      If you meant another host, name its directory with --data, and remove this one.\n'
  );
}

/** As many digits of each id as tell them apart, and no fewer than a person expects. */
function shownIds(all: readonly ControlOpenInvite[]): readonly string[] {
  const ids = all.map(({ inviteId }) => hex(inviteId));
  let digits = ID_SHOWN_MIN;
  while (new Set(ids.map(id => id.slice(0, digits))).size < ids.length) digits += 1;
  return ids.map(id => id.slice(0, digits));
}

/** Whom an invite is for, for people. */
function forWhom({ name, personId, personName, claimedBy }: ControlOpenInvite): string {
  const owner = personName === '' ? hex(personId).slice(0, ID_SHOWN_MIN) : personName;
  const of = personId.length === 0 ? '' : ` (another device of ${owner})`;
  const claimed =
    claimedBy.length === 0
      ? ''
      : `; used by device ${hex(claimedBy).slice(0, ID_SHOWN_MIN)}, which has not come back yet`;
  return `${harmlessLine(`${name === '' ? 'no name' : name}${of}`)}${claimed}`;
}

/** Lay invites out as lines, one for each. */
export function inviteLines(all: readonly ControlOpenInvite[], now: number): readonly string[] {
  const ids = shownIds(all);
  return all.map((one, index) => {
    const form = one.bundled ? 'file' : 'text';
    const made = `made ${fromNow(one.madeAtMs, now)}`;
    return `${ids[index]}  ${form}  ${made.padEnd(15)}  ${endsText(one.endsAtMs, now).padEnd(13)}  ${forWhom(one)}`;
  });
}

function inviteJson(one: ControlOpenInvite): Readonly<Record<string, unknown>> {
  return {
    id: one.inviteId,
    name: one.name,
    state: one.claimedBy.length === 0 ? 'open' : 'claimed',
    form: one.bundled ? 'file' : 'text',
    made_at_ms: one.madeAtMs,
    ends_at_ms: one.endsAtMs,
    ...(one.personId.length > 0 && { person: one.personId, person_name: one.personName }),
    ...(one.claimedBy.length > 0 && { device: one.claimedBy }),
  };
}

async function invites(call: Call): Promise<number> {
  await reachExistingHost(call, async link => {
    const all = await listInvites(link);
    if (call.on('json')) for (const one of all) jsonLine(inviteJson(one));
    else if (all.length === 0) line(`No invite is open; to make one: ${typedCommand('clawchatd invite')}`);
    else for (const text of inviteLines(all, Date.now())) line(text);
  });
  return EXIT_OK;
}

async function withdraw(call: Call): Promise<number> {
  const [wanted = ''] = call.words;
  await reachExistingHost(call, async link => {
    const fits = meant(await listInvites(link), ({ inviteId }) => inviteId, wanted);
    const [one] = fits;
    if (one === undefined || fits.length > 1) throw await unknownInvite(link, wanted, fits.length);
    const { inviteId, name, claimedBy } = one;
    const { existed } = expectAnswer(await link.call({ case: 'withdraw', value: { inviteId } }), 'withdrawn');
    if (!existed) throw await unknownInvite(link, wanted, 0);
    const isClaimed = claimedBy.length > 0;
    if (call.on('json')) {
      jsonLine({ withdrawn: true, id: inviteId, name, ...(isClaimed && { device: claimedBy }) });
      return;
    }
    const who = name === '' ? 'without a name' : `for ${harmlessLine(name)}`;
    line(`Withdrew the invite ${who} (${hex(inviteId).slice(0, ID_SHOWN_MIN)}). It lets nobody in any more.`);
    if (isClaimed) line('The device that had begun to join with it is out as well.');
  });
  return EXIT_OK;
}

async function unknownInvite(link: OwnerLink, wanted: string, count: number): Promise<Error> {
  const isDevice =
    count === 0 && meant(await listDevices(link), ({ deviceId }) => deviceId, wanted).length > 0;
  const what =
    count > 1
      ? `fits ${count} invites; give the id (see: \`clawchatd invites\`)`
      : isDevice
        ? `has joined; to put the device out: \`clawchatd revoke ${shellWord(wanted)}\``
        : 'is no open invite (see: `clawchatd invites`)';
  return failure(ErrorCode.INVITE_UNKNOWN, `'${wanted}' ${what}`);
}

/** To let people in, and to think better of it. */
export const INVITE_COMMANDS: readonly Command[] = [
  {
    name: 'invite',
    summary: 'make an invite for one device and print it alone on standard output',
    details: [
      'Works also while no host runs. Whoever reads the invite first can use it: pass it on in private.',
    ],
    options: {
      name: { value: 'NAME', help: 'name of the device' },
      expires: { value: 'TIME', help: 'how long it works, such as 30m or 24h, up to 7d (default: 24h)' },
      qr: { help: 'draw it as a QR code as well, for a phone that looks at this terminal' },
      'qr-light': { help: 'the same without colours, for a terminal with dark letters on a light ground' },
      file: {
        value: 'OUT',
        help: 'write a file with the invite and the connection file, for joining without a store',
      },
    },
    run: invite,
  },
  { name: 'invites', summary: 'list the invites that nobody has used yet', run: invites },
  {
    name: 'withdraw',
    words: 'INVITE',
    count: [1, 1],
    summary: 'end an invite before its time, by its id, the beginning of its id, or its name',
    details: ['Works also while no host runs. Whoever comes with it then is turned away as a stranger is.'],
    run: withdraw,
  },
];
