// Claims on volumes that some nodes can mount and others cannot.
import type { Node } from '../cluster/types.ts';
import type { MountedClaim } from '../cluster/volume-reach.ts';
import { claim, node } from './builders.ts';

const LABEL = 'kubernetes.io/hostname';

export function labelledNode(name: string): Node {
  const made = node(name);
  return { ...made, metadata: { ...made.metadata, labels: { [LABEL]: name } } };
}

/** A claim bound to a volume of these nodes. */
export function localClaim(...names: readonly string[]): MountedClaim {
  const requirement = { key: LABEL, operator: 'In', values: names };
  const required = { nodeSelectorTerms: [{ matchExpressions: [requirement] }] };
  return {
    claim: claim({ spec: { accessModes: ['ReadWriteOnce'], volumeName: 'pv-1' } }),
    volume: {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'pv-1' },
      spec: { nodeAffinity: { required } },
    },
  };
}
