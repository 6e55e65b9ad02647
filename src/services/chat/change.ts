/** What a decision about the chat would change (spec/11-chat.md, 11.4). */
import type { DatabaseOperation } from '../ports.ts';

/**
 * Writes for the commit of the decision, and `take`, which brings the memory in line with them.
 *
 * Making a change alters nothing, so a fault of the program on the way leaves nothing behind; taking it cannot fail.
 */
export interface Change {
  readonly operations: readonly DatabaseOperation[];
  readonly take: () => void;
}

/** Several changes as one. */
export function together(...changes: readonly Change[]): Change {
  return {
    operations: changes.flatMap(({ operations }) => operations),
    take: () => {
      for (const { take } of changes) take();
    },
  };
}
