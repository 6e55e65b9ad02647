/** From what a record says about a store to something that can be read (spec/07-discovery.md). */
import type { StoreReader } from '../../discovery/store.ts';
import type { Store } from '../../gen/clawchat/v1/connection_file_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { type Fault, fault } from '../../wire/fault.ts';
import { isLocalPath, LocalStore } from './local.ts';

/** Open a store for reading. A kind or an address that this program cannot use is a fault, and the reader skips it. */
export function openReader(store: Store): StoreReader | Fault {
  switch (store.kind.case) {
    case 'local': {
      const { path } = store.kind.value;
      return isLocalPath(path) ? new LocalStore(path) : unusable('not an absolute path on this machine');
    }
    case 'https':
    case 'mega':
      return unusable(`${store.kind.case} stores are not supported yet`);
    case undefined:
      return unusable('a kind of store that this program does not know');
  }
}

function unusable(detail: string): Fault {
  return fault('self', ErrorCode.STORE_UNAVAILABLE, detail);
}
