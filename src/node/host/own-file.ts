/** The host's own connection file: sealed for everybody who may read it, and read as any of them would. Chapter: spec/03-connection-file.md. */
import { type Opened, type OpenedFile, opener } from '../../discovery/verdict.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { sealFile } from '../../protocol/connection-file.ts';
import { type Fault, fault, isFault } from '../../protocol/fault.ts';
import type { RecordName } from '../../protocol/freshness.ts';
import type { HostIdentity, HostRecord } from '../../protocol/host-record.ts';
import { hostFileKey } from '../../protocol/keys.ts';
import { fileRecipients, type Registry } from '../../protocol/registry.ts';
import { parseStatement, type Trust } from '../../protocol/succession.ts';
import { native } from '../native.ts';

/** Seals and opens the file of one host. */
export class OwnFile {
  readonly #identity: HostIdentity;
  readonly #registry: () => Registry;
  #published: { readonly bytes: Uint8Array; readonly record: RecordName } | undefined;

  /** `registry` gives who may read the file now. */
  constructor(identity: HostIdentity, registry: () => Registry) {
    this.#identity = identity;
    this.#registry = registry;
  }

  /** Seal a record for everybody who may read it. Faults: FILE_TOO_LARGE. */
  seal({ envelope }: HostRecord): Uint8Array | Fault {
    return sealFile(native, { envelope, recipients: this.#recipients() });
  }

  /** Note which file is on its way to the stores, to know it again without opening it. */
  publishes(record: RecordName, bytes: Uint8Array): void {
    this.#published = { bytes, record };
  }

  /** Name the record of a file. Faults: those of `openFile`, for a file that is not the published one. */
  open(bytes: Uint8Array): Opened | Fault {
    if (this.#published !== undefined && native.equal(bytes, this.#published.bytes))
      return this.#published.record;
    return this.openFile(bytes);
  }

  /** Open a file as any of its recipients would. Faults: NOT_A_RECIPIENT; those of `opener`. */
  openFile(bytes: Uint8Array): OpenedFile | Fault {
    const { serverId, publicKey: identity, nextIdentityHash } = this.#identity;
    return this.#openAs(bytes, { serverId, identity, nextIdentityHash });
  }

  /** Whether an identity signed it that this host has replaced: that tells nothing of how old its database is. */
  isSuperseded(bytes: Uint8Array): boolean {
    const { serverId, successions } = this.#identity;
    return successions.some(succession => {
      const identity = parseStatement(succession)?.oldIdentity;
      if (identity === undefined) return false;
      return !isFault(this.#openAs(bytes, { serverId, identity, nextIdentityHash: undefined }));
    });
  }

  #openAs(bytes: Uint8Array, trust: Trust): OpenedFile | Fault {
    for (const fileKey of this.#recipients()) {
      const opened = opener(native, fileKey, trust)(bytes);
      if (!isFault(opened) || opened.code !== ErrorCode.NOT_A_RECIPIENT) return opened;
    }
    return fault('self', ErrorCode.NOT_A_RECIPIENT, 'it is for nobody that this database knows');
  }

  /** File keys of everybody who may read the file; the host's own first, because it reads back most. */
  #recipients(): readonly Uint8Array[] {
    return [hostFileKey(native, this.#identity.seed), ...fileRecipients(this.#registry())];
  }
}
