/** Vectors: opening, resuming and ending sessions and paths (spec/05-session.md, 5.3, 5.8, 5.9, and the table of SE-004~1). */
import { ATTACH_MS_MAX, PATH_DEAD_MS, PING_IDLE_MS, SESSION_RESUME_MS } from '../../../src/gen/constants.ts';
import { unhex, zeros } from '../bytes.ts';
import type { BodyInit } from '../frame.ts';
import { lengthField } from '../protobuf.ts';
import {
  ack,
  attach,
  attached,
  attachedClient,
  attachedHost,
  attaches,
  client,
  closeBody,
  credit,
  data,
  type Head,
  head,
  hears,
  host,
  loses,
  opens,
  passes,
  raw,
  sessionId,
  writes,
} from '../session-cases.ts';
import type { Vector } from '../vector.ts';

const OTHER = sessionId(9);

function hostAttaches(): Vector[] {
  return [
    host('open', head('A session is opened.', 'SE-012~1', 'known-answer'), attachedHost),
    host('open-later-generation', head('Opened by the third Attach: the first two got lost.', 'SE-011~1'), [
      hears('A', attach(3, 0, true)),
      opens('B'),
      hears('B', attach(3, 0)),
      opens('C'),
      hears('C', attach(4, 0)),
    ]),
    host(
      'unknown',
      head('An Attach that does not open, for a session that the host does not know.', 'SE-012~1'),
      [hears('A', attach(2, 0))],
    ),
    host('other-session', head('Another session of the device ends the older one.', 'SE-012~1'), [
      ...attachedHost,
      opens('B'),
      hears('B', attach(1, 0, true, OTHER)),
      hears('B', data(1, 'new', { opens: 'echo.v1' })),
      hears('A', data(2, 'old')),
    ]),
    host(
      'other-session-unknown',
      head('An Attach that does not open, of another id: the session that is there stays.', 'SE-012~1'),
      [...attachedHost, opens('B'), hears('B', attach(5, 0, false, OTHER)), hears('A', data(2, 'two'))],
    ),
    host(
      'resume',
      head('The next generation after the path died.', 'SE-015~1', 'known-answer', 'retransmission'),
      [...attachedHost, loses('A'), opens('B'), hears('B', attach(2, 0)), hears('B', data(2, 'two'))],
    ),
    host(
      'resume-open-again',
      head(
        'It was opened, but the client never saw that: it opens again, and the session is the same.',
        'SE-011~1',
        'retransmission',
      ),
      [
        ...attachedHost,
        loses('A'),
        opens('B'),
        hears('B', attach(2, 0, true)),
        hears('B', data(1, 'one', { opens: 'echo.v1' })),
        hears('B', data(2, 'two')),
      ],
    ),
    host(
      'move',
      head(
        'The next generation while the older path is alive: it is superseded, and what it still carries counts no more.',
        'SE-015~1',
        'fence',
      ),
      [
        ...attachedHost,
        opens('B'),
        hears('B', attach(2, 0)),
        hears('A', data(2, 'late')),
        hears('B', data(2, 'two')),
      ],
    ),
    host('generation-same', head('The same generation once more.', 'SE-013~1', 'fence'), [
      ...attachedHost,
      opens('B'),
      hears('B', attach(1, 0)),
      hears('A', data(2, 'two')),
    ]),
    host('generation-lower', head('A lower generation after a higher one.', 'SE-013~1', 'fence'), [
      hears('A', attach(5, 0, true)),
      opens('B'),
      hears('B', attach(4, 0, true)),
      hears('A', data(1, 'one', { opens: 'echo.v1' })),
    ]),
    host('generation-jump', head('A generation may jump.', 'SE-013~1', 'fence', 'big-number'), [
      ...attachedHost,
      opens('B'),
      hears('B', attach(Number.MAX_SAFE_INTEGER, 0)),
    ]),
    host('through-too-high', head('The client says that it took what was never sent.', 'SE-014~3'), [
      ...attachedHost,
      loses('A'),
      opens('B'),
      hears('B', attach(2, 1)),
    ]),
    host(
      'through-too-high-moving',
      head('The same while the older path is alive: the session ends there as well.', 'SE-014~3'),
      [...attachedHost, opens('B'), hears('B', attach(2, 1)), opens('C'), hears('C', attach(3, 0))],
    ),
    host('open-through', head('So does one that opens.', 'SE-014~3'), [hears('A', attach(1, 1, true))]),
    host('busy', head('No room for a session.', 'SE-020~1'), [hears('A', attach(1, 0, true))], {
      busy: true,
    }),
    host(
      'resends',
      head(
        'What the client has not is sent again, with the same numbers, before anything new.',
        'SE-017~1',
        'retransmission',
      ),
      [
        ...attachedHost,
        writes(1, 'ONE'),
        writes(1, 'TWO'),
        writes(1, 'THREE'),
        loses('A'),
        writes(1, 'FOUR'),
        opens('B'),
        hears('B', attach(2, 1)),
        loses('B'),
        opens('C'),
        hears('C', attach(3, 3)),
      ],
    ),
    host(
      'ack-overtook',
      head(
        'An Ack on the older path has overtaken the Attach: the higher number counts.',
        'SE-014~3',
        'retransmission',
      ),
      [
        ...attachedHost,
        writes(1, 'ONE'),
        writes(1, 'TWO'),
        opens('B'),
        hears('A', ack(2)),
        hears('B', attach(2, 1)),
        writes(1, 'THREE'),
      ],
    ),
    host(
      'acknowledged-is-gone',
      head('What was acknowledged is never sent again.', 'SE-060~1', 'retransmission'),
      [
        ...attachedHost,
        writes(1, 'ONE'),
        hears('A', ack(1)),
        loses('A'),
        opens('B'),
        hears('B', attach(2, 1)),
      ],
    ),
    host('resume-in-time', head('A session without a path, a second before its end.', 'SE-021~1', 'clock'), [
      ...attachedHost,
      loses('A', 1000),
      opens('B', SESSION_RESUME_MS),
      hears('B', attach(2, 0), SESSION_RESUME_MS),
    ]),
    host('resume-too-late', head('A second after it.', 'SE-021~1', 'clock'), [
      ...attachedHost,
      loses('A', 1000),
      opens('B', SESSION_RESUME_MS + 2000),
      hears('B', attach(2, 0), SESSION_RESUME_MS + 2000),
    ]),
  ];
}

