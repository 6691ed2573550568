// What follows while the placeholder starts and the agent rebuilds the processes, as tables.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore, RestoreStatus } from '../../crds/restore.ts';
import { agentsOf } from '../cluster/agents.ts';
import type { Pod } from '../cluster/pod.ts';
import { agent, NOW, restore, time } from '../testing/builders.ts';
import { startingHolder } from '../testing/holders.ts';
import {
  placedStatus,
  placeholder,
  restoreFacts,
  restoreTask,
  storedCheckpoint,
} from '../testing/restore-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideRestore } from './decide.ts';
import type { RestoreFacts } from './facts.ts';
import { restoreStatus } from './status.ts';

function check(base: Partial<RestoreFacts>, cases: readonly StepCase<RestoreFacts>[]): void {
  checkSteps((changes) => decideRestore(restoreFacts({ ...base, ...changes })), cases);
}

function restoreWith(status: RestoreStatus, metadata: Partial<Restore['metadata']> = {}): Restore {
  return { ...restore({}, metadata), status };
}

const late = { creationTimestamp: time(-601) };

describe('a Restore whose placeholder starts', () => {
  const unscheduled = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message: 'no room',
  } as const;
  const starting = placeholder({ containerStatuses: [] });
  const waiting = (reason: string) =>
    placeholder({
      containerStatuses: [{ name: 'main', state: { waiting: { reason, message: 'why' } } }],
    });
  const { nodeName: _none, ...unbound } = placeholder().spec;
  const pending: Pod = {
    ...placeholder(),
    spec: unbound,
    status: { phase: 'Pending', conditions: [unscheduled] },
  };
  const image = placeholder({
    containerStatuses: [
      {
        ...placeholder().status?.containerStatuses?.[0],
        name: 'main',
        imageID: `x@sha256:${'d2'.repeat(32)}`,
      },
    ],
  });
  check({ pod: placeholder() }, [
    { what: 'its containers run', facts: {}, step: 'create-task' },
    {
      what: 'no node takes it',
      facts: { pod: pending },
      step: 'wait Unschedulable',
      says: /no room/,
    },
    { what: 'starting', facts: { pod: starting }, step: 'wait StartingPlaceholder' },
    { what: 'starting, no holder', facts: { pod: starting, holders: [] }, step: 'create-holder' },
    {
      what: 'running, holder starting',
      facts: { holders: [startingHolder('node-b')] },
      step: 'wait PreparingStore',
    },
    {
      what: 'no image',
      facts: { pod: waiting('ErrImagePull') },
      step: 'wait ImageUnavailable',
      says: /why/,
    },
    {
      what: 'a bad configuration',
      facts: { pod: waiting('CreateContainerConfigError') },
      step: 'wait StartingPlaceholder',
      says: /why/,
    },
    { what: 'another image', facts: { pod: image }, step: 'fail ImageMismatch' },
    {
      what: 'it ended',
      facts: { pod: placeholder({ phase: 'Failed', message: 'OutOfcpu' }) },
      step: 'fail PlaceholderFailed',
      says: /OutOfcpu/,
    },
    {
      what: 'it is being deleted',
      facts: { pod: placeholder({}, { deletionTimestamp: time(0) }) },
      step: 'fail PodGone',
    },
    {
      what: 'the agent went away',
      facts: { agents: agentsOf([agent('node-b', false)]) },
      step: 'wait AgentUnavailable',
    },
    {
      what: 'it is of the last attempt',
      facts: { restore: restoreWith({ ...placedStatus(), attempts: 2 }) },
      step: 'delete-placeholder',
    },
    {
      what: 'its task is of the last attempt',
      facts: {
        restore: restoreWith({ ...placedStatus(), attempts: 2 }),
        task: restoreTask({ state: 'Failed' }),
      },
      step: 'delete-task',
    },
    {
      what: 'it is of the last attempt and ends',
      facts: {
        restore: restoreWith({ ...placedStatus(), attempts: 2 }),
        pod: placeholder({}, { deletionTimestamp: time(0) }),
      },
      step: 'wait Retrying',
    },
    {
      what: 'the task vanished',
      facts: {
        restore: restoreWith(
          placedStatus({ progress: { stage: 'x', bytesDone: 0, bytesTotal: 0 } }),
        ),
      },
      step: 'fail TaskLost',
    },
  ]);

  it('asks the agent for exactly the bundle of the Checkpoint', () => {
    const step = decideRestore(restoreFacts({ pod: placeholder() }));
    assert.ok(step.do === 'create-task' && step.task.spec.type === 'Restore');
    assert.equal(step.task.metadata.name, 'restore-pod-b');
    const { restore: payload } = step.task.spec;
    assert.equal(payload.bundleDigest, storedCheckpoint().status?.bundle?.digest);
    assert.equal(payload.store?.bundlePath, 'shop/redis-1-chk-1');
    assert.deepEqual(payload.pod, { namespace: 'shop', name: 'redis-back', uid: 'pod-b' });
    assert.deepEqual(
      payload.containers.map(({ name }) => name),
      ['main'],
    );
  });
});

