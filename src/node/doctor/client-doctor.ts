/** `clawchat doctor`: can this device reach its host, and if not, why? */
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlClientStatus, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { STORE_ATTEMPT_MS_MAX } from '../../gen/constants.ts';
import { ClawChatError, codeName } from '../../protocol/fault.ts';
import { standingText } from '../cli/client-status.ts';
import { countText } from '../cli/output.ts';
import { check, type Finding, finding, type Grade } from './check.ts';
import { checkClock, checkModes, checkSocketPath } from './machine.ts';

/** What the owner of the directory is asked. */
export interface ClientQuestions {
  readonly status: () => Promise<ControlClientStatus>;
  /** One round trip to the host, in microseconds, or its refusal; `CANCELLED` when it takes too long. */
  readonly ping: () => Promise<{ readonly endpoint: string; readonly roundTripUs: number }>;
}

/** What the doctor is told. */
export interface ClientDoctorOptions {
  readonly directory: string;
  readonly timeServer: string | undefined;
  /** `STORE_READ_AGAIN_MS` of the preset. */
  readonly lookAgainMs: number;
  /** Ask the owner of the directory, the same one all the while. */
  readonly reach: (
    work: (ask: ClientQuestions) => Promise<readonly Finding[]>,
  ) => Promise<readonly Finding[]>;
}

/** Look at everything. */
export async function examineClient(options: ClientDoctorOptions): Promise<readonly Finding[]> {
  const { directory, timeServer, lookAgainMs } = options;
  const machine = [...(await check('clock', () => checkClock(timeServer))), checkSocketPath(directory)];
  const exists = await access(directory).then(
    () => true,
    () => false,
  );
  if (!exists)
    return [...machine, finding('data directory', 'fail', `${directory} does not exist`, '`clawchat join`')];
  const modes = await check('modes', () => checkModes(directory));
  const member = await check('membership', () => options.reach(ask => examineMember(ask, lookAgainMs)));
  return [...machine, ...modes, ...member];
}

async function examineMember(
  { status, ping }: ClientQuestions,
  lookAgainMs: number,
): Promise<readonly Finding[]> {
  const before = judgeMember(await status());
  if (before.grade === 'fail') return [before];
  const host = await reach(ping);
  return [before, host, ...judgeLink(await settled(status, lookAgainMs))];
}

function judgeMember(status: ControlClientStatus): Finding {
  if (!status.joined)
    return finding('membership', 'fail', 'this directory has not joined a host', '`clawchat join`');
  const isOld = Number(status.validUntilMs) < Date.now();
  const text = `${status.name}, record number ${status.sequence}`;
  if (!isOld) return finding('membership', 'ok', text);
  return finding(
    'membership',
    'warn',
    `${text}, which has expired`,
    'it is dialled all the same, and the stores are read',
  );
}

const ASK_OPERATOR =
  'ask the operator whether the host runs, and whether its firewall and router let its ports through; it is dialled again by itself';
const BY_ITSELF = 'nothing to do: this is tried again by itself';

const ADVICE: ReadonlyMap<ErrorCode, string> = new Map([
  [ErrorCode.HOST_UNREACHABLE, ASK_OPERATOR],
  [ErrorCode.TIMEOUT, ASK_OPERATOR],
  [ErrorCode.GATE_REFUSED, 'ask the operator whether this device was revoked'],
  [ErrorCode.DEVICE_REVOKED, 'ask the operator for a new invite, and join into a new directory'],
  [ErrorCode.NOT_A_RECIPIENT, 'ask the operator whether this device was revoked'],
  [ErrorCode.TLS_FAILED, 'another machine has the address now, and no store says where the host is'],
  [ErrorCode.HANDSHAKE_FAILED, 'another machine has the address now, and no store says where the host is'],
  [ErrorCode.STORE_UNAVAILABLE, 'is this machine on the network? the stores are read again by themselves'],
  [ErrorCode.CLOCK_SUSPECT, 'set the clock of this machine'],
  [ErrorCode.VERSION_UNSUPPORTED, 'update this program, or ask the operator to update the host'],
  [ErrorCode.PROXY_REFUSED, 'give the proxy a user and a password ("proxy"), or do without it'],
  [ErrorCode.PROXY_UNREACHABLE, 'correct the address of the proxy ("proxy"), or do without it'],
  [ErrorCode.HOST_BUSY, BY_ITSELF],
  [ErrorCode.SHUTDOWN, BY_ITSELF],
  [ErrorCode.PATH_DEAD, BY_ITSELF],
  [ErrorCode.TRANSPORT_FAILED, BY_ITSELF],
]);

