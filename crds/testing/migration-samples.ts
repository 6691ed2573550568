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
  readonly spec: Omit<Body<Migration>['spec'], 'target'>;
} = {
  spec: {
    podRef: { name: 'redis', uid: 'u-1' },
    newPodName: 'redis-b',
    strategy: 'Cold',
    storeRef: { name: 'default' },
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
    rounds: [{ number: 1, bytes: 105000000, dirtyBytes: 0, millis: 800 }],
    timing: { startTime: TIME, completionTime: TIME, frozenAt: TIME, restoredAt: TIME },
    downtimeMillis: 950,
    downtime: '950ms',
    failure: { reason: 'Canceled', message: 'cancelled' },
  },
};
/** One for each way to name a target. */
export const completeMigrations: readonly Migration[] = [
  { nodeName: 'node-b' },
  { nodeSelector: { disk: 'ssd' } },
  { any: {} },
].map((target) => ({
  ...shortMigration,
  ...migrationBody,
  spec: { ...migrationBody.spec, target },
}));