function clientAttaches(): Vector[] {
  return [
    client('open', head('A session is opened.', 'SE-010~1', 'known-answer'), attachedClient),
    client(
      'open-again',
      head('No Attached came: the next Attach opens again, one generation higher.', 'SE-011~1'),
      [
        attaches('A'),
        loses('A'),
        opens('B'),
        attaches('B'),
        hears('B', attached(2)),
        loses('B'),
        opens('C'),
        attaches('C'),
      ],
    ),
    client(
      'resume',
      head('What the host has not is sent again.', 'SE-017~1', 'known-answer', 'retransmission'),
      [
        ...attachedClient,
        writes(1, 'two'),
        hears('A', ack(1)),
        hears('A', data(1, 'ONE')),
        loses('A'),
        writes(1, 'three'),
        opens('B'),
        attaches('B'),
        hears('B', attached(2, 1)),
      ],
    ),
    client(
      'resume-all-there',
      head('Nothing is missing: nothing is sent again.', 'SE-017~1', 'retransmission'),
      [
        ...attachedClient,
        loses('A'),
        opens('B'),
        attaches('B'),
        hears('B', attached(2, 1)),
        writes(1, 'two'),
      ],
    ),
    client(
      'move',
      head(
        'Until Attached the client takes frames from the older path; then from the new one alone.',
        'SE-016~1',
        'fence',
        'late-frame',
      ),
      [
        ...attachedClient,
        opens('B'),
        attaches('B'),
        hears('A', data(1, 'ONE')),
        hears('B', attached(2, 1)),
        hears('A', data(2, 'late')),
        hears('B', data(1, 'ONE')),
        hears('B', data(2, 'TWO')),
        hears('A', closeBody('PATH_SUPERSEDED', true)),
      ],
    ),
    client(
      'move-closed-first',
      head(
        'The ordinary order of a move: the Close of the older path comes before Attached, and nothing is lost.',
        'SE-015~1',
        'fence',
      ),
      [
        ...attachedClient,
        opens('B'),
        attaches('B'),
        hears('A', closeBody('PATH_SUPERSEDED', true)),
        writes(1, 'two'),
        hears('B', attached(2, 1)),
        hears('B', data(1, 'ONE')),
      ],
    ),
    client(
      'move-closed-while-dialling',
      head('The older path is closed before the new one has said Attach.', 'SE-081~2', 'fence'),
      [
        ...attachedClient,
        opens('B'),
        hears('A', closeBody('PATH_SUPERSEDED', true)),
        attaches('B'),
        hears('B', attached(2, 0)),
      ],
    ),
    client('attached-through-too-high', head('The host says that it took what was never sent.', 'SE-014~3'), [
      ...attachedClient,
      loses('A'),
      opens('B'),
      attaches('B'),
      hears('B', attached(2, 2)),
    ]),
    client(
      'attached-through-too-high-moving',
      head('The same while the older path is alive: the session ends there as well.', 'SE-014~3'),
      [...attachedClient, opens('B'), attaches('B'), hears('B', attached(2, 2)), opens('C'), attaches('C')],
    ),
    client(
      'through-refused',
      head(
        'The host says that the client took what was never sent: there is no session any more.',
        'SE-081~2',
      ),
      [
        ...attachedClient,
        loses('A'),
        opens('B'),
        attaches('B'),
        hears('B', closeBody('ACK_INVALID')),
        opens('C'),
        attaches('C'),
      ],
    ),
    client('attached-other', head('Attached, but for another Attach.', 'SE-004~1', 'fence'), [
      attaches('A'),
      hears('A', attached(2)),
    ]),
    client(
      'fault-elsewhere',
      head('A fault on a path that is not attached: the session goes on.', 'SE-004~1', 'state-machine'),
      [...attachedClient, opens('B'), attaches('B'), hears('B', data(1, 'ONE')), hears('A', data(1, 'ONE'))],
    ),
    client(
      'lost',
      head('The host does not know the session any more: the next Attach opens another one.', 'SE-081~2'),
      [
        ...attachedClient,
        loses('A'),
        opens('B'),
        attaches('B'),
        hears('B', closeBody('SESSION_LOST')),
        opens('C'),
        attaches('C'),
      ],
    ),
    client('replaced', head('Another process of the device has taken over.', 'SE-081~2'), [
      ...attachedClient,
      hears('A', closeBody('SESSION_REPLACED')),
    ]),
    client(
      'stale',
      head('A newer path exists: this one is dropped, the session goes on.', 'SE-081~2', 'fence'),
      [
        ...attachedClient,
        opens('B'),
        attaches('B'),
        hears('B', closeBody('GENERATION_STALE')),
        hears('A', data(1, 'ONE')),
      ],
    ),
    client('shutdown', head('The host restarts: the session may be resumed.', 'SE-081~2'), [
      ...attachedClient,
      hears('A', closeBody('SHUTDOWN', true)),
      opens('B'),
      attaches('B'),
      hears('B', attached(2, 0)),
    ]),
    client('fatal-close', head('A Close that cannot be resumed from: the session is over.', 'SE-081~2'), [
      ...attachedClient,
      hears('A', closeBody('SEQUENCE_GAP')),
      opens('B'),
      attaches('B'),
    ]),
    client(
      'resumable-revoked',
      head('The flag decides, and not the code: the session is kept.', 'SE-081~2', 'state-machine'),
      [
        ...attachedClient,
        hears('A', closeBody('DEVICE_REVOKED', true)),
        opens('B'),
        attaches('B'),
        hears('B', attached(2, 0)),
      ],
    ),
    client(
      'resumable-lost',
      head('The same of a path that is not attached: the session stays where it is.', 'SE-081~2'),
      [
        ...attachedClient,
        opens('B'),
        attaches('B'),
        hears('B', closeBody('SESSION_LOST', true)),
        hears('A', data(1, 'ONE')),
      ],
    ),
    client(
      'resumable-invalid',
      head('The same of an answer to an Attach that says what was never sent.', 'SE-081~2'),
      [
        ...attachedClient,
        opens('B'),
        attaches('B'),
        hears('B', closeBody('ACK_INVALID', true)),
        hears('A', data(1, 'ONE')),
      ],
    ),
    client(
      'unknown-close',
      head('A code of a later version that is not resumable.', 'SE-081~2', 'unknown-code'),
      [...attachedClient, raw('A', unhex('5203088f4e')), opens('B'), attaches('B')],
    ),
    client(
      'notice',
      head(
        'A notice that the client does not know the kind of is no reason for anything.',
        'SE-003~1',
        'unknown-field',
      ),
      [
        ...attachedClient,
        hears('A', { case: 'rotationNotice', value: { kind: 9 as never } }),
        hears('A', data(1, 'ONE')),
      ],
    ),
  ];
}