/** What is left is a fault of a program, or of a store. */
function adviceOn(code: ErrorCode): string {
  return ADVICE.get(code) ?? `tell the operator that this device was told ${codeName(code)}`;
}

async function reach(ping: ClientQuestions['ping']): Promise<Finding> {
  try {
    const { endpoint, roundTripUs } = await ping();
    return finding('host', 'ok', `${endpoint} answered in ${(roundTripUs / 1000).toFixed(1)} ms`);
  } catch (error) {
    if (!(error instanceof ClawChatError)) throw error;
    if (error.code === ErrorCode.CANCELLED)
      return finding('host', 'fail', 'does not answer', 'what the stores say comes below');
    return finding('host', 'fail', error.message, adviceOn(error.code));
  }
}

/** How often to look whether the reads of the stores have ended. */
const LOOK_MS = 250;

/** A store that is behind what the host has verified is frozen only if a second look finds it so: wait for that. */
async function settled(status: ClientQuestions['status'], lookAgainMs: number): Promise<ControlClientStatus> {
  const startedAt = performance.now();
  for (;;) {
    const found = await status();
    const isOpen = found.stores.some(({ standing }) => standing === 'unknown' || standing === 'behind');
    const isConnected = found.link === ControlLinkState.CONNECTED;
    const waitMs = isConnected ? lookAgainMs + STORE_ATTEMPT_MS_MAX : 0;
    if (!isOpen || performance.now() - startedAt >= waitMs) return found;
    await sleep(LOOK_MS);
  }
}

const STORE_ADVICE: ReadonlyMap<string, readonly [Grade, string]> = new Map([
  [
    'behind',
    ['warn', 'look again in a minute; if it stays, tell the operator that this store is not written'],
  ],
  ['stale', ['fail', 'tell the operator: this store is frozen or lies; the other stores serve']],
  ['lying', ['fail', 'tell the operator: this store, or the way to it, lies; the other stores serve']],
  ['foreign', ['warn', 'ask the operator whether this device was revoked']],
  ['unusable', ['warn', 'update this program']],
  ['absent', ['warn', 'tell the operator that nothing lies there']],
  [
    'failing',
    ['warn', 'is this machine on the network? otherwise the store is down; it is read again by itself'],
  ],
]);

/** The path of a local store is the host's: nothing is wrong on a machine that has no such file. */
const ANOTHER_MACHINE =
  'a file on the machine of the host; on another one you find the host after longer absence only through a store that both reach: ask the operator (docs/stores.md)';

function judgeStores({ stores, situation }: ControlClientStatus): readonly Finding[] {
  const found = stores.map(store => {
    const [grade, advice] = STORE_ADVICE.get(store.standing) ?? ['ok' as const, undefined];
    const isElsewhere = store.standing === 'absent' && store.name.startsWith('/');
    const text = standingText(store).replace(`${store.name}: `, '');
    return finding(`store ${store.name}`, grade, text, isElsewhere ? ANOTHER_MACHINE : advice);
  });
  // The sentence says what is, and after a colon what to do.
  const [is = '', ...what] = situation.split(': ');
  if (is !== '') found.push(finding('all in all', 'warn', is, what.join(': ')));
  return found;
}

function judgeLink(status: ControlClientStatus): readonly Finding[] {
  const found: Finding[] = [];
  if (status.lastError !== ErrorCode.UNSPECIFIED && status.link !== ControlLinkState.CONNECTED) {
    const { lastError, lastErrorDetail } = status;
    const text = [codeName(lastError), lastErrorDetail].filter(part => part !== '').join(': ');
    found.push(finding('last failure', 'warn', text, adviceOn(lastError)));
  }
  if (status.unacknowledged > 0) {
    found.push(
      finding(
        'outbox',
        'warn',
        `${countText(status.unacknowledged, 'message')} for the host`,
        'what waits goes out with the next connection',
      ),
    );
  }
  found.push(...judgeStores(status));
  for (const warning of status.warnings) found.push(finding('warning', 'warn', warning, 'tell the operator'));
  return found;
}
