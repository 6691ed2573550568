// Schedules on a small cluster in memory: the whole controller, from the object to Checkpoints that come and go.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type {
  CheckpointSchedule,
  CheckpointScheduleSpec,
  CheckpointScheduleStatus,
} from '../../crds/checkpoint-schedule.ts';
import { ANNOTATIONS, LABELS } from '../../crds/names.ts';
import { formatTime } from '../../kube/clock.ts';
import { findCondition } from '../../kube/conditions.ts';
import { until } from '../../kube/testing/until.ts';
import { isFinishedCheckpoint } from '../checkpoint/facts.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { NAMESPACE } from '../testing/builders.ts';
import { failWith, succeed } from '../testing/fake-node.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { schedule } from '../testing/schedule-facts.ts';

const REF = { namespace: NAMESPACE, name: 'hourly' };

/** Far away from now, so that only the test starts runs. */
const NEVER = '0 0 1 1 *';

function create(
  cluster: SmallCluster,
  spec: Partial<CheckpointScheduleSpec>,
  status?: CheckpointScheduleStatus,
  name = 'hourly',
): void {
  const { metadata: _ours, ...rest } = schedule({ schedule: NEVER, ...spec }, status);
  cluster.server.seed(RESOURCE_TYPES.checkpointSchedules, {
    ...rest,
    metadata: { name, namespace: NAMESPACE },
  });
}

function read(cluster: SmallCluster, name = 'hourly'): CheckpointSchedule | undefined {
  return cluster.server.peek(RESOURCE_TYPES.checkpointSchedules, { ...REF, name });
}

function children(cluster: SmallCluster): readonly Checkpoint[] {
  return cluster.server.all<Checkpoint>(RESOURCE_TYPES.checkpoints);
}

async function patch(cluster: SmallCluster, spec: object): Promise<void> {
  await cluster.server
    .client()
    .resource(RESOURCE_TYPES.checkpointSchedules)
    .mergePatch(REF, { spec });
}

async function untilFinished(cluster: SmallCluster, count: number): Promise<void> {
  await until(
    `${count} Checkpoints finished`,
    () => children(cluster).filter(isFinishedCheckpoint).length === count,
    30_000,
  );
}

function ready(cluster: SmallCluster, name = 'hourly') {
  return findCondition(read(cluster, name)?.status?.conditions, 'Ready');
}

/** Minutes around now: a time that was due a moment ago. */
function justDue(): { readonly schedule: string; readonly status: CheckpointScheduleStatus } {
  const since = formatTime(Date.now() - 90_000);
  return { schedule: '* * * * *', status: { cron: { ...EVERY_MINUTE, since } } };
}
const EVERY_MINUTE = { schedule: '* * * * *', timeZone: 'Etc/UTC' };

