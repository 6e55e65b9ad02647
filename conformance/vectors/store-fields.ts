/** A store as the vectors show it (test-vectors/README.md). */
import type { Store } from '../../src/protocol/connection-record.ts';
import { type Fields, hex } from './load.ts';

/** Show where a store is. */
export function storeFields(store: Store): Fields {
  switch (store.kind) {
    case 'local':
      return { local: { path: store.path } };
    case 'https':
      return { https: { read_url: store.readUrl, spki_pin: hex(store.spkiPin) } };
    case 'mega':
      return { mega: { folder_link: store.folderLink } };
  }
}
