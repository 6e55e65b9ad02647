/** Everything that the model writes: path in the repository to text. */
import { chat } from './families/chat.ts';
import { connectionFile } from './families/connection-file.ts';
import { derivation } from './families/derivation.ts';
import { enrolment } from './families/enrolment.ts';
import { gate } from './families/gate.ts';
import { handshake } from './families/handshake.ts';
import { invite } from './families/invite.ts';
import { records } from './families/records.ts';
import { rotation } from './families/rotation.ts';
import { session } from './families/session.ts';
import { words } from './families/words.ts';
import { SCHEMAS } from './schemas.ts';
import { type Family, render } from './vector.ts';

/** Make all families. */
export function families(): readonly Family[] {
  return [
    derivation(),
    words(),
    invite(),
    gate(),
    handshake(),
    connectionFile(),
    records(),
    enrolment(),
    session(),
    chat(),
    rotation(),
  ];
}

/** The files of the families and their schemas. */
export function corpus(made: readonly Family[] = families()): ReadonlyMap<string, string> {
  const vectors = made.map(one => [`test-vectors/${one.family}.json`, render(one)] as const);
  const schemas = Object.entries(SCHEMAS).map(
    ([name, schema]) =>
      [`test-vectors/schema/${name}.schema.json`, `${JSON.stringify(schema, undefined, 1)}\n`] as const,
  );
  return new Map([...vectors, ...schemas]);
}
