// Facts about a Migration on its way, to be bent by tests.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { Condition } from '../../crds/meta.ts';
import type { Migration, MigrationStatus } from '../../crds/migration.ts';
import type { Restore } from '../../crds/restore.ts';
import { agentsOf } from '../cluster/agents.ts';
import type { Pod } from '../cluster/pod.ts';
import type { MigrationFacts } from '../migration/facts.ts';
import { madeCheckpoint, madeRestore } from '../migration/made-objects.ts';
import { agent, migration, node, NOW, pod, time } from './builders.ts';

export function condition(
  type: string,
  status: Condition['status'] = 'True',
  reason = 'Pending',
): Condition {
  return { type, status, reason, message: 'as before', lastTransitionTime: time(-1) };
}

export function acceptedMigration(
  status: MigrationStatus = {},
  changes: Partial<Migration> = {},
): Migration {
  const { conditions = [], ...rest } = status;
  return {
    ...migration(
      {},
      {
        source: { podUID: 'pod-1', node: 'node-a' },
        target: { podName: 'redis-ab12c' },
        checkpointName: 'away',
        restoreName: 'away',
        timing: { startTime: time(-5) },
        ...rest,
        conditions: [condition('Accepted'), ...conditions],
      },
    ),
    ...changes,
  };
}

/** The Checkpoint of the Migration, with these conditions. */
export function itsCheckpoint(
  conditions: readonly Condition[],
  spec: Partial<Checkpoint['spec']> = { suspend: false },
  metadata: Partial<Checkpoint['metadata']> = {},
): Checkpoint {
  const made = madeCheckpoint(acceptedMigration(), pod());
  return {
    ...made,
    metadata: { ...made.metadata, uid: 'chk-1', ...metadata },
    spec: { ...made.spec, ...spec },
    status: { conditions },
  };
}

export function itsRestore(
  conditions: readonly Condition[],
  spec: Partial<Restore['spec']> = {},
  metadata: Partial<Restore['metadata']> = {},
): Restore {
  const made = madeRestore(acceptedMigration(), pod(), node());
  return {
    ...made,
    metadata: { ...made.metadata, uid: 'rst-1', ...metadata },
    spec: { ...made.spec, ...spec },
    status: { conditions, pod: { name: 'redis-ab12c', uid: 'pod-2', node: 'node-b' } },
  };
}

export function itsNewPod(metadata: Partial<Pod['metadata']> = {}, phase = 'Running'): Pod {
  const made = pod({ nodeName: 'node-b' }, { name: 'redis-ab12c', uid: 'pod-2', ...metadata });
  return { ...made, status: { ...made.status, phase } };
}

export function migrationFacts(changes: Partial<MigrationFacts> = {}): MigrationFacts {
  return {
    nowMillis: NOW,
    migration: migration(),
    pod: pod(),
    sourceNode: node(),
    targetNode: node('node-b'),
    checkpoint: undefined,
    restore: undefined,
    newPod: undefined,
    newNode: node('node-b'),
    mounts: [],
    nodes: [],
    agents: agentsOf([agent('node-a'), agent('node-b')]),
    adoptionInstalled: true,
    updating: false,
    rivals: [],
    ...changes,
  };
}
