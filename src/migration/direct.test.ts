// Strategy Direct: no store is asked for, both agents get to know each other before anything is frozen, nothing stays.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LABELS } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { findCondition } from '../../kube/conditions.ts';
import { until } from '../../kube/testing/until.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { migration, NAMESPACE, pod } from '../testing/builders.ts';
import type { FakeNode } from '../testing/fake-node.ts';
import { MigratedApplication } from '../testing/migrated-application.ts';
import { migrationFacts } from '../testing/migration-facts.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { firstObjection } from './checks.ts';

/** The target's agent reports a failure of what it was to receive; all else goes its way. */
function failsToReceive(node: FakeNode, code: string): void {
  const { agent } = node;
  node.agent = (task) =>
    task.spec.type === 'Receive'
      ? [{ state: 'Failed', error: { code, message: 'as the test says', retryable: false } }]
      : agent(task);
}

function payload<Type extends NodeTask['spec']['type']>(node: FakeNode, type: Type) {
  const task = node.seenTasks.find(({ spec }) => spec.type === type);
  assert.ok(task, `a ${type} task`);
  return task.spec as Extract<NodeTask['spec'], { readonly type: Type }>;
}

describe('strategy Direct', { concurrency: 2 }, () => {
  it('moves a pod without any store', async () => {
    await using cluster = await SmallCluster.start();
    const [source, target] = cluster.nodes;
    const stores = cluster.server.client().resource(RESOURCE_TYPES.checkpointStores);
    for (const { metadata } of (await stores.list({ namespace: NAMESPACE })).items) {
      await stores.delete(metadata);
    }
    const application = new MigratedApplication(cluster);
    cluster.createMigration({ strategy: 'Direct', bandwidth: '10Mi' });
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.history, [
      'source frozen, target absent',
      'source frozen, target running',
      'source gone, target running',
    ]);
    const { dump } = payload(source, 'Dump');
    assert.equal(dump.store, undefined);
    assert.equal(dump.transfer?.bandwidthBytes, 10 << 20);
    assert.equal(dump.transfer.address, '10.0.0.2');
    assert.equal(dump.afterDump, 'KeepFrozen');
    const { restore } = payload(target, 'Restore');
    assert.equal(restore.store, undefined);
    assert.ok(restore.received?.taskUid);
    assert.equal(
      application.sender,
      `sha256:${'ab'.repeat(32)}`,
      'the target knows whom to let in',
    );
    const holders = cluster
      .pods()
      .filter(({ metadata }) => metadata.labels?.[LABELS.role] === 'holder');
    assert.deepEqual(holders, []);
    await until('no task is left', () => cluster.tasks().length === 0);
    await until('the Checkpoint is gone', () => cluster.checkpoint('away') === undefined);
  });

  for (const code of ['NodeSpaceFull', 'AgentRestarted', 'TransferFailed']) {
    it(`${code} on the target is told as such, and the source runs on`, async () => {
      await using cluster = await SmallCluster.start();
      const application = new MigratedApplication(cluster);
      failsToReceive(cluster.nodes[1], code);
      cluster.createMigration({ strategy: 'Direct' });
      await cluster.untilReason(() => cluster.migration(), code);
      assert.deepEqual(application.running, ['source']);
      assert.deepEqual(application.violations, []);
      await until('no task is left', () => cluster.tasks().length === 0);
    });
  }

  it('waits, with the source untouched, for an agent that does not listen', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster);
    const [source, target] = cluster.nodes;
    const { agent } = target;
    target.agent = (task) => (task.spec.type === 'Receive' ? [{ state: 'Running' }] : agent(task));
    cluster.createMigration({ strategy: 'Direct' });
    const waiting = (): string =>
      findCondition(cluster.migration()?.status?.conditions, 'Ready')?.message ?? '';
    await until('it waits', () => waiting().includes('getting ready to receive'));
    assert.deepEqual(source.seenTasks, []);
    assert.deepEqual(application.history, []);
  });

  it('is refused where the new pod comes only after the source', () => {
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'set-1', controller: true },
    ];
    const facts = migrationFacts({
      migration: migration({ strategy: 'Direct' }),
      pod: pod({}, { ownerReferences }),
    });
    const objection = firstObjection(facts);
    assert.ok(objection && !('do' in objection));
    assert.equal(objection.reason, 'StrategyUnsupported');
    assert.match(objection.facts, /spec\.strategy: Direct: the new pod of a StatefulSet/);
  });

  it('another Restore of what was streamed is refused', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster, {
      at: 'frozen',
      does: () => cluster.createRestore({ checkpointRef: { name: 'away' } }),
    });
    cluster.createMigration({ strategy: 'Direct' });
    await cluster.untilReason(() => cluster.restore(), 'CheckpointHasNoBundle');
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.running, ['target']);
  });
});
