// A Restore into a running pod, as tables; then with API server, controller and node, all but the processes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore, RestoreStatus } from '../../crds/restore.ts';
import type { Pod } from '../cluster/pod.ts';
import { newTask } from '../node-task/task.ts';
import { agent, containerID, node, NOW, pod, restore, time } from '../testing/builders.ts';
import { agentsOf } from '../cluster/agents.ts';
import { existing } from '../testing/checkpoint-facts.ts';
import { holder } from '../testing/holders.ts';
import { placedStatus, restoreFacts, restoreTask } from '../testing/restore-facts.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideRestore } from './decide.ts';
import type { RestoreFacts } from './facts.ts';

const rewind = (
  podRef: { name: string; uid?: string } = { name: 'redis' },
): Pick<Restore['spec'], 'target'> => ({
  target: { type: 'InPlace', inPlace: { podRef } },
});
const old = { creationTimestamp: time(-60) };
const late = { creationTimestamp: time(-601) };

/** The running pod is on node-a. */
const RUNNING: Partial<RestoreFacts> = {
  restore: restore(rewind()),
  pod: pod(),
  node: node('node-a'),
  holders: [holder('node-a')],
};

function check(base: Partial<RestoreFacts>, cases: readonly StepCase<RestoreFacts>[]): void {
  checkSteps((changes) => decideRestore(restoreFacts({ ...RUNNING, ...base, ...changes })), cases);
}

/** The pod with something else about its only container. */
function podWith(status: object): Pod {
  const running = pod();
  const containerStatuses = running.status?.containerStatuses?.map((c) => ({ ...c, ...status }));
  return {
    ...running,
    status: { ...running.status, ...(containerStatuses && { containerStatuses }) },
  };
}

function otherTask(status?: NodeTask['status']): NodeTask {
  const { spec } = restoreTask();
  if (spec.type !== 'Restore') throw new Error('not a Restore task');
  const owner = { ...spec.owner, name: 'other', uid: 'rst-2' };
  const subject = { ...spec.restore.pod, uid: 'pod-1' };
  const own = { ...spec, owner, restore: { ...spec.restore, pod: subject } };
  return existing(newTask('pod-1', own), status);
}

const inUse = { image: `docker.io/library/redis@sha256:${'ff'.repeat(32)}` };

describe('a Restore into a running pod', () => {
  check({}, [
    { what: 'all is well', facts: {}, step: 'create-task' },
    {
      what: 'its uid is given',
      facts: { restore: restore(rewind({ name: 'redis', uid: 'pod-1' })) },
      step: 'create-task',
    },
    { what: 'no holder', facts: { holders: [] }, step: 'create-holder' },
    {
      what: 'no such pod yet',
      facts: { pod: undefined },
      step: 'wait Pending',
      says: /spec\.target\.inPlace\.podRef\.name: pod "redis"/,
    },
    {
      what: 'no such pod',
      facts: { pod: undefined, restore: restore(rewind(), old) },
      step: 'fail PodNotFound',
      says: /spec\.target\.inPlace\.podRef\.name: pod "redis" does not exist/,
    },
    {
      what: 'another uid',
      facts: { restore: restore(rewind({ name: 'redis', uid: 'pod-0' })) },
      step: 'fail PodChanged',
      says: /podRef\.uid: pod "redis" has uid pod-1/,
    },
    {
      what: 'a pod that is being deleted',
      facts: { pod: pod({}, { deletionTimestamp: time(0) }) },
      step: 'fail PodDeleted',
    },
    {
      what: 'a pod that has ended',
      facts: { pod: { ...pod(), status: { phase: 'Succeeded' } } },
      step: 'fail PodNotRunning',
      says: /podRef\.name/,
    },
    {
      what: 'a pod that starts',
      facts: { pod: { ...pod(), status: { phase: 'Pending' } } },
      step: 'fail PodNotRunning',
    },
    {
      what: 'one process namespace for all',
      facts: { pod: pod({ shareProcessNamespace: true }) },
      step: 'fail PodUnsupported',
    },
    {
      what: 'other containers',
      facts: { pod: pod({ containers: [{ name: 'web' }] }) },
      step: 'fail ContainerNotFound',
      says: /no container main; it has web/,
    },
    {
      what: 'a container that waits',
      facts: { pod: podWith({ state: { waiting: {} } }) },
      step: 'fail ContainerNotRunning',
    },
    {
      what: 'another image',
      facts: { pod: podWith({ imageID: inUse.image }) },
      step: 'fail ImageMismatch',
      says: /spec\.target\.inPlace\.podRef\.name: container main was saved from sha256:d1/,
    },
    {
      what: 'no agent there',
      facts: { agents: agentsOf([agent('node-b')]) },
      step: 'wait AgentUnavailable',
    },
    {
      what: 'another rewind of it',
      facts: { tasks: [otherTask()] },
      step: 'wait Queued',
      says: /Restore other works on the pod/,
    },
    {
      what: 'one that has just ended',
      facts: { tasks: [otherTask({ state: 'Succeeded' })] },
      step: 'wait Queued',
    },
    {
      what: 'cancelled',
      facts: { restore: restore({ ...rewind(), cancel: true }) },
      step: 'fail Canceled',
    },
    { what: 'too late', facts: { restore: restore(rewind(), late) }, step: 'fail TimedOut' },
  ]);

  it('tells the agent that a program runs there', () => {
    const step = decideRestore(restoreFacts(RUNNING));
    assert.ok(step.do === 'create-task' && step.task.spec.type === 'Restore');
    assert.equal(step.task.spec.restore.inPlace, true);
    assert.equal(step.task.spec.restore.pod.uid, 'pod-1');
    assert.equal(step.task.spec.nodeName, 'node-a');
  });
});

