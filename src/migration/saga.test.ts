// The whole controller migrates a pod, and at each point of the way something goes wrong. Whatever it is: source or
// target runs, exactly one of them, always.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import { until } from '../../kube/testing/until.ts';
import type { ResourceType } from '../../kube/resource-types.ts';
import { LABELS } from '../../crds/names.ts';
import { isPodReady } from '../cluster/pod.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { NAMESPACE } from '../testing/builders.ts';
import { MigratedApplication, type SagaPoint } from '../testing/migrated-application.ts';
import { reasonOf, SmallCluster } from '../testing/small-cluster.ts';

const AWAY = { namespace: NAMESPACE, name: 'away' };
const POINTS: readonly SagaPoint[] = [
  'preparing',
  'dumping',
  'frozen',
  'restoring',
  'committed',
  'restored',
  'releasing',
];

/** Where Direct is not the same as Cold: later on nothing is sent any more. */
const DIRECT_POINTS: readonly SagaPoint[] = ['preparing', 'dumping', 'frozen', 'restoring'];

type Harm = (cluster: SmallCluster) => Promise<void>;

interface Row {
  readonly what: string;
  readonly does: Harm | 'agent dies';
  readonly points: readonly SagaPoint[];
  /** who runs in the end */
  readonly ends: 'source' | 'target';
}

async function deleteObject(
  cluster: SmallCluster,
  type: ResourceType,
  name: string,
): Promise<void> {
  await cluster.server.client().resource(type).delete({ namespace: NAMESPACE, name });
}

const evictTarget: Harm = async (cluster) => {
  const name = cluster.migration()?.status?.target?.podName ?? '';
  await deleteObject(cluster, RESOURCE_TYPES.pods, name);
};
const cancel: Harm = async ({ server }) => {
  const migrations = server.client().resource(RESOURCE_TYPES.migrations);
  await migrations.mergePatch(AWAY, { spec: { cancel: true } });
};
const restartController: Harm = async (cluster) => {
  await cluster.stopController();
  cluster.startController();
};
const failingServer: Harm = async ({ server }) => {
  for (const plural of ['migrations', 'checkpoints', 'restores']) {
    for (const verb of ['apply', 'create', 'patch', 'get']) {
      server.faults.add({ verb, plural, action: { type: 'status', code: 500 } });
      server.faults.add({ verb, plural, action: { type: 'drop', when: 'after' } });
    }
  }
  await Promise.resolve();
};
const deleteAs =
  (type: ResourceType): Harm =>
  async (cluster) =>
    await deleteObject(cluster, type, 'away');

const ROWS: readonly Row[] = [
  {
    what: 'it is cancelled',
    does: cancel,
    points: POINTS.filter((point) => point !== 'releasing'),
    ends: 'source',
  },
  { what: 'it is cancelled too late', does: cancel, points: ['releasing'], ends: 'target' },
  {
    what: 'the Migration is deleted',
    does: deleteAs(RESOURCE_TYPES.migrations),
    points: ['preparing', 'frozen', 'restored'],
    ends: 'source',
  },
  {
    what: 'the Checkpoint is deleted',
    does: deleteAs(RESOURCE_TYPES.checkpoints),
    points: ['preparing', 'dumping', 'frozen', 'restoring', 'committed', 'restored'],
    ends: 'source',
  },
  {
    what: 'the Restore is deleted',
    does: deleteAs(RESOURCE_TYPES.restores),
    points: ['dumping', 'restoring', 'committed', 'restored'],
    ends: 'source',
  },
  {
    what: 'the new pod is evicted',
    does: evictTarget,
    points: ['dumping', 'restoring', 'committed', 'restored'],
    ends: 'source',
  },
  {
    what: "the source's agent dies",
    does: 'agent dies',
    points: ['dumping', 'frozen'],
    ends: 'source',
  },
  {
    what: "the target's agent dies",
    does: 'agent dies',
    points: ['restoring', 'committed'],
    ends: 'source',
  },
  { what: 'the controller dies', does: restartController, points: POINTS, ends: 'target' },
  { what: 'the API server fails', does: failingServer, points: POINTS, ends: 'target' },
];

async function untilEnded(cluster: SmallCluster): Promise<void> {
  await until(
    'the Migration is over',
    () => {
      const { conditions } = cluster.migration()?.status ?? {};
      return (
        cluster.migration() === undefined ||
        isConditionTrue(conditions, 'Ready') ||
        isConditionTrue(conditions, 'Failed')
      );
    },
    30_000,
  );
}

describe('one of source and target runs', { concurrency: 4 }, () => {
  for (const { what, does, points, ends } of ROWS) {
    const direct = points.filter((at) => DIRECT_POINTS.includes(at));
    const ways = [
      ...points.map((at) => ({ at, strategy: 'Cold' as const })),
      ...direct.map((at) => ({ at, strategy: 'Direct' as const })),
      ...direct.map((at) => ({ at, strategy: 'PreCopy' as const })),
    ];
    for (const { at, strategy } of ways) {
      it(`when ${what} (${strategy}, ${at}): the ${ends}`, async () => {
        await using cluster = await SmallCluster.start();
        const harm = does === 'agent dies' ? does : () => does(cluster);
        const application = new MigratedApplication(cluster, { at, does: harm });
        cluster.createMigration({ strategy });
        if (at === 'preparing') {
          await until('a Checkpoint', () => cluster.checkpoint('away') !== undefined);
          await application.reach('preparing');
        }
        await untilEnded(cluster);
        const story = JSON.stringify([application.history, cluster.migration()?.status]);
        assert.deepEqual(application.violations, [], story);
        assert.deepEqual(application.running, [ends], story);
        assert.equal(application.source, ends === 'source' ? 'running' : 'gone', story);
        await until('no placeholder is left', () => {
          const made = cluster
            .pods()
            .filter(({ metadata }) => metadata.labels?.[LABELS.role] === 'restored');
          return made.length === (ends === 'source' ? 0 : 1);
        });
        // The task of a dead agent stays until it comes back.
        if (does !== 'agent dies') {
          await until('no task is left', () => cluster.tasks().length === 0);
        }
      });
    }
  }
});

