/** `clawchat join`: says what it found, where it looked, what went wrong and what to do. Chapters: spec/07-discovery.md 7.5, spec/08-devices.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { FILE_BYTES_MAX } from '../../gen/constants.ts';
import { ClawChatError } from '../../protocol/fault.ts';
import { looksLikeInvite } from '../../protocol/invite.ts';
import { joinHost, type Looked } from '../client/join-host.ts';
import { failure } from '../failure.ts';
import { readFileCapped } from '../files.ts';
import { UNTRUSTED_TEXT } from '../untrusted.ts';
import { clientOptions } from './client-options.ts';
import { standingJson, standingText } from './client-status.ts';
import { type Call, duration, report, usage } from './command-line.ts';
import { EXIT_OK } from './exit-code.ts';
import { hex, jsonLine, line, sayReading } from './output.ts';

const TIMEOUT_MS = 60_000;
/** After this long a person is told that it still tries. */
const PATIENCE_MS = 5000;
const BUNDLE_BYTES_MAX = FILE_BYTES_MAX + 4096;

/** What to do about a refusal that the situation of the stores does not explain. */
const ADVICE: ReadonlyMap<ErrorCode, string> = new Map([
  [
    ErrorCode.INVITE_MALFORMED,
    'give the whole text of the invite, which begins with clawchat1, or the name of the file that you got',
  ],
  [ErrorCode.INVITE_CHECKSUM, 'a letter is wrong: copy it again, or have it read out again'],
  [ErrorCode.INVITE_EXPIRED, 'ask for a new invite, or set the clock of this machine'],
  [ErrorCode.INVITE_USED, 'somebody else used it: tell the operator, and ask for a new one'],
  [
    ErrorCode.GATE_REFUSED,
    'the invite was used up or has expired, or the host moved just now: try once more, then ask for a new one',
  ],
  [
    ErrorCode.NOT_A_RECIPIENT,
    'the invite was used up or has expired, or the store is behind: try once more, then ask for a new one',
  ],
  [
    ErrorCode.HOST_UNREACHABLE,
    'the host does not answer at its address: does it run, and does its router let its ports through?',
  ],
  [ErrorCode.TLS_FAILED, 'another machine answers at the address of the host: try again in a minute'],
  [ErrorCode.ALREADY_JOINED, 'join into another directory: --data DIR'],
]);
const UNTRUSTED_ADVICE =
  'no authority that this machine trusts vouches for the certificate at the address of the host: ask its operator which one does, and name its file in NODE_EXTRA_CA_CERTS';
const LOCAL_ADVICE =
  'the invite names only files on a machine: on another one, ask for an invite with its file ("clawchatd invite --file"; for another device of yours "clawchat invite-device --file"), or for a store on the web';

/** Join. */
export async function join(call: Call): Promise<number> {
  const [given = '-'] = call.words;
  const timeout = call.text('timeout');
  const isJson = call.on('json');
  const timeoutMs = timeout === undefined ? TIMEOUT_MS : duration(timeout, '--timeout');
  let looked: Looked | undefined;
  let patience: NodeJS.Timeout | undefined;
  const wait = (): void => {
    process.stderr.write(`  nothing yet; this tries for ${timeoutMs / 1000} s (--timeout) ...\n`);
  };
  try {
    const { deviceId, serverId, name, words } = await joinHost({
      ...(await clientOptions(call)),
      invite: await readInvite(given, isJson),
      name: call.text('name') ?? '',
      timeoutMs,
      progress: text => {
        if (isJson) return;
        process.stderr.write(`${text}\n`);
        patience ??= setTimeout(wait, PATIENCE_MS);
      },
      looked: found => {
        looked = found;
      },
    });
    if (isJson) {
      const all = { joined: true, device: hex(deviceId), name, server: hex(serverId), words };
      jsonLine({ ...all, ...lookedJson(looked) });
      return EXIT_OK;
    }
    if (looked !== undefined) process.stderr.write(lookedText(looked));
    line(`Joined as ${name}.`);
    line(`Compare by voice with the host's operator: ${words}`);
    line('The operator of the host can read what is written there.');
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof ClawChatError)) throw error;
    const advice = adviceFor(error, looked);
    if (isJson) jsonLine({ joined: false, ...lookedJson(looked), advice });
    else if (looked !== undefined && error.code !== ErrorCode.ALREADY_JOINED)
      process.stderr.write(lookedText({ ...looked, situation: '' }));
    const exit = report({ name: 'clawchat' }, error, isJson);
    // Last, where it is seen; what the stores mean is in it.
    if (!isJson && advice !== '') process.stderr.write(`What to do: ${advice}\n`);
    return exit;
  } finally {
    clearTimeout(patience);
  }
}

/** What the refusal itself says comes first; then what the stores say. */
export function adviceFor({ code, message }: ClawChatError, looked: Looked | undefined): string {
  const isLocal = looked !== undefined && looked.stores.length > 0 && looked.stores.every(isAbsentFile);
  if (isLocal) return LOCAL_ADVICE;
  if (code === ErrorCode.TLS_FAILED && message.includes(UNTRUSTED_TEXT)) return UNTRUSTED_ADVICE;
  const known = ADVICE.get(code);
  return known ?? looked?.situation ?? '';
}

function isAbsentFile({ name, standing }: Looked['stores'][number]): boolean {
  return standing === 'absent' && !name.startsWith('http') && !name.startsWith('mega');
}

function lookedJson(looked: Looked | undefined): Readonly<Record<string, unknown>> {
  if (looked === undefined) return { stores: [], record: 0, endpoint: '', situation: '' };
  const { stores, sequence, endpoint, situation } = looked;
  return { stores: stores.map(standingJson), record: sequence, endpoint, situation };
}

function lookedText({ stores, sequence, endpoint, situation }: Looked): string {
  const found =
    sequence === 0
      ? 'nothing that says where the host is'
      : `the host's address: ${endpoint} (record ${sequence})`;
  const rows = [
    ...stores.map(store => `  looked at ${standingText(store)}`),
    `  found ${found}`,
    ...(situation === '' ? [] : [`  so ${situation}`]),
  ];
  return `${rows.join('\n')}\n`;
}

/** An invite is a text, or a file with a text or a bundle in it, or comes on standard input. */
async function readInvite(given: string, isJson: boolean): Promise<Uint8Array> {
  if (given === '-') {
    sayReading('Paste the invite, then press Enter and Ctrl-D.', isJson);
    const input = await readInput(BUNDLE_BYTES_MAX);
    if (input.length === 0) throw failure(ErrorCode.INVITE_MALFORMED, 'nothing came on standard input');
    return input;
  }
  if (looksLikeInvite(given)) return new TextEncoder().encode(given);
  const bytes = await readFileCapped(given, BUNDLE_BYTES_MAX);
  if (bytes !== undefined) return bytes;
  throw failure(
    ErrorCode.INVITE_MALFORMED,
    `'${given.slice(0, 64)}' is no invite, and there is no such file`,
  );
}

async function readInput(bytesMax: number): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > bytesMax) throw usage('standard input is too long');
  }
  return Buffer.concat(pieces);
}
