// Migrations that are accepted: the shortest, and together those with every field there is.
import { API_VERSION } from '../meta.ts';
import type { Migration } from '../migration.ts';
import { type Body, condition, TIME } from './samples.ts';

export const shortMigration: Migration = {
  apiVersion: API_VERSION,
  kind: 'Migration',
  metadata: { name: 'away' },
  spec: { podRef: { name: 'redis' }, target: { nodeName: 'node-b' } },
};

const migrationBody: Omit<Body<Migration>, 'spec'> & {
  readonly spec: Omit<Body<Migration>['spec'], 'target' | 'strategy' | 'storeRef' | 'bandwidth'>;
} = {
  spec: {
    podRef: { name: 'redis', uid: 'u-1' },
    newPodName: 'redis-b',
    limits: { completionTimeoutSeconds: 600, maxDowntimeSeconds: 30 },
    emptyDirContent: 'Refuse',
    onFailure: 'ResumeSource',
    checkpointPolicy: 'Delete',
    cancel: false,
  },
  status: {
    observedGeneration: 1,
    phase: 'Ready',
    conditions: [condition],
    source: { podUID: 'u-1', node: 'node-a', ownerKind: 'ReplicaSet', ownerName: 'redis-5f' },
    target: { podName: 'redis-b', podUID: 'u-2', node: 'node-b' },
    checkpointName: 'away',
    restoreName: 'away',
    progress: { stage: 'sending', bytesDone: 1, bytesTotal: 2 },
    rounds: [{ number: 1, bytes: 105000000, dirtyBytes: 0, millis: 800 }],
    timing: { startTime: TIME, completionTime: TIME, frozenAt: TIME, restoredAt: TIME },
    downtimeMillis: 950,
    downtime: '950ms',
    failure: { reason: 'Canceled', message: 'cancelled' },
  },
};
/** One for each way to name a target, and for each strategy there is. */
export const completeMigrations: readonly Migration[] = [
  { target: { nodeName: 'node-b' }, strategy: 'Cold', storeRef: { name: 'default' } } as const,
  { target: { nodeSelector: { disk: 'ssd' } }, strategy: 'Direct', bandwidth: '100Mi' } as const,
  { target: { any: {} }, strategy: 'PreCopy', bandwidth: 1_000_000 } as const,
].map((way) => ({ ...shortMigration, ...migrationBody, spec: { ...migrationBody.spec, ...way } }));
