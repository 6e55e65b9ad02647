/** `clawchatd doctor`: is everything here that a host needs? */
import { access } from 'node:fs/promises';
import type { ControlHostStatus } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { check, type Finding, finding } from './check.ts';
import { checkBind, checkClock, checkModes, checkPortRange, checkSocketPath } from './machine.ts';

/** What the doctor is told. */
export interface HostDoctorOptions {
  readonly directory: string;
  readonly listen: string | undefined;
  readonly timeServer: string | undefined;
  /** Ask the owner of the directory how the host stands. */
  readonly status: () => Promise<ControlHostStatus>;
}

/** Look at everything. */
export async function examineHost(options: HostDoctorOptions): Promise<readonly Finding[]> {
  const { directory, listen, timeServer, status } = options;
  const machine = [
    await check('clock', () => checkClock(timeServer)),
    await check('port range', checkPortRange),
    await check('listen', () => checkBind(listen ?? '::')),
    [checkSocketPath(directory)],
  ];
  const exists = await access(directory).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const text = `${directory} does not exist yet`;
    return [
      ...machine.flat(),
      finding('data directory', 'warn', text, 'clawchatd makes it on its first start'),
    ];
  }
  return [
    ...machine.flat(),
    ...(await check('modes', () => checkModes(directory))),
    ...(await check('host', async () => judge(await status()))),
  ];
}

function judge(status: ControlHostStatus): readonly Finding[] {
  const now = Date.now();
  const found = [
    status.serving
      ? finding('host', 'ok', `serves on port ${status.port}, waits in phase ${status.phase}`)
      : finding('host', 'warn', 'does not run', 'clawchatd --data DIR'),
  ];
  if (status.sequence > 0n) {
    const isOver = Number(status.validUntilMs) < now;
    const text = `number ${status.sequence}, ${isOver ? 'expired' : 'valid'} until ${new Date(Number(status.validUntilMs)).toISOString()}`;
    const isLate = isOver && status.serving;
    found.push(
      isLate
        ? finding('record', 'fail', text, 'a host that holds for so long says why: clawchatd history')
        : finding('record', 'ok', text),
    );
  }
  for (const store of status.stores) {
    const what = `store ${store.name}`;
    const isCurrent = store.verifiedSequence === status.sequence && status.sequence > 0n;
    if (store.code !== ErrorCode.UNSPECIFIED) {
      found.push(
        finding(
          what,
          'fail',
          codeName(store.code),
          'the log says why; devices that are away do not find the host here',
        ),
      );
    } else if (isCurrent)
      found.push(
        finding(
          what,
          'ok',
          `holds the current file, read back ${new Date(Number(store.verifiedAtMs)).toISOString()}`,
        ),
      );
    else if (status.serving)
      found.push(finding(what, 'warn', 'was not read back yet', 'look again in a minute'));
    else found.push(finding(what, 'ok', 'is looked at while the host runs'));
  }
  found.push(
    status.nextIdentityExported
      ? finding('next identity key', 'ok', 'is not on this machine')
      : finding(
          'next identity key',
          'warn',
          'lies on this machine',
          'clawchatd export-next-identity FILE, and keep the file offline',
        ),
  );
  for (const warning of status.warnings.filter(text => !text.includes('next identity'))) {
    found.push(finding('warning', 'warn', warning, 'see the log'));
  }
  return found;
}
