/** Vectors: sessions, frame by frame (spec/05-session.md, 5.3 to 5.9). */
import { type Family, family } from '../vector.ts';
import { sessionAttach } from './session-attach.ts';
import { conversations } from './session-conversation.ts';
import { sessionData } from './session-data.ts';
import { sessionRedial } from './session-redial.ts';

/** Make the family. */
export function session(): Family {
  return family(
    'session',
    ['spec/05-session.md'],
    '"host" and "client" are one side, fed step by step; "conversation" is both, record by record; "redial" is how long a client waits behind the end of a path.',
    [...conversations(), ...sessionAttach(), ...sessionData(), ...sessionRedial()],
  );
}