describe('a Migration', { concurrency: 4 }, () => {
  it('moves a pod, tells how long it stood still, and leaves nothing behind', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster);
    cluster.createMigration();
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.history, [
      'source frozen, target absent',
      'source frozen, target running',
      'source gone, target running',
    ]);
    const status = cluster.migration()?.status ?? {};
    const { source, target, rounds, downtimeMillis = -1, conditions } = status;
    assert.deepEqual([source?.node, target?.node], ['node-a', 'node-b']);
    assert.ok(downtimeMillis >= 0);
    assert.equal(rounds?.[0]?.bytes, 110_100_480);
    for (const type of [
      'Accepted',
      'TargetReady',
      'Synced',
      'Restored',
      'SourceReleased',
      'Ready',
    ]) {
      assert.ok(isConditionTrue(conditions, type), type);
    }
    assert.equal(findCondition(conditions, 'SourceFrozen')?.reason, 'SourceGone');
    assert.match(target?.podName ?? '', /^redis-[0-9a-f]{5}$/);
    const successor = cluster.pod(target?.podName ?? '');
    assert.ok(successor !== undefined && isPodReady(successor));
    await until('the Checkpoint is gone', () => cluster.checkpoint('away') === undefined);
    await until('no task is left', () => cluster.tasks().length === 0);
    assert.ok(cluster.ended.includes('away'));
  });

  it('freezes nothing before the new pod waits for the processes', async () => {
    await using cluster = await SmallCluster.start();
    const [source, target] = cluster.nodes;
    const application = new MigratedApplication(cluster);
    target.isDown = true;
    cluster.createMigration();
    await cluster.untilReason(() => cluster.checkpoint('away'), 'Prepared');
    await until('the new pod', () => cluster.restore('away')?.status?.pod !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(source.seenTasks, []);
    assert.equal(reasonOf(cluster.migration()), 'StartingTarget');
    target.isDown = false;
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.running, ['target']);
  });

  it('waits for the end of a pod that may run on a node which does not answer', async () => {
    await using cluster = await SmallCluster.start();
    const [, target] = cluster.nodes;
    const application = new MigratedApplication(cluster, { at: 'committed', does: 'agent dies' });
    let isBack = false;
    target.hooks = { ...target.hooks, mayEnd: () => isBack };
    cluster.createMigration();
    await until('committed', () => application.target === 'running', 20_000);
    const conditions = [{ type: 'Ready', status: 'Unknown' }];
    const nodes = cluster.server.client().resource(RESOURCE_TYPES.nodes);
    await nodes.mergePatchStatus({ name: 'node-b' }, { status: { conditions } });
    await cluster.untilReason(() => cluster.migration(), 'TargetUnknown');
    assert.equal(application.source, 'frozen');
    isBack = true;
    await untilEnded(cluster);
    assert.deepEqual(application.violations, []);
    assert.deepEqual(application.running, ['source']);
  });

  it('goes to any node but the one that the pod is on', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster);
    cluster.createMigration({
      target: { any: {} },
      newPodName: 'redis-2',
      checkpointPolicy: 'Retain',
    });
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    const fields =
      cluster.pod('redis-2')?.spec.affinity?.nodeAffinity
        ?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]?.matchFields;
    assert.deepEqual(fields, [{ key: 'metadata.name', operator: 'NotIn', values: ['node-a'] }]);
    assert.deepEqual(application.running, ['target']);
    assert.ok(cluster.checkpoint('away'), 'kept as asked for');
  });

  for (const [what, spec, reason, field] of [
    [
      'an unknown node',
      { target: { nodeName: 'node-x' } },
      'NodeNotFound',
      /spec\.target\.nodeName/,
    ],
    ['the same node', { target: { nodeName: 'node-a' } }, 'SameNode', /spec\.target\.nodeName/],
    ['PostCopy', { strategy: 'PostCopy' }, 'StrategyUnsupported', /spec\.strategy: PostCopy/],
    ['another pod', { podRef: { name: 'redis', uid: 'x' } }, 'PodChanged', /spec\.podRef\.uid/],
  ] as const) {
    it(`to ${what} is refused: ${reason}`, async () => {
      await using cluster = await SmallCluster.start();
      const application = new MigratedApplication(cluster);
      cluster.createMigration(spec);
      await cluster.untilReason(() => cluster.migration(), reason);
      const ready = findCondition(cluster.migration()?.status?.conditions, 'Ready');
      assert.match(ready?.message ?? '', field);
      assert.deepEqual(application.history, []);
      assert.equal(cluster.checkpoint('away'), undefined);
    });
  }

  it('of a pod that is being migrated already is refused', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster);
    cluster.createMigration();
    await until('accepted', () => cluster.migration()?.status?.source !== undefined);
    cluster.createMigration({}, 'away-too');
    await cluster.untilReason(() => cluster.migration('away-too'), 'AlreadyMigrating');
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.running, ['target']);
  });

  it('leaves a Checkpoint of its name to whoever made it', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint({}, 'away');
    await cluster.untilReason(() => cluster.checkpoint('away'), 'Completed');
    const application = new MigratedApplication(cluster);
    cluster.createMigration();
    await cluster.untilReason(() => cluster.migration(), 'NameTaken');
    assert.deepEqual(application.history, []);
    assert.equal(cluster.checkpoint('away')?.metadata.deletionTimestamp, undefined);
  });
});
