// The whole controller against a small cluster in memory: what a user does, and what is left in the cluster.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conditionStatus, isConditionTrue } from '../kube/conditions.ts';
import { until } from '../kube/testing/until.ts';
import { RESOURCE_TYPES } from './cluster/types.ts';
import { NAMESPACE } from './testing/builders.ts';
import { failWith, succeed } from './testing/fake-node.ts';
import { reasonOf, SmallCluster } from './testing/small-cluster.ts';

const CHECKPOINT = { namespace: NAMESPACE, name: 'redis-1' };

describe('a Checkpoint', () => {
  it('becomes ready, tells what it did, and leaves no task', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    await until('the task is gone', () => cluster.tasks().length === 0);
    const { status } = cluster.checkpoint() ?? {};
    assert.equal(status?.phase, 'Ready');
    assert.equal(status?.bundle?.size, '105Mi');
    assert.equal(status?.bundle?.path, `shop/redis-1-${cluster.checkpoint()?.metadata.uid}`);
    assert.equal(status?.timing?.freeze, '12.5ms');
    assert.equal(status?.progress, undefined);
    assert.deepEqual(status?.podTemplate?.metadata.labels, { app: 'redis' });
    for (const type of ['Accepted', 'Captured', 'Stored', 'Ready']) {
      assert.ok(isConditionTrue(status?.conditions, type), type);
    }
    assert.deepEqual(cluster.ended, ['redis-1']);
    const told = cluster.events.filter(({ regarding }) => regarding.kind === 'Checkpoint');
    const reasons = told.map(({ reason }) => reason);
    assert.deepEqual(reasons.at(-1), 'Completed');
    assert.equal(new Set(reasons).size, reasons.length, 'each transition once');
    assert.ok(cluster.events.some(({ regarding }) => regarding.kind === 'Pod'));
  });

  it('that only rehearses tells size, freeze and nodes, and stores nothing', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint({ mode: 'DryRun' });
    await cluster.untilReason(() => cluster.checkpoint(), 'DryRunPassed');
    const { status } = cluster.checkpoint() ?? {};
    assert.equal(status?.bundle, undefined);
    assert.equal(status?.estimate?.size, '1Mi');
    assert.equal(status.estimate.freeze, '12.5ms');
    assert.deepEqual(
      status.estimate.nodes.map(({ name, suitable }) => [name, suitable]),
      [
        ['node-a', 'Yes'],
        ['node-b', 'Yes'],
      ],
    );
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    assert.match(ready?.message ?? '', /about 1Mi, a freeze of about 12\.5ms, 2 of 2 nodes/);
  });

  it('that fails says why, and the source is let alone', async () => {
    await using cluster = await SmallCluster.start();
    cluster.nodes[0].agent = failWith('StoreFull', 'no space left on device');
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'StoreFull');
    await until('the task is gone', () => cluster.tasks().length === 0);
    assert.ok(isConditionTrue(cluster.checkpoint()?.status?.conditions, 'Failed'));
    assert.ok(cluster.pod('redis'));
  });

  it('is tried again when the reason passes', async () => {
    await using cluster = await SmallCluster.start();
    let failures = 0;
    cluster.nodes[0].agent = (task) =>
      ++failures < 3 ? failWith('HolderLost', 'gone', true)(task) : succeed(task);
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    assert.equal(cluster.checkpoint()?.status?.attempts, 3);
    assert.equal(cluster.nodes[0].seenTasks.length, 3);
  });

  it('waits while another one works on the pod', async () => {
    await using cluster = await SmallCluster.start();
    cluster.nodes[0].agent = () => null;
    cluster.createCheckpoint();
    await until('a task', () => cluster.tasks().length === 1);
    cluster.createCheckpoint({}, 'redis-2');
    await cluster.untilReason(() => cluster.checkpoint('redis-2'), 'Queued');
    const [task] = cluster.tasks();
    assert.ok(task);
    const client = cluster.server.client();
    await client
      .resource(RESOURCE_TYPES.nodeTasks)
      .mergePatchStatus(task.metadata, { status: succeed(task).at(-1) });
    cluster.nodes[0].agent = succeed;
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    await cluster.untilReason(() => cluster.checkpoint('redis-2'), 'Completed');
  });

  it('goes on where a controller that died left it', async () => {
    await using cluster = await SmallCluster.start();
    cluster.nodes[0].agent = () => null;
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Dumping');
    await cluster.stopController();
    const [task] = cluster.tasks();
    assert.ok(task);
    await cluster.server
      .client()
      .resource(RESOURCE_TYPES.nodeTasks)
      .mergePatchStatus(task.metadata, { status: succeed(task).at(-1) });
    cluster.startController();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
  });

  it('survives an API server that fails in the middle', async () => {
    await using cluster = await SmallCluster.start();
    const failing = { action: { type: 'status', code: 500 } } as const;
    const dropping = { action: { type: 'drop', when: 'after' } } as const;
    cluster.server.faults.add({ verb: 'apply', plural: 'checkpoints', times: 2, ...failing });
    cluster.server.faults.add({ verb: 'create', plural: 'nodetasks', ...dropping });
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    assert.equal(cluster.nodes[0].seenTasks.length, 1, 'saved once');
  });

  it('takes its bundle along when it is deleted', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    await cluster.server.client().resource(RESOURCE_TYPES.checkpoints).delete(CHECKPOINT);
    await until('the Checkpoint is gone', () => cluster.checkpoint() === undefined);
    const types = cluster.nodes[0].seenTasks.map(({ spec }) => spec.type);
    assert.deepEqual(types, ['Dump', 'DeleteBundle']);
    await until('no task is left', () => cluster.tasks().length === 0);
  });

  it('with Stop keeps the source frozen until told otherwise', async () => {
    await using cluster = await SmallCluster.start();
    const message = 'spec.hooks.post[0]: as the test says';
    const note = { severity: 'note', code: 'HookFailed', container: '', pid: 0, message } as const;
    cluster.nodes[0].agent = (task) =>
      task.spec.type === 'Thaw'
        ? [{ state: 'Succeeded', result: { report: [note] } }]
        : succeed(task);
    const hooks = {
      pre: [{ exec: { command: ['pause'] } }],
      post: [{ exec: { command: ['on'] } }],
    };
    cluster.createCheckpoint({ afterDump: 'Stop', hooks });
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    const frozen = () => conditionStatus(cluster.checkpoint()?.status?.conditions, 'SourceFrozen');
    assert.equal(frozen(), 'True');
    const patch = { spec: { afterDump: 'Resume' } };
    await cluster.server
      .client()
      .resource(RESOURCE_TYPES.checkpoints)
      .mergePatch(CHECKPOINT, patch);
    await until('the source runs', () => frozen() === 'False');
    const spec = cluster.nodes[0].seenTasks.at(-1)?.spec;
    assert.ok(spec?.type === 'Thaw');
    const [hook] = spec.thaw.post ?? [];
    assert.ok(hook !== undefined && 'exec' in hook);
    assert.deepEqual([hook.exec.container.name, hook.exec.command], ['main', ['on']]);
    assert.equal(reasonOf(cluster.checkpoint()), 'Completed');
    assert.deepEqual(cluster.checkpoint()?.status?.report, [note]);
  });

  it('with DeletePod deletes the source once the bundle is stored, and no other pod', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint({ afterDump: 'DeletePod' });
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    await until('the source is gone', () => cluster.pod('redis') === undefined);
    const deletion = cluster.server.requests.find((r) => r.verb === 'delete' && r.name === 'redis');
    const body = deletion?.body as { preconditions?: { uid?: string } } | undefined;
    assert.equal(body?.preconditions?.uid, cluster.checkpoint()?.status?.source?.podUID);
  });

  it('that fails with Stop lets the source go', async () => {
    await using cluster = await SmallCluster.start();
    const [node] = cluster.nodes;
    node.agent = (task) =>
      task.spec.type === 'Dump' ? failWith('StoreFull')(task) : succeed(task);
    cluster.createCheckpoint({
      afterDump: 'Stop',
      hooks: { post: [{ exec: { command: ['on'] } }] },
    });
    await until('the source is let go', () => {
      const conditions = cluster.checkpoint()?.status?.conditions;
      return conditionStatus(conditions, 'SourceFrozen') === 'False';
    });
    assert.deepEqual(
      node.seenTasks.map(({ spec }) => spec.type),
      ['Dump', 'Thaw'],
    );
    const thaw = node.seenTasks.at(-1)?.spec;
    // The agent whose dump failed has run them.
    assert.ok(thaw?.type === 'Thaw' && thaw.thaw.post === undefined);
    assert.equal(reasonOf(cluster.checkpoint()), 'StoreFull');
  });
});

