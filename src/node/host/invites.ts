/** Making, listing and withdrawing invites, as an operator asks for it. Chapter: spec/08-devices.md, 8.1. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ControlInviteRequest, ControlOpenInviteSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import { encodeBundle, inviteText } from '../../protocol/invite.ts';
import { inviteEndsAtMs, memberId, type RegisteredInvite } from '../../protocol/registry.ts';
import type { ResponseInit } from '../control.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';
import type { HostCore, HostInvite } from './core.ts';
import { personName } from './rooms.ts';
import { databaseOld } from './survey.ts';

const EMPTY = new Uint8Array(0);

/**
 * Make an invite that its receiver can use; what cannot be handed out does not stay. @impl CF-025~1, IN-009~1
 *
 * @throws ClawChatError `USAGE`, `STORE_UNAVAILABLE`, `FILE_TOO_LARGE`, `DATABASE_OLD`
 */
export async function invite(
  core: HostCore,
  isServing: boolean,
  { name, lifeMs, bundle }: ControlInviteRequest,
): Promise<ResponseInit> {
  if (bundle && core.record === undefined) {
    throw failure(ErrorCode.USAGE, 'there is no connection file yet: start the host once, then use --file');
  }
  const made = await core.invite(name, Number(lifeMs), bundle);
  let file: Uint8Array;
  try {
    file = handOut(core, bundle, made.published);
  } catch (error) {
    await core.withdraw(made.id);
    throw error;
  }
  return {
    case: 'invite',
    value: {
      invite: inviteText(native, made.invite),
      inviteId: Buffer.from(made.id, 'hex'),
      bundle: bundle ? encodeBundle(made.invite, file) : EMPTY,
      expiresAtMs: BigInt(made.expiresAtMs),
      published: made.published,
      warnings: warnings(core, isServing, bundle, made),
    },
  };
}

/** The file that goes with an invite, if any is asked for. @throws ClawChatError when the invite would be of no use */
function handOut(core: HostCore, isBundled: boolean, published: boolean): Uint8Array {
  if (core.publisher.state.isOld) throw databaseOld('a store is ahead');
  if (!isBundled) {
    if (core.record === undefined || published) return EMPTY;
    const text =
      'the connection file could not be published, so the invite would not work, and was withdrawn; try again, or use --file';
    throw failure(ErrorCode.STORE_UNAVAILABLE, text);
  }
  const file = core.seal();
  if (isFault(file)) throw new ClawChatError(file);
  return file;
}

function warnings(
  core: HostCore,
  isServing: boolean,
  isBundled: boolean,
  { published }: HostInvite & { readonly published: boolean },
): string[] {
  const texts: string[] = [];
  if (core.record === undefined) texts.push('The invite works once the host has been started.');
  else if (!isServing) texts.push('No host runs here now: nobody can join before it is started.');
  if (isBundled && !published) texts.push('The connection file could not be published to the stores.');
  if (!core.stores.some(({ remote }) => remote)) {
    texts.push(
      isBundled
        ? 'On another machine: whoever is away for longer than an hour finds this host again only through a store that both reach (docs/stores.md).'
        : 'For somebody on another machine add --file, or give the host a store that both reach (docs/stores.md).',
    );
  }
  return texts;
}

/** List the invites that are open or claimed, the oldest first. */
export function listInvites(core: HostCore): ResponseInit {
  const all = [...core.driver.server.registry.invites.values()];
  const place = ({ madeAtMs, id }: RegisteredInvite): string => `${String(madeAtMs).padStart(16, '0')}${id}`;
  const invites = all
    .sort((a, b) => (place(a) < place(b) ? -1 : 1))
    .map((one): MessageInitShape<typeof ControlOpenInviteSchema> => {
      const person = core.chat.people.invitedBy(one.id) ?? '';
      return {
        inviteId: Buffer.from(one.id, 'hex'),
        name: one.name,
        personId: Buffer.from(person, 'hex'),
        personName: person === '' ? '' : personName(core, person),
        madeAtMs: BigInt(one.madeAtMs),
        endsAtMs: BigInt(one.claim === undefined ? one.expiresAtMs : inviteEndsAtMs(one)),
        bundled: one.isBundled,
        claimedBy:
          one.claim === undefined ? EMPTY : Buffer.from(memberId(native, one.claim.deviceKey), 'hex'),
      };
    });
  return { case: 'invites', value: { invites } };
}

/** End an invite before its time. */
export async function withdraw(core: HostCore, id: string): Promise<ResponseInit> {
  return { case: 'withdrawn', value: { existed: await core.withdraw(id) } };
}
