// What agents are asked of their nodes, and what comes of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClockStarts, NodeTask } from '../../crds/node-task.ts';
import { until } from '../../kube/testing/until.ts';
import { type Agent, agentsOf } from '../cluster/agents.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { newTask } from '../node-task/task.ts';
import { startedAgo } from '../testing/agents.ts';
import { agent, containerID, NAMESPACE, NOW, time } from '../testing/builders.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { decideAgent, RENEW_MILLIS } from './decide.ts';

const SELF = containerID('aa');

function question(state?: 'Succeeded', asked = SELF, createdSecondsAgo = 1): NodeTask {
  const made = newTask('agent-node-a', {
    nodeName: 'node-a',
    owner: { kind: 'Pod', namespace: 'diapause-system', name: 'diapause-agent-node-a', uid: 'x' },
    deadline: time(600),
    type: 'Describe',
    describe: { containerID: asked },
  });
  const metadata = { ...made.metadata, creationTimestamp: time(-createdSecondsAgo) };
  return { ...made, metadata, ...(state && { status: { state, result: TOLD } }) };
}

const TOLD = { clocks: startedAgo(100), cpuFeatures: ['avx2'] };

describe('decideAgent', () => {
  const ready = agent('node-a', true, SELF);
  for (const [what, subject, task, step] of [
    ['new', ready, undefined, 'ask'],
    ['not ready', agent('node-a', false, SELF), undefined, 'nothing'],
    ['whose container is not known yet', agent('node-a'), undefined, 'nothing'],
    ['asked', ready, question(), 'nothing'],
    ['that has told', ready, question('Succeeded'), 'nothing'],
    [
      'that has told before its node was booted again',
      ready,
      question('Succeeded', containerID('bb')),
      'forget',
    ],
    [
      'that has told long ago',
      ready,
      question('Succeeded', SELF, RENEW_MILLIS / 1000 + 1),
      'forget',
    ],
  ] as const) {
    it(`an agent ${what}: ${step}`, () => {
      assert.equal(decideAgent({ nowMillis: NOW, pod: subject, task }).do, step);
    });
  }

  it('asks that very container', () => {
    const step = decideAgent({ nowMillis: NOW, pod: ready, task: undefined });
    assert.ok(step.do === 'ask' && step.task.spec.type === 'Describe');
    assert.equal(step.task.spec.describe.containerID, SELF);
    assert.equal(step.task.metadata.name, 'describe-agent-node-a');
  });
});

describe('agentsOf', () => {
  const toldBy = (task: NodeTask): Partial<Agent> => {
    const [known] = agentsOf([agent('node-a', true, SELF)], [task]);
    return {
      ...(known?.clocks && { clocks: known.clocks }),
      ...(known?.cpuFeatures && { cpuFeatures: known.cpuFeatures }),
    };
  };

  it('knows what an agent has told', () => {
    assert.deepEqual(toldBy(question('Succeeded')), TOLD);
  });

  it('forgets it with the container', () => {
    assert.deepEqual(toldBy(question('Succeeded', containerID('bb'))), {});
    assert.deepEqual(toldBy(question()), {});
  });
});

describe('a Restore that leaves the node to the scheduler', () => {
  const ago = (seconds: number): ClockStarts => {
    const start = new Date(Date.now() - seconds * 1000).toISOString();
    return { monotonic: start, boottime: start };
  };

  for (const [what, ofA, ofB, requirements] of [
    [
      'was started too late',
      { clocks: ago(60) },
      { clocks: ago(7_200) },
      { monotonicNanos: String(3600e9) },
    ],
    [
      'has not all that its processes may use',
      { cpuFeatures: ['avx2'] },
      { cpuFeatures: ['avx2', 'avx512f'] },
      { cpuFeatures: ['avx512f'] },
    ],
  ] as const) {
    it(`does not get the node that ${what}`, async () => {
      await using cluster = await SmallCluster.start();
      const [a, b] = cluster.nodes;
      [a.told, b.told] = [ofA, ofB];
      const pods = cluster.server.client().resource(RESOURCE_TYPES.pods);
      for (const [index, name] of ['diapause-agent-node-a', 'diapause-agent-node-b'].entries()) {
        const containerStatuses = [{ name: 'agent', containerID: containerID(`a${index}`) }];
        const ref = { namespace: 'diapause-system', name };
        await pods.mergePatchStatus(ref, { status: { containerStatuses } });
      }
      const told = ({ status }: NodeTask): boolean => status?.state === 'Succeeded';
      await until('both have told', () => cluster.tasks().filter(told).length === 2);
      cluster.createCheckpoint();
      await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
      const patch = { status: { requirements } };
      const ref = { namespace: NAMESPACE, name: 'redis-1' };
      await cluster.server
        .client()
        .resource(RESOURCE_TYPES.checkpoints)
        .mergePatchStatus(ref, patch);
      cluster.createRestore({ target: { newPod: {} } });
      await cluster.untilReason(() => cluster.restore(), 'Completed');
      assert.equal(cluster.pod('redis-back')?.spec.nodeName, 'node-b');
      const affinity = cluster.pod('redis-back')?.spec.affinity?.nodeAffinity;
      assert.deepEqual(
        affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms,
        [{ matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['node-a'] }] }],
      );
      const gone = { namespace: 'diapause-system', name: 'diapause-agent-node-a' };
      await pods.delete(gone, { gracePeriodSeconds: 0 });
      await until('what a gone agent told is forgotten', () => cluster.tasks().length === 1);
    });
  }
});
