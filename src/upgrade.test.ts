// A controller of today that finds objects of yesterday: they stay what they are, and can be used.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../kube/testing/until.ts';
import { RESOURCE_TYPES } from './cluster/types.ts';
import { NAMESPACE } from './testing/builders.ts';
import { failWith } from './testing/fake-node.ts';
import { reasonOf, SmallCluster } from './testing/small-cluster.ts';

const REF = { namespace: NAMESPACE, name: 'redis-1' };

/** What the first version did not write yet, and what a later one that was rolled back left behind. */
const OF_ANOTHER_VERSION = {
  attempts: null,
  parent: null,
  timing: { freeze: null, startTime: null },
  report: null,
  observedGeneration: null,
  writtenByALaterVersion: { any: 'thing' },
};

async function age(cluster: SmallCluster): Promise<void> {
  const checkpoints = cluster.server.client().resource(RESOURCE_TYPES.checkpoints);
  await checkpoints.mergePatchStatus(REF, { status: OF_ANOTHER_VERSION });
}

/** The controller has looked at everything when it answers for something new. */
async function hasLooked(cluster: SmallCluster): Promise<void> {
  cluster.createCheckpoint({ source: { pod: { name: 'nobody' } } }, 'something-new');
  await cluster.untilReason(() => cluster.checkpoint('something-new'), 'PodNotFound');
}

describe('objects of another version', () => {
  it('a finished Checkpoint stays finished, and can still be restored', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    await until('the task is gone', () => cluster.tasks().length === 0);
    await cluster.stopController();
    await age(cluster);
    const { status: before } = cluster.checkpoint() ?? {};
    const dumps = cluster.nodes[0].seenTasks.length;
    const told = cluster.events.length;

    cluster.startController();
    await hasLooked(cluster);
    const { status } = cluster.checkpoint() ?? {};
    assert.deepEqual(status?.bundle, before?.bundle);
    assert.deepEqual(status?.conditions, before?.conditions);
    assert.equal(cluster.nodes[0].seenTasks.length, dumps, 'nothing is saved again');
    assert.ok(
      cluster.events.slice(told).every(({ regarding }) => regarding.name !== REF.name),
      'nothing is told again',
    );
    cluster.createRestore();
    await cluster.untilReason(() => cluster.restore(), 'Completed');
  });

  it('a failed one stays failed, and is deleted as ever', async () => {
    await using cluster = await SmallCluster.start();
    cluster.nodes[0].agent = failWith('StoreFull', 'no space left on device');
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'StoreFull');
    await until('the task is gone', () => cluster.tasks().length === 0);
    await cluster.stopController();
    await age(cluster);
    cluster.startController();
    await hasLooked(cluster);
    assert.equal(reasonOf(cluster.checkpoint()), 'StoreFull');
    await cluster.server.client().resource(RESOURCE_TYPES.checkpoints).delete(REF);
    await until('it is gone', () => cluster.checkpoint() === undefined, 30_000);
  });
});
