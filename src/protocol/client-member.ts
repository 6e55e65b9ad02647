/** What a client is to its host, decided and durable (spec/08-devices.md, 8.2). */
import type { Suite } from '../crypto/suite.ts';
import { UsageError } from '../wire/usage-error.ts';
import { type JoinInput, type JoinOutput, type Member, stepJoin } from './join.ts';

interface Pending {
  readonly id: number;
  readonly member: Member;
  readonly after: readonly JoinOutput[];
}

/** A commit to be made now, or what is to be done now. */
export type MemberEffect =
  | { readonly kind: 'persist'; readonly id: number; readonly member: Member }
  | JoinOutput;

/** The member of one data directory. What follows a commit waits for it. */
export class ClientMember {
  /** What is on the disk: only this is dialled with. @impl CF-034~1, EN-008~1 */
  durable: Member | undefined;
  private readonly suite: Suite;
  private decided: Member | undefined;
  private readonly pending: Pending[] = [];
  private commits = 0;

  constructor(suite: Suite, member: Member | undefined) {
    this.suite = suite;
    this.decided = member;
    this.durable = member;
  }

  /** Take one input; gives what to do now. */
  step(input: JoinInput, wallMs: number): readonly MemberEffect[] {
    const [member, outputs] = stepJoin(this.suite, this.decided, input, wallMs);
    this.decided = member;
    const effects: MemberEffect[] = [];
    for (const [i, output] of outputs.entries()) {
      if (output.kind !== 'commit') {
        effects.push(output);
        continue;
      }
      this.commits += 1;
      this.pending.push({ id: this.commits, member: output.member, after: outputs.slice(i + 1) });
      effects.push({ kind: 'persist', id: this.commits, member: output.member });
      break;
    }
    return effects;
  }

  /** A commit is durable; gives what waited for it. */
  committed(id: number): readonly JoinOutput[] {
    const first = this.pending.shift();
    if (first?.id !== id) throw new UsageError(`commit ${id} is durable out of its order`);
    this.durable = first.member;
    return first.after;
  }
}
