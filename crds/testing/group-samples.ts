// CheckpointGroups that are accepted: the shortest, and one with every field there is.
import type { CheckpointGroup } from '../checkpoint-group.ts';
import { API_VERSION } from '../meta.ts';
import { type Body, condition, execHook, httpHook, TIME } from './samples.ts';

export const shortGroup: CheckpointGroup = {
  apiVersion: API_VERSION,
  kind: 'CheckpointGroup',
  metadata: { name: 'shop' },
  spec: { selector: { matchLabels: { tier: 'shop' } } },
};

const groupBody: Body<CheckpointGroup> = {
  spec: {
    selector: {
      matchLabels: { tier: 'shop' },
      matchExpressions: [{ key: 'app', operator: 'In', values: ['front', 'back'] }],
    },
    storeRef: { name: 'default' },
    limits: { timeoutSeconds: 300, maxFreezeSeconds: 5 },
    hooks: { pre: [execHook, httpHook], post: [execHook, httpHook] },
    cancel: false,
  },
  status: {
    observedGeneration: 1,
    phase: 'Ready',
    conditions: [condition],
    members: [{ podName: 'front', podUID: 'u-1', checkpointName: 'shop-front' }],
    timing: {
      startTime: TIME,
      completionTime: TIME,
      firstFrozenAt: TIME,
      lastFrozenAt: TIME,
      releasedAt: TIME,
    },
    failure: { reason: 'MemberFailed', message: 'Checkpoint shop-front: Unsupported' },
  },
};
export const completeGroup: CheckpointGroup = { ...shortGroup, ...groupBody };
