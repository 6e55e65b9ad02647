/** What people and the operator do to rooms in a simulation. For tests only. */
import { Role } from '../../../gen/clawchat/v1/chat_pb.ts';
import { hex } from '../../../wire/bytes.ts';
import type { Act, ContentExtra } from '../content.ts';
import type { OperatorAct } from '../operator.ts';
import type { Ledger } from './ledger.ts';
import { type Chooser, UNKNOWN_ROOM } from './people.ts';
import { draw, type Random } from './scheduler.ts';

const ROOMS = ['lobby', 'den', 'attic', 'cellar'] as const;
const ROLES = [Role.UNSPECIFIED, Role.OWNER, Role.MEMBER, Role.MEMBER, Role.GUEST, Role.BOT] as const;
/** How long rooms keep their messages. */
const KEPT_MS = [0, 30_000, 90_000] as const;

function pick<T>(random: Random, of: readonly T[]): T | undefined {
  return of[draw(random, of.length)];
}

/** A room that there may be. */
export function someRoom(random: Random): string {
  return pick(random, ROOMS) ?? 'lobby';
}

/** Let somebody do anything to rooms and messages, whether they may or not: the ledger judges what comes of it. */
export function roomActs(me: Uint8Array, all: readonly Uint8Array[], ledger: Ledger): Chooser {
  return (wish, _mine, { random }): ContentExtra => {
    if (wish.room === UNKNOWN_ROOM) return {};
    wish.room = someRoom(random);
    const which = draw(random, 18);
    const act = someAct(which, wish.text, all, random);
    const isMissing = ledger.room(wish.room) === undefined && draw(random, 2) === 0;
    if (isMissing) return { act: { kind: 'create', topic: '', closed: draw(random, 2) === 0 } };
    if (act !== undefined) return { act };
    if (which > 14) return {};
    const mine = which > 12 || draw(random, 2) === 0;
    const fit = [...ledger.messages.values()].filter(
      ({ isOriginal, person }) => isOriginal && (!mine || person === hex(me)),
    );
    // Several at once change what was said last.
    const target = pick(random, fit.slice(-4));
    if (target === undefined) return {};
    wish.room = target.room.name;
    const { cursor } = target;
    return which > 12 ? { edits: cursor } : { act: { kind: 'delete', cursor } };
  };
}

function someAct(which: number, text: string, all: readonly Uint8Array[], random: Random): Act | undefined {
  switch (which) {
    case 0:
      return { kind: 'rename', name: text };
    case 1:
      return { kind: 'create', topic: text, closed: draw(random, 2) === 0 };
    case 2:
      return { kind: 'join' };
    case 3:
      return { kind: 'leave' };
    case 4:
    case 5:
    case 6: {
      const [personId, role] = [pick(random, all), pick(random, ROLES)];
      return personId === undefined || role === undefined ? undefined : { kind: 'grant', personId, role };
    }
    case 7:
      return { kind: 'topic', topic: text };
    case 8:
      return { kind: 'keep', keepMs: pick(random, KEPT_MS) ?? 0 };
    case 9:
      return { kind: 'remove' };
    default:
      return undefined;
  }
}

/** What an operator does now and then. */
export function operatorAct(all: readonly Uint8Array[], random: Random): OperatorAct {
  const personId = pick(random, all);
  const which = draw(random, 3);
  if (which === 0 || personId === undefined) return { kind: 'remove' };
  if (which === 1) return { kind: 'grant', personId, role: Role.OWNER };
  return { kind: 'keep', keepMs: pick(random, KEPT_MS) ?? 0 };
}