describe('a Restore with its task', () => {
  const failed = (code: string, retryable = false) =>
    restoreTask({ state: 'Failed', error: { code, message: 'why', retryable } });
  const spent = restoreWith(placedStatus({ attempts: 3 }));
  const lateOne = restoreWith(placedStatus(), late);
  const cancelled: Restore = { ...restore({ cancel: true }), status: placedStatus() };
  const committed = { state: 'Running', committed: true } as const;
  const told = (task: NodeTask): NodeTask => ({ ...task, spec: { ...task.spec, cancel: true } });
  const placed = { pod: placeholder(), restore: restoreWith(placedStatus()) };
  const third = placeholder(
    {},
    { labels: { ...placeholder().metadata.labels, 'diapause.dev/attempt': '3' } },
  );
  check(placed, [
    { what: 'not taken yet', facts: { task: restoreTask() }, step: 'progress' },
    {
      what: 'not taken, no agent',
      facts: { task: restoreTask(), agents: [] },
      step: 'wait AgentUnavailable',
    },
    {
      what: 'not taken in time',
      facts: { task: restoreTask(), restore: lateOne },
      step: 'cancel-task',
    },
    {
      what: 'not taken in time, and called back',
      facts: { task: told(restoreTask()), restore: lateOne },
      step: 'fail TimedOut',
    },
    { what: 'at work', facts: { task: restoreTask({ state: 'Running' }) }, step: 'progress' },
    {
      what: 'no heartbeat',
      facts: { task: restoreTask({ state: 'Running', heartbeatTime: time(-61) }) },
      step: 'cancel-task',
    },
    {
      what: 'no heartbeat, and called back',
      facts: { task: told(restoreTask({ state: 'Running', heartbeatTime: time(-61) })) },
      step: 'fail AgentLost',
    },
    {
      what: 'much too late, and called back',
      facts: {
        task: told(restoreTask({ state: 'Running' })),
        restore: lateOne,
        nowMillis: NOW + 30_001,
      },
      step: 'fail TimedOut',
    },
    {
      what: 'cancelled',
      facts: { task: restoreTask({ state: 'Running' }), restore: cancelled },
      step: 'cancel-task',
    },
    {
      what: 'cancelled, and called back in time',
      facts: { task: told(restoreTask({ state: 'Running' })), restore: cancelled },
      step: 'fail Canceled',
    },
    {
      what: 'cancelled too late',
      facts: { task: told(restoreTask(committed)), restore: cancelled },
      step: 'progress',
    },
    {
      what: 'cancelled, and then a passing failure',
      facts: { task: failed('PidTaken', true), restore: cancelled },
      step: 'fail PidTaken',
    },
    {
      what: 'the pod vanished',
      facts: { task: restoreTask({ state: 'Running' }), pod: undefined },
      step: 'cancel-task',
    },
    { what: 'done', facts: { task: restoreTask({ state: 'Succeeded' }) }, step: 'store-result' },
    { what: 'damaged', facts: { task: failed('BundleCorrupt') }, step: 'fail BundleCorrupt' },
    {
      what: 'a CPU feature is missing',
      facts: { task: failed('CpuFeatureMissing') },
      step: 'fail CpuFeatureMissing',
    },
    { what: 'a passing reason', facts: { task: failed('PidTaken', true) }, step: 'retry' },
    {
      what: 'thrice a passing reason',
      facts: { task: failed('PidTaken', true), restore: spent, pod: third },
      step: 'fail PidTaken',
    },
    { what: 'stopped', facts: { task: restoreTask({ state: 'Canceled' }) }, step: 'fail Canceled' },
  ]);

  it('that is lost says whether processes may run', () => {
    for (const status of [{ state: 'Running' } as const, committed]) {
      const task = told(restoreTask({ ...status, heartbeatTime: time(-61) }));
      const step = decideRestore(restoreFacts({ ...placed, task }));
      assert.equal(step.do === 'fail' && step.committed, status === committed);
      const { conditions } = restoreStatus(placed.restore, step, undefined, NOW);
      const restored = conditions?.find(({ type }) => type === 'ProcessesRestored');
      assert.equal(restored?.status, status === committed ? 'Unknown' : 'False');
    }
  });
});
