// What agents are asked of their nodes, and which nodes are too young for a saved pod.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClockStarts, NodeTask } from '../../crds/node-task.ts';
import { until } from '../../kube/testing/until.ts';
import { type Agent, agentsOf } from '../cluster/agents.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { newTask } from '../node-task/task.ts';
import {
  agent,
  checkpoint,
  containerID,
  NAMESPACE,
  NOW,
  pod,
  storedStatus,
  time,
} from '../testing/builders.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { earlierClock, latestStarts, nodesWithEarlierClock } from './clocks.ts';
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
  const result = { clocks: startedAgo(100) };
  return { ...made, metadata, ...(state && { status: { state, result } }) };
}

/** Both clocks of a node that was started so long ago. */
function startedAgo(seconds: number): ClockStarts {
  return { monotonic: time(-seconds), boottime: time(-seconds) };
}

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
  const clocksWith = (task: NodeTask): ClockStarts | undefined =>
    agentsOf([agent('node-a', true, SELF)], [task])[0]?.clocks;

  it('knows the clocks that an agent has told', () => {
    assert.deepEqual(clocksWith(question('Succeeded')), startedAgo(100));
  });

  it('forgets them with the container', () => {
    assert.equal(clocksWith(question('Succeeded', containerID('bb'))), undefined);
    assert.equal(clocksWith(question()), undefined);
  });
});

describe('the clock of a node', () => {
  const agents: readonly Agent[] = (
    [
      ['source', 3_600],
      ['older', 7_200],
      ['alike', 3_597],
      ['younger', 3_000],
      ['silent', undefined],
    ] as const
  ).map(([nodeName, seconds]) => ({
    ...{ nodeName, podName: nodeName, ready: true, initImage: 'init' },
    ...(seconds !== undefined && { clocks: startedAgo(seconds) }),
  }));
  const saved = storedStatus(pod());
  const subject = (nanos: number, boottime = 0) =>
    checkpoint(
      {},
      {
        ...saved,
        requirements: { monotonicNanos: String(nanos), boottimeNanos: String(boottime) },
      },
    );

  for (const [what, from, expected] of [
    ['saved at 3600 s', subject(3600e9), ['younger']],
    ['saved with such a boot clock', subject(0, 3600e9), ['younger']],
    ['saved early', subject(60e9), []],
    ['of unknown needs', checkpoint({}, { ...saved, requirements: { arch: 'x86_64' } }), []],
  ] as const) {
    it(`${what}: ${expected.join() || 'no node'} is too young`, () => {
      assert.deepEqual(nodesWithEarlierClock(latestStarts(from, agents, NOW), agents), expected);
    });
  }

  it('is measured against that of the source while nothing is saved', () => {
    const source = { ...saved.source, node: 'source' } as NonNullable<typeof saved.source>;
    const { requirements: _none, ...status } = { ...saved, source };
    const latest = latestStarts(checkpoint({}, status), agents, NOW);
    assert.deepEqual(nodesWithEarlierClock(latest, agents), ['younger']);
    const [, , , younger] = agents;
    assert.ok(younger);
    assert.match(earlierClock(latest, younger) ?? '', /^monotonic clock is 600 s earlier/);
  });
});

describe('a Restore that leaves the node to the scheduler', () => {
  it('does not get the node that was started too late', async () => {
    await using cluster = await SmallCluster.start();
    const [a, b] = cluster.nodes;
    const ago = (seconds: number): ClockStarts => {
      const start = new Date(Date.now() - seconds * 1000).toISOString();
      return { monotonic: start, boottime: start };
    };
    [a.clocks, b.clocks] = [ago(60), ago(7_200)];
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
    const patch = { status: { requirements: { monotonicNanos: String(3600e9) } } };
    const ref = { namespace: NAMESPACE, name: 'redis-1' };
    await cluster.server.client().resource(RESOURCE_TYPES.checkpoints).mergePatchStatus(ref, patch);
    cluster.createRestore({ target: { newPod: {} } });
    await cluster.untilReason(() => cluster.restore(), 'Completed');
    assert.equal(cluster.pod('redis-back')?.spec.nodeName, 'node-b');
    const affinity = cluster.pod('redis-back')?.spec.affinity?.nodeAffinity;
    assert.deepEqual(affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms, [
      { matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['node-a'] }] },
    ]);
    const gone = { namespace: 'diapause-system', name: 'diapause-agent-node-a' };
    await pods.delete(gone, { gracePeriodSeconds: 0 });
    await until('what a gone agent told is forgotten', () => cluster.tasks().length === 1);
  });
});