/** The table of SE-004~1: each frame where it may not come. */
function tables(): Vector[] {
  const frames: readonly (readonly [string, BodyInit])[] = [
    ['hello', { case: 'hello', value: { protocolVersion: 1 } }],
    ['attach', attach(9, 0, true)],
    ['attached', attached(1)],
    ['data', data(1, 'one', { opens: 'echo.v1' })],
    ['ack', ack(0)],
    ['credit', credit(1, 9)],
    ['ping', { case: 'ping', value: { id: 7n } }],
    ['pong', { case: 'pong', value: { id: 7n } }],
    ['notice', { case: 'rotationNotice', value: { kind: 2 } }],
    ['enrol', { case: 'enrol', value: { deviceKey: zeros(32) } }],
    ['enrolled', { case: 'enrolled', value: { deviceSecret: zeros(32), name: 'x' } }],
    ['close', closeBody('UNSPECIFIED')],
  ];
  const req = 'SE-004~1';
  return [
    ...frames.flatMap(([name, body]) => {
      const note = (state: string): Head => head(`${name} ${state}.`, name === 'enrol' ? 'EN-007~2' : req);
      return [
        host(
          `table/no-hello/${name}`,
          name === 'hello' ? note('before Hello') : head(`${name} before Hello.`, 'SE-007~1'),
          [hears('A', body)],
          { hello: false },
        ),
        host(`table/no-attach/${name}`, note('before Attach'), [hears('A', body)]),
        host(`table/attached/${name}`, note('behind Attach'), [
          hears('A', attach(1, 0, true)),
          hears('A', body),
        ]),
        client(`table/no-attach/${name}`, note('before the client has sent Attach'), [hears('A', body)]),
        client(`table/attaching/${name}`, note('between Attach and Attached'), [
          attaches('A'),
          hears('A', body),
        ]),
      ];
    }),
    host('table/unknown', head('A frame of a later version, wherever.', 'SE-001~1', 'unknown-field'), [
      raw('A', lengthField(99, zeros(3))),
      hears('A', attach(1, 0, true)),
      raw('A', lengthField(99, zeros(3))),
    ]),
    host(
      'table/malformed',
      head('A frame that breaks a rule of its layout, on an attached path: the session ends.', 'SE-003~1'),
      [...attachedHost, hears('A', data(0, 'zero')), opens('B'), hears('B', attach(2, 0))],
    ),
    host(
      'table/malformed-elsewhere',
      head('One on a path that is not attached: the session goes on.', 'SE-003~1'),
      [...attachedHost, opens('B'), hears('B', data(0, 'zero')), hears('A', data(2, 'two'))],
    ),
    host('table/behind-close', head('Nothing counts behind a Close.', 'SE-080~1'), [
      ...attachedHost,
      hears('A', closeBody('UNSPECIFIED', true)),
      hears('A', data(2, 'two')),
    ]),
  ];
}