describe('a schedule on a cluster', () => {
  it('saves its pods when the time has come, and says so', async () => {
    await using cluster = await SmallCluster.start();
    const { schedule: expression, status } = justDue();
    create(cluster, { schedule: expression }, status);
    await untilFinished(cluster, 1);
    const [made] = children(cluster);
    assert.equal(made?.metadata.labels?.[LABELS.trigger], 'Schedule');
    assert.equal(made.spec.source.pod.uid, cluster.pod('redis')?.metadata.uid);
    await until('the success is told', () => read(cluster)?.status?.totals?.checkpoints === 1);
    const told = read(cluster)?.status;
    assert.equal(told?.lastRun?.trigger, 'Schedule');
    assert.ok(Date.parse(told.nextScheduleTime ?? '') > Date.now());
    assert.equal(ready(cluster)?.reason, 'Scheduled');
    await until('an event', () => cluster.events.some(({ reason }) => reason === 'RunStarted'));
  });

  it('keeps as many as its retention says, each token starting one run', async () => {
    await using cluster = await SmallCluster.start();
    create(cluster, { retention: { keepLast: 2 }, triggers: { minIntervalSeconds: 0.001 } });
    for (const token of ['1', '2', '3', '4']) {
      await patch(cluster, { runNow: token });
      await until(`token ${token}`, () => read(cluster)?.status?.lastRunToken === token, 20_000);
      await until(
        'nothing is under way',
        () => children(cluster).every(isFinishedCheckpoint) && read(cluster)?.status?.active === 0,
        20_000,
      );
      // Names have whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await until('two are left', () => children(cluster).length === 2, 20_000);
    const deleted = cluster.nodes[0].seenTasks.filter(({ spec }) => spec.type === 'DeleteBundle');
    assert.equal(deleted.length, 2, 'their bundles are gone, too');
    assert.equal(read(cluster)?.status?.totals?.checkpoints, 2);
  });

  it('saves a pod once, although its controller dies before it can say so', async () => {
    await using cluster = await SmallCluster.start();
    const action = { type: 'status', code: 500 } as const;
    cluster.server.faults.add({ verb: 'apply', plural: 'checkpointschedules', times: 3, action });
    create(cluster, { runNow: 'once' });
    await until(
      'the token is honoured',
      () => read(cluster)?.status?.lastRunToken === 'once',
      20_000,
    );
    assert.equal(children(cluster).length, 1);
  });

  it('saves the pods of a node that is cordoned, once', async () => {
    await using cluster = await SmallCluster.start();
    create(cluster, { triggers: { onNodeDrain: true } });
    await until('the schedule is looked at', () => ready(cluster)?.status === 'True');
    const nodes = cluster.server.client().resource(RESOURCE_TYPES.nodes);
    await nodes.mergePatch({ name: 'node-b' }, { spec: { unschedulable: true } });
    await nodes.mergePatch({ name: 'node-a' }, { spec: { unschedulable: true } });
    await untilFinished(cluster, 1);
    await until('it is told', () => read(cluster)?.status?.drainedNodes?.[0] === 'node-a');
    assert.equal(children(cluster)[0]?.metadata.labels?.[LABELS.trigger], 'NodeDrain');
    await nodes.mergePatch({ name: 'node-a' }, { spec: { unschedulable: null } });
    await until('it is forgotten', () => read(cluster)?.status?.drainedNodes === undefined, 20_000);
    assert.equal(children(cluster).length, 1);
  });

  it('saves a pod whose annotation asks for it', async () => {
    await using cluster = await SmallCluster.start();
    create(cluster, { triggers: { onAnnotation: true } });
    await until('the schedule is looked at', () => ready(cluster)?.status === 'True');
    const annotations = { [ANNOTATIONS.request]: 'before the upgrade' };
    await cluster.server
      .client()
      .resource(RESOURCE_TYPES.pods)
      .mergePatch({ namespace: NAMESPACE, name: 'redis' }, { metadata: { annotations } });
    await untilFinished(cluster, 1);
    assert.equal(children(cluster)[0]?.metadata.labels?.[LABELS.trigger], 'Annotation');
  });

  it('cancels a Checkpoint that is still under way, where it should replace it', async () => {
    await using cluster = await SmallCluster.start();
    const [node] = cluster.nodes;
    node.agent = (task) => (task.spec.cancel === true ? [{ state: 'Canceled' }] : null);
    create(cluster, { concurrencyPolicy: 'Replace', runNow: '1' });
    await until('a task', () => cluster.tasks().length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await patch(cluster, { runNow: '2' });
    await until('the second one', () => children(cluster).length === 2, 20_000);
    await until('the first one is cancelled', () =>
      children(cluster).some(
        ({ status }) => findCondition(status?.conditions, 'Failed')?.reason === 'Canceled',
      ),
    );
    node.agent = succeed;
    await untilFinished(cluster, 2);
  });

  it('goes on after failures, and keeps the last one to look at', async () => {
    await using cluster = await SmallCluster.start();
    cluster.nodes[0].agent = (task) =>
      task.spec.type === 'Dump' ? failWith('StoreFull')(task) : succeed(task);
    create(cluster, { failedHistoryLimit: 1 });
    for (const token of ['1', '2']) {
      await patch(cluster, { runNow: token });
      await until(`token ${token}`, () => read(cluster)?.status?.lastRunToken === token, 20_000);
      await until('none is under way', () => children(cluster).every(isFinishedCheckpoint), 20_000);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await until('one is left', () => children(cluster).length === 1, 20_000);
  });

  it('names the field that cannot be read', async () => {
    await using cluster = await SmallCluster.start();
    create(cluster, { schedule: '61 * * * *' });
    create(cluster, { timeZone: 'Mars/Base' }, undefined, 'martian');
    await until(
      'both are refused',
      () => ready(cluster) !== undefined && ready(cluster, 'martian') !== undefined,
    );
    assert.equal(ready(cluster)?.reason, 'InvalidSchedule');
    assert.match(ready(cluster)?.message ?? '', /^spec\.schedule "61 \* \* \* \*"/);
    assert.equal(ready(cluster, 'martian')?.reason, 'InvalidTimeZone');
    assert.match(ready(cluster, 'martian')?.message ?? '', /^spec\.timeZone "Mars\/Base"/);
    await patch(cluster, { schedule: NEVER });
    await until('corrected', () => ready(cluster)?.reason === 'Scheduled');
  });

  it('leaves pods of an older schedule to that one', async () => {
    await using cluster = await SmallCluster.start();
    create(cluster, {}, undefined, 'older');
    await until('the older one is looked at', () => ready(cluster, 'older') !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    create(cluster, { runNow: 'x' });
    const exclusive = () => findCondition(read(cluster)?.status?.conditions, 'Exclusive');
    await until('the younger one is looked at', () => exclusive() !== undefined);
    assert.equal(exclusive()?.reason, 'PodsShared');
    assert.match(exclusive()?.message ?? '', /CheckpointSchedule older/);
    assert.equal(children(cluster).length, 0);
  });

  it('lets Checkpoints outlive it, and takes them over when it comes back', async () => {
    await using cluster = await SmallCluster.start();
    create(cluster, { runNow: '1' });
    await untilFinished(cluster, 1);
    await cluster.server.client().resource(RESOURCE_TYPES.checkpointSchedules).delete(REF);
    await until('it is gone', () => read(cluster) === undefined);
    create(cluster, {});
    await until('it knows them', () => read(cluster)?.status?.totals?.checkpoints === 1);
  });
});
