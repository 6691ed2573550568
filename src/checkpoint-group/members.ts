// Which pods a group has, and the Checkpoints that save them (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import {
  type CheckpointGroup,
  GROUP_DEFAULTS,
  type GroupMember,
} from '../../crds/checkpoint-group.ts';
import { API_VERSION } from '../../crds/meta.ts';
import type { Pod } from '../cluster/pod.ts';
import { ownerReference } from './facts.ts';

const MAX_NAME = 253;
const UID_CHARACTERS = 8;

export function memberOf({ metadata }: CheckpointGroup, pod: Pod): GroupMember {
  const { name: podName, uid: podUID = '' } = pod.metadata;
  const whole = `${metadata.name}-${podName}`;
  const suffix = `-${podUID.slice(0, UID_CHARACTERS)}`;
  const checkpointName =
    whole.length <= MAX_NAME ? whole : `${whole.slice(0, MAX_NAME - suffix.length)}${suffix}`;
  return { podName, podUID, checkpointName };
}

/** Prepared but not stopped until the group says so, and stopped until it says so. */
export function madeCheckpoint(group: CheckpointGroup, member: GroupMember): Checkpoint {
  const { metadata, spec } = group;
  const { timeoutSeconds = GROUP_DEFAULTS.timeoutSeconds, maxFreezeSeconds } = spec.limits ?? {};
  return {
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: {
      name: member.checkpointName,
      namespace: metadata.namespace ?? '',
      ownerReferences: [ownerReference(group)],
    },
    spec: {
      source: { pod: { name: member.podName, uid: member.podUID } },
      ...(spec.storeRef && { storeRef: spec.storeRef }),
      afterDump: 'Stop',
      suspend: true,
      ...(spec.hooks && { hooks: spec.hooks }),
      limits: { timeoutSeconds, ...(maxFreezeSeconds !== undefined && { maxFreezeSeconds }) },
    },
  };
}