describe('a Restore', () => {
  it('waits for its Checkpoint and brings the pod up on the node asked for', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createRestore({ target: { newPod: { name: 'redis-b', nodeName: 'node-b' } } });
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.restore(), 'Completed');
    const restored = cluster.pod('redis-b');
    assert.equal(restored?.spec.nodeName, 'node-b');
    assert.ok(isConditionTrue(cluster.restore()?.status?.conditions, 'ProcessesRestored'));
    assert.ok(restored?.status?.conditions?.some((c) => c.type === 'diapause.dev/restored'));
    assert.equal(cluster.restore()?.status?.pod?.node, 'node-b');
    await until('no task is left', () => cluster.tasks().length === 0);
  });

  it('of a damaged bundle fails and leaves no pod', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    cluster.nodes[1].agent = failWith('BundleCorrupt', 'pages-1.img: digest differs');
    cluster.createRestore({ target: { newPod: { nodeName: 'node-b' } } });
    await cluster.untilReason(() => cluster.restore(), 'BundleCorrupt');
    await until('the placeholder is gone', () => cluster.pod('redis-back') === undefined);
  });

  it('is tried again in a new pod when the reason passes', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    let failures = 0;
    cluster.nodes[1].agent = (task) =>
      ++failures < 2 ? failWith('PidTaken', 'pid 7', true)(task) : succeed(task);
    cluster.createRestore({ target: { newPod: { nodeName: 'node-b' } } });
    await cluster.untilReason(() => cluster.restore(), 'Completed');
    const pods = cluster.nodes[1].seenTasks.map(({ metadata }) => metadata.name);
    assert.equal(new Set(pods).size, 2);
  });

  it('whose pod the API server refuses says so', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    const refusing = { type: 'status', code: 403 } as const;
    cluster.server.faults.add({ verb: 'create', plural: 'pods', times: 9, action: refusing });
    cluster.createRestore();
    await cluster.untilReason(() => cluster.restore(), 'PodRejected');
  });

  it('waits for an API server that does not know its policies yet', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    const message =
      'policy "p" denied request: failed to configure policy: failed to find resource';
    const action = { type: 'status', code: 422, message } as const;
    cluster.server.faults.add({ verb: 'create', plural: 'pods', times: 2, action });
    cluster.createRestore();
    await cluster.untilReason(() => cluster.restore(), 'Completed');
  });

  it('onto a name that is taken leaves that pod alone', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    cluster.createRestore({ target: { newPod: { name: 'redis' } } });
    await cluster.untilReason(() => cluster.restore(), 'PodNameTaken');
    assert.equal(cluster.pod('redis')?.metadata.deletionTimestamp, undefined);
  });
});
