/** `clawchatd doctor`: is everything here that a host needs? */
import { access } from 'node:fs/promises';
import type { ControlHostStatus } from '../../gen/clawchat/v1/control_pb.ts';
import { troubleAdvice, troubleText } from '../cli/store-trouble.ts';
import type { TlsFiles } from '../host/tls-identity.ts';
import { check, type Finding, finding } from './check.ts';
import {
  checkBind,
  checkCertificate,
  checkClock,
  checkModes,
  checkPortRange,
  checkSocketPath,
} from './machine.ts';

/** What the doctor is told. */
export interface HostDoctorOptions {
  readonly directory: string;
  readonly listen: string | undefined;
  readonly timeServer: string | undefined;
  /** The operator's own certificate. */
  readonly tls?: TlsFiles | undefined;
  /** Ask the owner of the directory how the host stands. */
  readonly status: () => Promise<ControlHostStatus>;
}

/** Look at everything. */
export async function examineHost(options: HostDoctorOptions): Promise<readonly Finding[]> {
  const { directory, listen, timeServer, tls, status } = options;
  const machine = [
    await check('clock', () => checkClock(timeServer)),
    await check('port range', checkPortRange),
    [checkSocketPath(directory)],
    ...(tls === undefined ? [] : [await check('certificate', () => checkCertificate(tls))]),
  ];
  const exists = await access(directory).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const text = `${directory} does not exist yet`;
    return [
      ...machine.flat(),
      ...(await check('listen', () => checkBind(listen ?? '::'))),
      finding('data directory', 'warn', text, 'the first start makes it: `clawchatd`'),
    ];
  }
  let serves = false;
  const host = await check('host', async () => {
    const found = await status();
    serves = found.serving;
    return judge(found);
  });
  return [
    ...machine.flat(),
    // A host that serves listens already, perhaps by options that this command was not given.
    ...(serves ? [] : await check('listen', () => checkBind(listen ?? '::'))),
    ...(await check('modes', () => checkModes(directory))),
    ...host,
  ];
}

const FRESH_MS = 60_000;

function judge(status: ControlHostStatus): readonly Finding[] {
  const now = Date.now();
  const found = [
    status.serving
      ? finding('host', 'ok', `serves on port ${status.port}`)
      : finding('host', 'warn', 'does not run', 'start it: `clawchatd`'),
  ];
  if (status.sequence > 0n) {
    const isOver = Number(status.validUntilMs) < now;
    const text = `number ${status.sequence}, ${isOver ? 'expired at' : 'valid until'} ${new Date(Number(status.validUntilMs)).toISOString()}`;
    const isLate = isOver && status.serving;
    found.push(
      isLate
        ? finding('record', 'fail', text, 'the host could not move for so long; why: `clawchatd history`')
        : finding('record', 'ok', text),
    );
  }
  // A host that has only just started is still publishing.
  const isFresh = now - Number(status.startedAtMs) < FRESH_MS;
  for (const store of status.stores) {
    const what = `store ${store.name}`;
    const isCurrent = store.verifiedSequence === status.sequence && status.sequence > 0n;
    const trouble = troubleText(store);
    if (trouble !== undefined) found.push(finding(what, 'fail', trouble, troubleAdvice(store)));
    else if (isCurrent)
      found.push(
        finding(
          what,
          'ok',
          `holds the current file, read back ${new Date(Number(store.verifiedAtMs)).toISOString()}`,
        ),
      );
    else if (status.serving)
      found.push(finding(what, isFresh ? 'note' : 'warn', 'was not read back yet', 'look again in a minute'));
    else found.push(finding(what, 'ok', 'is looked at while the host runs'));
  }
  found.push(
    status.nextIdentityExported
      ? finding('next identity key', 'ok', 'is not on this machine')
      : finding(
          'next identity key',
          'warn',
          'lies on this machine',
          '`clawchatd export-next-identity FILE`, and keep the file offline',
        ),
  );
  for (const warning of status.warnings.filter(text => !text.includes('next identity'))) {
    const at = warning.lastIndexOf('; ');
    const [text, advice] =
      at < 0 ? [warning, 'the log of the host says more'] : [warning.slice(0, at), warning.slice(at + 2)];
    found.push(finding('the host says', 'warn', text, advice));
  }
  return found;
}
