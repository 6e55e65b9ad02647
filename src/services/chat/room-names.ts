/** Names that rooms may be made with, and which of them mean the same (spec/11-chat.md, 11.3). */
import { isCleanName } from './content.ts';

/**
 * Fold a name: those who read or type it take names that fold alike for one.
 *
 * Case, width and the forms of one letter are folded, what cannot be seen is left out, and blanks count as one.
 */
export function foldRoomName(name: string): string {
  const plain = name.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '');
  return plain
    .toUpperCase()
    .normalize('NFKC')
    .replace(/\p{White_Space}+/gu, ' ');
}

/** Whether a room may be made with this name: it is shown as it stands, and has no other form. @impl CH-056~2 */
export function isNewRoomName(name: string): boolean {
  const isBlankAround = /^\p{White_Space}|\p{White_Space}$/u.test(name);
  return (
    isCleanName(name) && !isBlankAround && name.normalize('NFC') === name && foldRoomName(name).trim() !== ''
  );
}
