// What follows from what the agent reports about a Dump, as tables.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findCondition } from '../../kube/conditions.ts';
import { checkpoint, node, NOW, pod, time } from '../testing/builders.ts';
import { acceptedStatus, checkpointFacts, dump } from '../testing/checkpoint-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideCheckpoint } from './decide.ts';
import type { CheckpointFacts } from './facts.ts';
import { checkpointStatus } from './status.ts';

const late = checkpoint({}, acceptedStatus(), { creationTimestamp: time(-301) });
const cancelled = checkpoint({ cancel: true }, acceptedStatus());

function check(cases: readonly StepCase<CheckpointFacts>[]): void {
  checkSteps((changes) => decideCheckpoint(checkpointFacts(changes)), cases);
}

describe('a Checkpoint with its task', () => {
  const failed = (code: string, retryable = false) =>
    dump({ state: 'Failed', error: { code, message: 'why', retryable } });
  const thrice = checkpoint({}, acceptedStatus({ attempts: 3 }));
  const ofAttempt3 = dump(
    { state: 'Failed', error: { code: 'HolderLost', message: 'why', retryable: true } },
    thrice,
  );
  const refusal = {
    severity: 'refusal',
    code: 'IoUring',
    container: 'main',
    pid: 7,
    message: 'fd 3',
  } as const;
  check([
    { what: 'not taken yet', facts: { dump: dump() }, step: 'progress' },
    {
      what: 'not taken, agent gone',
      facts: { dump: dump(), agents: [] },
      step: 'wait AgentUnavailable',
    },
    { what: 'not taken in time', facts: { dump: dump(), checkpoint: late }, step: 'fail TimedOut' },
    {
      what: 'not taken, cancelled',
      facts: { dump: { ...dump(), spec: { ...dump().spec, cancel: true } }, checkpoint: cancelled },
      step: 'fail Canceled',
    },
    {
      what: 'at work',
      facts: { dump: dump({ state: 'Running', stage: 'frozen' }) },
      step: 'progress',
    },
    {
      what: 'at work, cancelled',
      facts: { dump: dump({ state: 'Running' }), checkpoint: cancelled },
      step: 'cancel-task',
    },
    {
      what: 'no heartbeat',
      facts: { dump: dump({ state: 'Running', heartbeatTime: time(-61) }) },
      step: 'fail AgentLost',
    },
    {
      what: 'no heartbeat from a node that does not answer',
      facts: {
        dump: dump({ state: 'Running', heartbeatTime: time(-61) }),
        node: node('node-a', false),
      },
      step: 'fail NodeLost',
    },
    {
      what: 'node gone',
      facts: { dump: dump({ state: 'Running', heartbeatTime: time(-61) }), node: undefined },
      step: 'fail NodeLost',
    },
    {
      what: 'a little late',
      facts: { dump: dump({ state: 'Running' }), checkpoint: late },
      step: 'progress',
    },
    {
      what: 'much too late',
      facts: { dump: dump({ state: 'Running' }), checkpoint: late, nowMillis: NOW + 30_000 },
      step: 'cancel-task',
    },
    { what: 'done', facts: { dump: dump({ state: 'Succeeded' }) }, step: 'store-result' },
    { what: 'failed', facts: { dump: failed('StoreFull') }, step: 'fail StoreFull', says: /^why$/ },
    {
      what: 'failed since a container ended',
      facts: { dump: failed('ContainerNotRunning') },
      step: 'fail ContainerNotRunning',
    },
    {
      what: 'failed since the pod was deleted',
      facts: { dump: failed('ContainerNotRunning'), pod: undefined },
      step: 'fail PodDeleted',
    },
    {
      what: 'failed since the pod is being deleted',
      facts: {
        dump: failed('ContainerNotFound'),
        pod: pod({}, { deletionTimestamp: time(0) }),
      },
      step: 'fail PodDeleted',
    },
    {
      what: 'failed in a way unknown here',
      facts: { dump: failed('Novel') },
      step: 'fail TaskFailed',
      says: /Novel: why/,
    },
    {
      what: 'failed for a passing reason',
      facts: { dump: failed('HolderLost', true) },
      step: 'retry',
    },
    {
      what: 'failed for a passing reason, too late',
      facts: { dump: failed('HolderLost', true), checkpoint: late },
      step: 'fail HolderLost',
    },
    {
      what: 'failed thrice for a passing reason',
      facts: { dump: ofAttempt3, checkpoint: thrice },
      step: 'fail HolderLost',
    },
    {
      what: 'task of the last attempt',
      facts: { dump: failed('HolderLost', true), checkpoint: thrice },
      step: 'delete-task',
    },
    {
      what: 'stopped as asked',
      facts: { dump: dump({ state: 'Canceled' }), checkpoint: cancelled },
      step: 'fail Canceled',
    },
    {
      what: 'stopped at the deadline',
      facts: { dump: dump({ state: 'Canceled' }), checkpoint: late },
      step: 'fail TimedOut',
    },
    {
      what: 'a dry run that found a refusal',
      facts: {
        dump: dump({ state: 'Succeeded', result: { report: [refusal] } }),
        checkpoint: checkpoint({ mode: 'DryRun' }, acceptedStatus()),
      },
      step: 'fail Unsupported',
      says: /container main, process 7: IoUring: fd 3/,
    },
  ]);

  it('lets a source go that a failed dump kept frozen', () => {
    const stop = checkpoint({ afterDump: 'Stop' }, acceptedStatus());
    const task = dump(
      { state: 'Failed', error: { code: 'StoreFull', message: '', retryable: false } },
      stop,
    );
    const facts = checkpointFacts({ checkpoint: stop, dump: task });
    const step = decideCheckpoint(facts);
    assert.ok(step.do === 'fail' && step.maybeFrozen === true);
    const status = checkpointStatus(stop, step, NOW);
    assert.equal(findCondition(status.conditions, 'SourceFrozen')?.status, 'Unknown');
    const next = decideCheckpoint({ ...facts, checkpoint: { ...stop, status }, dump: undefined });
    assert.ok(next.do === 'create-task' && next.task.spec.type === 'Thaw');
    assert.deepEqual(
      next.task.spec.thaw.containers.map(({ name }) => name),
      ['main'],
    );
  });
});
