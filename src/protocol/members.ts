/** A host's invites and devices while it runs: decisions, the commits they wait for, and the gate (spec/08-devices.md). */
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { fault, isFault } from '../wire/fault.ts';
import { UsageError } from '../wire/usage-error.ts';
import type { AccessKey } from './connection-record.ts';
import {
  activate,
  type Decision,
  type EnrolRequest,
  enrol,
  expire,
  type InviteTerms,
  makeInvite,
  type RegistryOutput,
  revoke,
  seen,
  withdraw,
} from './enrolment.ts';
import { Gate } from './gate.ts';
import type { Now } from './now.ts';
import {
  applyToGate,
  gateRecipients,
  type Registry,
  type RegistryChange,
  registryDeadline,
} from './registry.ts';
import type { ServerOutput } from './server-io.ts';

/** What a decision makes the server do. */
export type Effect =
  | { readonly kind: 'output'; readonly output: ServerOutput }
  /** The rest comes with the commit that was just put out. */
  | { readonly kind: 'waits' }
  /** The path that waited for its commit may go on. */
  | { readonly kind: 'entered'; readonly path: number }
  | { readonly kind: 'registry'; readonly output: RegistryOutput; readonly path: number | undefined };

interface Pending {
  readonly id: number;
  readonly changes: readonly RegistryChange[];
  readonly effects: readonly Effect[];
}

/** That a device was seen is stored at most this often. A choice of this program. */
const SEEN_MS = 3_600_000;

/** Who may come. Decisions count at once; what they tell anybody waits until they are durable. */
export class Members {
  readonly gate: Gate;
  /** As decided so far. */
  registry: Registry;
  /** When `expire` has something to do: Unix milliseconds, infinite for never. */
  expiresAtMs: number;
  private readonly suite: Suite;
  private readonly pending: Pending[] = [];
  private commits = 0;

  constructor(suite: Suite, registry: Registry, accessKeys: readonly AccessKey[]) {
    this.suite = suite;
    this.registry = registry;
    this.gate = new Gate(suite);
    for (const key of accessKeys) this.gate.addEpoch(key);
    for (const recipient of gateRecipients(registry)) this.gate.addRecipient(recipient);
    this.expiresAtMs = registryDeadline(registry) ?? Number.POSITIVE_INFINITY;
  }

  /** Whether an invite or a device exists, as decided so far. */
  knows(id: string): boolean {
    return this.registry.devices.has(id) || this.registry.invites.has(id);
  }

  /** Answer an Enrol. */
  enrol(request: EnrolRequest, path: number, now: Now): readonly Effect[] {
    return this.run(enrol(this.suite, this.registry, request, now.wall), path, []);
  }

  /** Note a device's valid message 3. It waits if that activates the device. @impl EN-009~1 */
  authenticated(id: string, path: number, now: Now): readonly Effect[] {
    const activation = activate(this.registry, id, now.wall);
    if (activation[1].length > 0) return this.run(activation, path, [{ kind: 'entered', path }]);
    const lastSeenAtMs = this.registry.devices.get(id)?.lastSeenAtMs ?? 0;
    if (now.wall - lastSeenAtMs < SEEN_MS) return [];
    return this.run(seen(this.registry, id, now.wall), path, []).filter(({ kind }) => kind === 'output');
  }

  /** Make an invite. Declined as `makeInvite` of enrolment.ts. */
  makeInvite(ref: number, terms: InviteTerms, now: Now): readonly Effect[] {
    const made = makeInvite(this.suite, this.registry, terms, now.wall);
    if (isFault(made)) return [{ kind: 'output', output: { kind: 'declined', ref, fault: made } }];
    const { id, invite, expiresAtMs } = made;
    const output: ServerOutput = { kind: 'made', ref, id, invite, expiresAtMs };
    return this.run([made.registry, made.outputs], undefined, [{ kind: 'output', output }]);
  }

  /** Void an invite. @impl IN-008~1 */
  withdraw(ref: number, invite: string): readonly Effect[] {
    return this.asked(ref, withdraw(this.registry, invite));
  }

  /** @impl EN-031~1 */
  revoke(ref: number, device: string): readonly Effect[] {
    return this.asked(ref, revoke(this.registry, device));
  }

  /** End what has had its time. `connected` are ids with a path. */
  expire(connected: ReadonlySet<string>, now: Now): readonly Effect[] {
    const effects = this.run(expire(this.registry, now.wall, connected), undefined, []);
    // A device that is long past its time and connected is looked at again later.
    if (effects.length === 0) this.expiresAtMs = now.wall + SEEN_MS;
    return effects;
  }

  /** A commit is durable: the gate learns of it, and what waited for it is done. */
  committed(id: number): readonly Effect[] {
    const first = this.pending.shift();
    if (first?.id !== id) throw new UsageError(`commit ${id} is durable out of its order`);
    applyToGate(this.gate, first.changes);
    return first.effects;
  }

  private asked(ref: number, decision: Decision): readonly Effect[] {
    if (decision[1].length > 0) {
      return this.run(decision, undefined, [{ kind: 'output', output: { kind: 'done', ref } }]);
    }
    const unknown = fault('self', ErrorCode.DEVICE_UNKNOWN, 'there is no such device or invite');
    return [{ kind: 'output', output: { kind: 'declined', ref, fault: unknown } }];
  }

  /** Take over a decision: its commit goes out now, and all behind it when that is durable. */
  private run(
    [registry, outputs]: Decision,
    path: number | undefined,
    after: readonly Effect[],
  ): readonly Effect[] {
    if (registry !== this.registry) {
      this.registry = registry;
      this.expiresAtMs = registryDeadline(registry) ?? Number.POSITIVE_INFINITY;
    }
    const [first, ...rest] = outputs;
    const isCommit = first?.kind === 'commit';
    const then = isCommit ? rest : outputs;
    const effects = [...then.map((output): Effect => ({ kind: 'registry', output, path })), ...after];
    if (!isCommit) return effects;
    this.commits += 1;
    const { changes } = first;
    this.pending.push({ id: this.commits, changes, effects });
    return [{ kind: 'output', output: { kind: 'persist', id: this.commits, changes } }, { kind: 'waits' }];
  }
}