function times(): Vector[] {
  return [
    host('time/attach', head('No Attach in time.', 'SE-006~1', 'clock'), [
      passes(ATTACH_MS_MAX - 1),
      passes(ATTACH_MS_MAX + 1),
    ]),
    host('time/attached', head('An Attach in time.', 'SE-006~1', 'clock'), [
      hears('A', attach(1, 0, true), ATTACH_MS_MAX - 1),
      passes(ATTACH_MS_MAX + 1),
    ]),
    host(
      'time/dead',
      head('Silence: a Ping is due, and then the path is dead. The session is kept.', 'SE-071~1', 'clock'),
      [
        ...attachedHost,
        passes(PING_IDLE_MS - 1),
        passes(PING_IDLE_MS + 1),
        passes(PATH_DEAD_MS - 1),
        passes(PATH_DEAD_MS + 1),
        opens('B', 50_000),
        hears('B', attach(2, 0), 50_000),
      ],
    ),
    client(
      'time/dead',
      head(
        'Silence at a client: it keeps its session, and attaches it to another path.',
        'SE-071~1',
        'clock',
      ),
      [
        ...attachedClient,
        passes(PING_IDLE_MS - 1),
        passes(PING_IDLE_MS + 1),
        passes(PATH_DEAD_MS - 1),
        passes(PATH_DEAD_MS + 1),
        opens('B', 50_000),
        attaches('B', 50_000),
        hears('B', attached(2, 0), 50_000),
      ],
    ),
    client('time/ping', head('A Ping is answered with its id, by a client.', 'SE-072~2'), [
      ...attachedClient,
      hears('A', { case: 'ping', value: { id: 2n ** 53n - 1n } }),
    ]),
    client('time/heard', head('Whatever opens counts as heard.', 'SE-071~1', 'clock'), [
      ...attachedClient,
      passes(PING_IDLE_MS + 1),
      hears('A', { case: 'pong', value: { id: 0n } }, 40_000),
      passes(40_000 + PING_IDLE_MS - 1),
      passes(40_000 + PING_IDLE_MS + 1),
      passes(40_000 + PATH_DEAD_MS + 1),
    ]),
    host('time/ping', head('A Ping is answered with its id.', 'SE-072~2'), [
      ...attachedHost,
      hears('A', { case: 'ping', value: { id: 2n ** 53n - 1n } }),
    ]),
  ];
}

/** Make them. */
export function sessionAttach(): Vector[] {
  return [...hostAttaches(), ...clientAttaches(), ...tables(), ...times()];
}
