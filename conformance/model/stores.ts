/** The rules of a store in a record or an invite (spec/03-connection-file.md, 3.3). */
import type { Store } from '../../src/gen/clawchat/v1/connection_file_pb.ts';
import { STORE_URL_BYTES_MAX, STORES_MAX } from '../../src/gen/constants.ts';
import { utf8 } from './bytes.ts';

/** Name the rule that a list of stores breaks, or undefined. */
export function brokenStoreRule(stores: readonly Store[]): string | undefined {
  if (stores.length > STORES_MAX) return 'stores: too many';
  for (const { kind } of stores) {
    const between = (text: string, max: number): boolean => text !== '' && utf8(text).length <= max;
    if (kind.case === 'local' && !between(kind.value.path, STORE_URL_BYTES_MAX)) return 'stores: path';
    if (kind.case === 'https') {
      if (!between(kind.value.readUrl, STORE_URL_BYTES_MAX)) return 'stores: read_url';
      if (![0, 32].includes(kind.value.spkiPin.length)) return 'stores: spki_pin';
    }
    if (kind.case === 'mega' && !between(kind.value.folderLink, 256)) return 'stores: folder_link';
  }
  return undefined;
}
