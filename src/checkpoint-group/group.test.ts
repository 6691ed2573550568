// The whole controller saves two pods at one moment; whatever goes wrong, none of them stays stopped.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointGroup } from '../../crds/checkpoint-group.ts';
import { API_VERSION } from '../../crds/meta.ts';
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import { until } from '../../kube/testing/until.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { NAMESPACE, pod } from '../testing/builders.ts';
import { type AgentBehaviour, failWith, succeed } from '../testing/fake-node.ts';
import { SmallCluster } from '../testing/small-cluster.ts';

const HOOKS = { pre: [{ exec: { command: ['flush'] } }], post: [{ exec: { command: ['on'] } }] };
const NAME = { namespace: NAMESPACE, name: 'shop' };

/** Who stands still, as the agents tell it. */
class Pods {
  readonly stopped = new Set<string>();
  /** most of them at one time */
  together = 0;
  /** one went on before all had stopped */
  early = false;

  constructor(cluster: SmallCluster) {
    for (const node of cluster.nodes) {
      node.hooks = { told: (task, status) => this.#told(task, status) };
    }
  }

  #told({ spec }: NodeTask, { state, stage }: NodeTaskStatus): void {
    if (spec.type === 'Dump' && stage === 'frozen') {
      this.stopped.add(spec.dump.pod.name);
      this.together = Math.max(this.together, this.stopped.size);
    } else if (spec.type === 'Dump' && (state === 'Failed' || state === 'Canceled')) {
      this.stopped.delete(spec.dump.pod.name);
    } else if (spec.type === 'Thaw') {
      this.early ||= this.together < 2;
      this.stopped.delete(spec.thaw.pod.name);
    }
  }
}

/** Two pods on two nodes, and the group of them. */
async function begin(agents: readonly AgentBehaviour[] = []) {
  const cluster = await SmallCluster.start();
  const source = cluster.pod('redis') ?? pod();
  const { resourceVersion: _v, uid: _u, ...metadata } = source.metadata;
  const other = {
    ...source,
    metadata: { ...metadata, name: 'other' },
    spec: { ...source.spec, nodeName: 'node-b' },
  };
  cluster.server.seed(RESOURCE_TYPES.pods, other);
  cluster.nodes.forEach((node, index) => (node.agent = agents[index] ?? node.agent));
  const pods = new Pods(cluster);
  const group: CheckpointGroup = {
    apiVersion: API_VERSION,
    kind: 'CheckpointGroup',
    metadata: NAME,
    spec: { selector: { matchLabels: { app: 'redis' } }, hooks: HOOKS },
  };
  cluster.server.seed(RESOURCE_TYPES.checkpointGroups, group);
  const read = () => cluster.server.peek<CheckpointGroup>(RESOURCE_TYPES.checkpointGroups, NAME);
  const ends = (type: 'Ready' | 'Failed') =>
    until(`the group is ${type}`, () => isConditionTrue(read()?.status?.conditions, type), 30_000);
  return { cluster, pods, read, ends };
}

describe('a CheckpointGroup', { concurrency: 3 }, () => {
  it('saves all pods as of one moment, and lets them go on', async () => {
    const { cluster, pods, read, ends } = await begin();
    await using _end = cluster;
    await ends('Ready');
    assert.equal(pods.together, 2);
    assert.ok(!pods.early, 'none went on before the last one stood still');
    assert.deepEqual([...pods.stopped], []);
    const { members, timing } = read()?.status ?? {};
    assert.deepEqual(
      members?.map(({ checkpointName }) => checkpointName),
      ['shop-other', 'shop-redis'],
    );
    assert.ok(Date.parse(timing?.releasedAt ?? '') >= Date.parse(timing?.lastFrozenAt ?? ''));
    for (const name of ['shop-other', 'shop-redis']) {
      assert.ok(isConditionTrue(cluster.checkpoint(name)?.status?.conditions, 'Ready'), name);
    }
  });

  it('has its hooks run in all pods: before they are stopped, and once all go on', async () => {
    const { cluster, ends } = await begin();
    await using _end = cluster;
    await ends('Ready');
    const asked = cluster.nodes.flatMap(({ seenTasks }) =>
      seenTasks.map(({ spec }) => {
        const hooks =
          spec.type === 'Dump' ? spec.dump.hooks?.pre : spec.type === 'Thaw' && spec.thaw.post;
        const actions = (hooks || []).map((hook) => ('exec' in hook ? hook.exec.command : []));
        return [spec.type, ...actions.flat()].join(' ');
      }),
    );
    assert.deepEqual(asked, ['Dump flush', 'Thaw on', 'Dump flush', 'Thaw on']);
  });

  it('saves none when one cannot be saved, and all run on', async () => {
    const refusing: AgentBehaviour = (task) =>
      task.spec.type === 'Dump' ? failWith('Unsupported')(task) : succeed(task);
    const { cluster, pods, read, ends } = await begin([succeed, refusing]);
    await using _end = cluster;
    await ends('Failed');
    const failed = findCondition(read()?.status?.conditions, 'Failed');
    assert.equal(failed?.reason, 'MemberFailed');
    assert.match(failed?.message ?? '', /Checkpoint shop-other: Unsupported/);
    assert.deepEqual([...pods.stopped], []);
    await until('no half group is left', () => cluster.checkpoint('shop-redis') === undefined);
    await until('no task is left', () => cluster.tasks().length === 0);
  });

  it('stops none while one is not prepared', async () => {
    const { cluster, pods, ends } = await begin();
    await using _end = cluster;
    const [, second] = cluster.nodes;
    second.isDown = true;
    await cluster.untilReason(() => cluster.checkpoint('shop-redis'), 'Prepared');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(pods.together, 0);
    second.isDown = false;
    await ends('Ready');
    assert.equal(pods.together, 2);
  });

  it('lets all go on when it is cancelled, or its controller dies, while one stands still', async () => {
    for (const harm of ['cancel', 'restart'] as const) {
      let harmed = false;
      const slow: AgentBehaviour = (task) =>
        task.spec.type === 'Dump'
          ? [
              { state: 'Accepted' },
              async () => {
                if (harmed) return;
                harmed = true;
                if (harm === 'cancel') {
                  const groups = cluster.server.client().resource(RESOURCE_TYPES.checkpointGroups);
                  await groups.mergePatch(NAME, { spec: { cancel: true } });
                  await until('told', () => cluster.checkpoint('shop-other')?.spec.cancel === true);
                } else {
                  await cluster.stopController();
                  cluster.startController();
                }
              },
              ...succeed(task),
            ]
          : succeed(task);
      const { cluster, pods, ends } = await begin([succeed, slow]);
      await using _end = cluster;
      await ends(harm === 'cancel' ? 'Failed' : 'Ready');
      assert.ok(harmed);
      assert.deepEqual([...pods.stopped], [], harm);
    }
  });
});
