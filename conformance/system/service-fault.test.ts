/** A fault of the program in a service ends what it was about, with a code and a log line, and never the host (SE-046). */
import { afterAll, describe, expect, it } from 'vitest';
import { logged } from './host-log.ts';
import { buildProgram, type Edit } from './mutant.ts';
import { Place } from './programs.ts';

const place = new Place();
afterAll(() => place.clean());

/** Where the chat service is made to throw: while it hears a message, while it waits for its turn, and behind a commit. */
const THROWS: Readonly<Record<string, Edit>> = {
  'in a message': {
    file: 'src/services/chat/host-stream.ts',
    find: `    if (this.#closed) return;
    this.#queue.push({ message, wallMs });`,
    replace: `    if (this.#closed) return;
    if (Buffer.from(message).includes('poison')) new Uint8Array(-1);
    this.#queue.push({ message, wallMs });`,
  },
  'behind a commit': {
    file: 'src/services/chat/host-posting.ts',
    find: 'this.#sendResult(requestId, number, outcome);\n          this.#port.pump();',
    replace: `if (Buffer.from(content).includes('poison')) new Uint8Array(-1);
          this.#sendResult(requestId, number, outcome);
          this.#port.pump();`,
  },
};

describe('a host whose chat service throws', () => {
  it.each(['in a message', 'behind a commit'])(
    '%s lives, says so, and serves the others (SE-046)',
    async where => {
      const edit = THROWS[where];
      if (edit === undefined) throw new Error(where);
      const name = where.replaceAll(' ', '-');
      const file = await buildProgram('src/node/clawchatd.ts', place.path(name, 'clawchatd.mjs'), [edit]);
      const A = place.path(name, 'A');
      const host = await place.host(A, [], { file });
      await place.join(A, place.path(name, 'ann'), 'ann');
      await place.join(A, place.path(name, 'bob'), 'bob');
      const poisoned = place.start('clawchat', ['send', 'poison', '--data', place.path(name, 'ann')]);
      for (const end = Date.now() + 60_000; logged(host, 'service-failed').length === 0; ) {
        if (Date.now() > end) throw new Error(`the service never failed\n${host.stderr()}`);
        await new Promise(resolve => setTimeout(resolve, 20));
      }
      expect(logged(host, 'service-failed')[0]?.why).toContain('array');
      await place.ok('clawchat', ['send', 'all is well', '--data', place.path(name, 'bob')]);
      expect(host.child.exitCode).toBeNull();
      await poisoned.stop();
      await host.stop();
    },
  );
});
