// Whether the claim behind a store can be used (pure).
import type { Reason } from '../../crds/conditions.ts';
import type { PersistentVolumeClaim, StorageClass } from '../cluster/types.ts';

const WRITING_MODES = ['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod'];

export interface ClaimFacts {
  readonly claimName: string;
  readonly claim: PersistentVolumeClaim | undefined;
  /** of the claim, where it has one */
  readonly storageClass: StorageClass | undefined;
}

export interface ClaimVerdict {
  readonly usable: boolean;
  readonly reason: Extract<
    Reason,
    | 'ClaimBound'
    | 'BindsOnFirstUse'
    | 'ClaimNotFound'
    | 'ClaimNotBound'
    | 'ClaimLost'
    | 'ClaimReadOnly'
  >;
  readonly facts: string;
}

export function judgeClaim({ claimName, claim, storageClass }: ClaimFacts): ClaimVerdict {
  const name = `claim "${claimName}"`;
  if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) {
    const facts = claim === undefined ? `${name} does not exist` : `${name} is being deleted`;
    return { usable: false, reason: 'ClaimNotFound', facts };
  }
  const modes = claim.status?.accessModes ?? claim.spec.accessModes ?? [];
  if (!modes.some((mode) => WRITING_MODES.includes(mode))) {
    const facts = `${name} has the access modes ${modes.join(', ') || 'none'}`;
    return { usable: false, reason: 'ClaimReadOnly', facts };
  }
  switch (claim.status?.phase) {
    case 'Bound':
      return { usable: true, reason: 'ClaimBound', facts: `${name} is bound` };
    case 'Lost':
      return { usable: false, reason: 'ClaimLost', facts: `${name} has lost its volume` };
    case undefined:
    default:
      return storageClass?.volumeBindingMode === 'WaitForFirstConsumer'
        ? { usable: true, reason: 'BindsOnFirstUse', facts: `${name} binds when it is used first` }
        : { usable: false, reason: 'ClaimNotBound', facts: `${name} is not bound yet` };
  }
}
