/** What an operator is told of a store that is of no use to the host (spec/07-discovery.md, 7.1; docs/stores.md). */
import { isAbsolute } from 'node:path';
import type { StoreTrouble } from '../../discovery/store.ts';
import type { ControlStore } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { harmlessLine } from './terminal-text.ts';
import { withCommands } from './typed-command.ts';

/** Name the state of a store; undefined while it works. An owner of an earlier version names only the code. */
export function troubleOf({ code, trouble }: ControlStore): string | undefined {
  if (code === ErrorCode.UNSPECIFIED) return undefined;
  return trouble === '' ? codeName(code) : trouble;
}

/** Say in one line why a store is of no use; undefined while it works. */
export function troubleText(store: ControlStore): string | undefined {
  const trouble = troubleOf(store);
  if (trouble === undefined) return undefined;
  const why = harmlessLine(store.detail.replace(`${store.name}: `, ''));
  return why === '' ? trouble : withCommands(`${trouble} (${why})`);
}

const ADVICE: Readonly<Record<StoreTrouble, string>> = {
  unreachable: 'does the server run, and does its address lead there from here? it is tried again by itself',
  timeout: 'is the server overloaded, or a firewall in between? it is tried again by itself',
  untrusted: 'renew the certificate, or correct "pin" in the list of stores, and restart the host',
  busy: 'nothing to do: it is tried again by itself',
  refused:
    'correct "headers", "write" or the rights and the directory of the server; after a change of the list restart the host',
  expired: 'renew the signed address in the file of "writeFrom", or log in again: `clawchatd mega login`',
  blocked: 'talk to the provider, and use another store',
  quota: 'make room there',
  oversized: 'raise the limit of the server for uploads above 256 KiB',
  malformed: 'give the address that it leads to, and that takes files with "method"; then restart the host',
  cancelled: 'nothing to do: it is tried again by itself',
};

/** The same of a store that is a folder. */
const FOLDER_ADVICE: Readonly<Record<string, string>> = {
  refused:
    'make its folder, let the host write there, or correct "path" in the list of stores and restart the host',
  malformed: 'the file there is of something else: remove it, or name another one',
  oversized: 'the file there is of something else: remove it, or name another one',
};

/** Say what to do about it. */
export function troubleAdvice({ name, trouble }: ControlStore): string {
  const folder = isAbsolute(name) ? FOLDER_ADVICE[trouble] : undefined;
  if (folder !== undefined) return folder;
  return (ADVICE as Readonly<Record<string, string | undefined>>)[trouble] ?? 'the log of the host says why';
}
