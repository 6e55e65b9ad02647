/** `clawchat doctor`: can this device reach its host, and if not, why? */
import { access } from 'node:fs/promises';
import { type ControlClientStatus, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, codeName } from '../../protocol/fault.ts';
import { check, type Finding, finding } from './check.ts';
import { checkClock, checkModes, checkSocketPath } from './machine.ts';

/** What the doctor is told. */
export interface ClientDoctorOptions {
  readonly directory: string;
  readonly timeServer: string | undefined;
  readonly status: () => Promise<ControlClientStatus>;
  /** One round trip to the host, in microseconds, or its refusal. */
  readonly ping: () => Promise<{ readonly endpoint: string; readonly roundTripUs: number }>;
}

/** Look at everything. */
export async function examineClient(options: ClientDoctorOptions): Promise<readonly Finding[]> {
  const { directory, timeServer, status, ping } = options;
  const machine = [...(await check('clock', () => checkClock(timeServer))), checkSocketPath(directory)];
  const exists = await access(directory).then(
    () => true,
    () => false,
  );
  if (!exists)
    return [...machine, finding('data directory', 'fail', `${directory} does not exist`, 'clawchat join')];
  const modes = await check('modes', () => checkModes(directory));
  const before = await check('membership', async () => judgeMember(await status()));
  if (before.some(({ grade }) => grade === 'fail')) return [...machine, ...modes, ...before];
  const reached = await check('host', () => reach(ping));
  const after = await check('connection', async () => judgeLink(await status()));
  return [...machine, ...modes, ...before, ...reached, ...after];
}

function judgeMember(status: ControlClientStatus): Finding {
  if (!status.joined)
    return finding('membership', 'fail', 'this directory has not joined a host', 'clawchat join');
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

const ADVICE: ReadonlyMap<ErrorCode, string> = new Map([
  [ErrorCode.GATE_REFUSED, 'ask the operator whether this device was revoked'],
  [ErrorCode.TLS_FAILED, 'another machine has the address now, and no store says where the host is'],
  [ErrorCode.HOST_UNREACHABLE, 'is the host running, and is its port forwarded?'],
  [ErrorCode.CLOCK_SUSPECT, 'set this machine’s clock'],
]);

async function reach(ping: ClientDoctorOptions['ping']): Promise<Finding> {
  try {
    const { endpoint, roundTripUs } = await ping();
    return finding('host', 'ok', `${endpoint} answered in ${(roundTripUs / 1000).toFixed(1)} ms`);
  } catch (error) {
    if (!(error instanceof ClawChatError)) throw error;
    return finding('host', 'fail', error.message, ADVICE.get(error.code) ?? 'see spec/09-errors.md');
  }
}

function judgeLink(status: ControlClientStatus): readonly Finding[] {
  const found: Finding[] = [];
  if (status.lastError !== ErrorCode.UNSPECIFIED && status.link !== ControlLinkState.CONNECTED) {
    found.push(finding('last failure', 'warn', codeName(status.lastError), 'see spec/09-errors.md'));
  }
  if (status.unacknowledged > 0) {
    found.push(
      finding(
        'outbox',
        'warn',
        `${status.unacknowledged} messages wait for the host`,
        'they go out with the next connection',
      ),
    );
  }
  for (const warning of status.warnings) found.push(finding('warning', 'warn', warning, 'tell the operator'));
  return found;
}