const status = placedStatus({ pod: { name: 'redis', uid: 'pod-1', node: 'node-a' } });
const withStatus = (changes: RestoreStatus = {}, spec: Partial<Restore['spec']> = {}): Restore => ({
  ...restore({ ...rewind(), ...spec }),
  status: { ...status, ...changes },
});
const failed = (code: string, retryable = false): NodeTask =>
  restoreTask({ state: 'Failed', error: { code, message: 'so it is', retryable } });

describe('a rewind at work', () => {
  check({ restore: withStatus() }, [
    {
      what: 'running',
      facts: {
        task: restoreTask({
          state: 'Running',
          acceptedBy: { agentPod: 'a', uid: 'u' },
          heartbeatTime: time(0),
        }),
      },
      step: 'progress',
    },
    {
      what: 'its pod is another one',
      facts: { task: restoreTask(), pod: pod({}, { uid: 'pod-9' }) },
      step: 'cancel-task',
    },
    { what: 'done', facts: { task: restoreTask({ state: 'Succeeded' }) }, step: 'store-result' },
    {
      what: 'failed',
      facts: { task: failed('RewindFailed') },
      step: 'fail RewindFailed',
      says: /so it is/,
    },
    {
      what: 'failed for a passing reason: it is not repeated',
      facts: { task: failed('PidTaken', true) },
      step: 'fail PidTaken',
    },
  ]);
});

const ready = [
  {
    type: 'ProcessesRestored',
    status: 'True',
    reason: 'Restored',
    message: '',
    lastTransitionTime: time(0),
  },
] as const;
const done = [
  { type: 'Ready', status: 'True', reason: 'Completed', message: '', lastTransitionTime: time(0) },
  ...ready,
] as const;

/** Of this very container. */
function taskOf(id: string): NodeTask {
  const task = restoreTask({ state: 'Succeeded' });
  const { spec } = task;
  if (spec.type !== 'Restore') throw new Error('not a Restore task');
  const containers = [{ name: 'main', containerID: containerID(id), imageID: '' }];
  return { ...task, spec: { ...spec, restore: { ...spec.restore, containers } } };
}

describe('a rewound pod', () => {
  const unready = { ...pod(), status: { ...pod().status, conditions: [] } };
  check({ restore: withStatus({ conditions: ready }), task: taskOf('a0') }, [
    { what: 'ready', facts: {}, step: 'finish' },
    { what: 'not ready yet', facts: { pod: unready }, step: 'wait WaitingForPodReady' },
    {
      what: 'never ready',
      facts: { pod: unready, nowMillis: NOW + 700_000 },
      step: 'fail PodNotReady',
    },
    {
      what: 'its container was started anew',
      facts: { task: taskOf('b0') },
      step: 'fail PodNotReady',
      says: /container main of pod redis has ended/,
    },
    {
      what: 'not what was saved',
      facts: {
        restore: withStatus({
          conditions: [
            ...ready,
            { ...ready[0], type: 'Verified', status: 'False', reason: 'HookFailed' },
          ],
        }),
      },
      step: 'fail HookFailed',
      says: /left as it is; see the condition Verified/,
    },
    { what: 'gone', facts: { pod: undefined }, step: 'fail PodGone' },
  ]);
  check({ restore: withStatus({ conditions: done }) }, [
    {
      what: 'done: the pod stays, the task goes',
      facts: { task: taskOf('a0') },
      step: 'delete-task',
    },
    { what: 'done: nothing is left to do', facts: {}, step: 'nothing' },
    {
      what: 'deleted: the pod is not ours to delete',
      facts: {
        restore: {
          ...withStatus(),
          metadata: { ...restore().metadata, deletionTimestamp: time(0) },
        },
      },
      step: 'remove-finalizer',
    },
  ]);
});

it('goes from a Checkpoint back into the same pod', async () => {
  await using cluster = await SmallCluster.start();
  cluster.createCheckpoint();
  await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
  const before = cluster.pod('redis')?.metadata.uid;
  cluster.createRestore(rewind());
  await cluster.untilReason(() => cluster.restore(), 'Completed');
  const { pod: subject, conditions } = cluster.restore()?.status ?? {};
  assert.equal(subject?.uid, before);
  assert.deepEqual(
    conditions
      ?.filter((c) => c.status === 'True')
      .map(({ type }) => type)
      .sort(),
    ['Accepted', 'Placed', 'ProcessesRestored', 'Ready'],
  );
  assert.equal(cluster.pod('redis')?.metadata.uid, before);
  assert.equal(cluster.pod('redis-back'), undefined);
});
