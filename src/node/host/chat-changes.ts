/** What the chat service keeps of invites and devices, as these come and go. Chapter: spec/11-chat.md. */
import { memberId, type Registry, type RegistryChange } from '../../protocol/registry.ts';
import type { ChatHost, Forgotten } from '../../services/chat/host.ts';
import { native } from '../native.ts';

/** What the chat service writes with a change, and tells once that is durable. */
export type ChatChange = Pick<Forgotten, 'operations'> & Partial<Forgotten>;

/** Prepare what a change means to the chat; what comes back is called in the tick of the change's commit. */
export async function chatChange(
  chat: ChatHost,
  registry: Registry,
  change: RegistryChange,
): Promise<() => ChatChange> {
  const { people } = chat;
  switch (change.kind) {
    case 'deleteDevice': {
      const forget = await chat.revoke(Buffer.from(change.id, 'hex'));
      return () => forget(Date.now());
    }
    case 'deleteInvite':
      return () => ({ operations: people.inviteGone(change.id) });
    case 'putInvite': {
      const { id, claim } = change.invite;
      if (claim === undefined) return () => ({ operations: [] });
      const device = memberId(native, claim.deviceKey);
      const name = registry.devices.get(device)?.name ?? '';
      return () => ({ operations: people.claimed(id, device, name) });
    }
    case 'putDevice':
      return () => ({ operations: [] });
  }
}
