/** Vectors: connection files (spec/03-connection-file.md). */
import { type Family, family } from '../vector.ts';
import { fileChain } from './file-chain.ts';
import { fileOrder } from './file-order.ts';
import { fileOuter } from './file-outer.ts';
import { fileRecord } from './file-record.ts';
import { fileSeal } from './file-seal.ts';

/** Make the family. */
export function connectionFile(): Family {
  return family(
    'connection-file',
    ['spec/03-connection-file.md'],
    '"seal" makes a file; "read file" and "read envelope" give one to a client that holds what `input.client` says and whose clock shows `now_ms`.',
    [...fileSeal(), ...fileOuter(), ...fileRecord(), ...fileChain(), ...fileOrder()],
  );
}
