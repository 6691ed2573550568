// What is done after a Checkpoint is ready or has failed, and while it is being deleted.
import { describe } from 'node:test';
import type { CheckpointSpec, CheckpointStatus } from '../../crds/checkpoint.ts';
import type { Condition } from '../../crds/meta.ts';
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import { agentsOf } from '../cluster/agents.ts';
import { newTask } from '../node-task/task.ts';
import { agent, checkpoint, claim, NOW, pod, storedStatus, time } from '../testing/builders.ts';
import { checkpointFacts, dump, existing, thaw } from '../testing/checkpoint-facts.ts';
import { holder } from '../testing/holders.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideCheckpoint } from './decide.ts';
import { bundlePathOf, ownerOf } from './dump-task.ts';
import type { CheckpointFacts } from './facts.ts';

function check(base: Partial<CheckpointFacts>, cases: readonly StepCase<CheckpointFacts>[]): void {
  checkSteps((changes) => decideCheckpoint(checkpointFacts({ ...base, ...changes })), cases);
}

function condition(type: string, status: Condition['status']): Condition {
  return { type, status, reason: 'Pending', message: '', lastTransitionTime: time(-1) };
}

function withConditions(...conditions: readonly Condition[]): CheckpointStatus {
  return storedStatus(pod(), { conditions });
}

const READY = condition('Ready', 'True');
const FAILED = condition('Failed', 'True');
const STORED = condition('Stored', 'True');
const FROZEN = condition('SourceFrozen', 'True');

describe('a ready Checkpoint', () => {
  const ready = checkpoint({}, withConditions(STORED, READY));
  const other = dump({ state: 'Running' }, checkpoint({}, undefined, { uid: 'chk-2' }));
  check({ checkpoint: ready }, [
    { what: 'nothing is left', facts: {}, step: 'nothing' },
    {
      what: 'its task is done',
      facts: { dump: dump({ state: 'Succeeded' }) },
      step: 'delete-task',
    },
    { what: "another Checkpoint's task", facts: { dump: other }, step: 'nothing' },
    {
      what: 'its thaw is done',
      facts: { thaw: thaw({ state: 'Succeeded' }) },
      step: 'delete-task',
    },
  ]);
});

describe('a failed Checkpoint', () => {
  const lost = dump({ state: 'Running', heartbeatTime: time(-600) });
  check({ checkpoint: checkpoint({}, withConditions(FAILED)) }, [
    { what: 'a lost task is told to stop', facts: { dump: lost }, step: 'cancel-task' },
    {
      what: 'a lost task that was told',
      facts: { dump: { ...lost, spec: { ...lost.spec, cancel: true } } },
      step: 'nothing',
    },
    {
      what: 'a lost task whose node is gone',
      facts: { dump: lost, node: undefined },
      step: 'delete-task',
    },
    { what: 'a task nobody took', facts: { dump: dump() }, step: 'delete-task' },
  ]);
});

describe('a stored Checkpoint with DeletePod', () => {
  const stored = (age = -1): CheckpointFacts['checkpoint'] =>
    checkpoint({ afterDump: 'DeletePod' }, withConditions(STORED, FROZEN), {
      creationTimestamp: time(age),
    });
  check({ checkpoint: stored() }, [
    { what: 'the source is there', facts: {}, step: 'delete-source' },
    {
      what: 'the source is ending',
      facts: { pod: pod({}, { deletionTimestamp: time(0) }) },
      step: 'finish',
    },
    { what: 'the source is gone', facts: { pod: undefined }, step: 'finish' },
    { what: 'another pod has its name', facts: { pod: pod({}, { uid: 'pod-2' }) }, step: 'finish' },
    {
      what: 'it cannot be deleted in time',
      facts: { checkpoint: stored(-301) },
      step: 'fail TimedOut',
    },
  ]);
});

describe('a Checkpoint whose source is kept frozen', () => {
  const kept = (
    afterDump: NonNullable<CheckpointSpec['afterDump']>,
    ...more: readonly Condition[]
  ) => checkpoint({ afterDump }, withConditions(STORED, FROZEN, ...more));
  const resumed = kept('Resume', READY);
  check({ checkpoint: kept('Stop', READY) }, [
    { what: 'it stays so', facts: {}, step: 'nothing' },
    { what: 'its pod is gone', facts: { pod: undefined }, step: 'note-source SourceGone' },
    { what: 'its node is gone', facts: { node: undefined }, step: 'note-source SourceGone' },
    { what: 'told to resume', facts: { checkpoint: resumed }, step: 'create-task' },
    { what: 'being resumed', facts: { checkpoint: resumed, thaw: thaw() }, step: 'nothing' },
    {
      what: 'resumed',
      facts: { checkpoint: resumed, thaw: thaw({ state: 'Succeeded' }) },
      step: 'note-source SourceRunning',
    },
    {
      what: 'could not be resumed',
      facts: { checkpoint: resumed, thaw: thaw({ state: 'Failed' }) },
      step: 'delete-task',
    },
    {
      what: 'told to delete the pod',
      facts: { checkpoint: kept('DeletePod', READY) },
      step: 'delete-source',
    },
    { what: 'failed', facts: { checkpoint: kept('Stop', FAILED) }, step: 'create-task' },
  ]);
});

describe('a Checkpoint that is being deleted', () => {
  const deleting = (
    spec: Partial<CheckpointSpec> = {},
    status: CheckpointStatus = withConditions(STORED, READY),
    seconds = 0,
  ) => checkpoint(spec, status, { deletionTimestamp: time(-seconds) });
  const neverStarted = { ...withConditions() };
  delete (neverStarted as { attempts?: number }).attempts;
  const removal = (status?: NodeTaskStatus): NodeTask => {
    const { spec } = dump();
    assertDump(spec);
    const owner = checkpoint();
    if (spec.dump.store === undefined) {
      throw new Error('no Dump to a store');
    }
    const store = { ...spec.dump.store, bundlePath: bundlePathOf(owner) };
    const task = newTask('chk-1', {
      nodeName: 'node-a',
      owner: ownerOf(owner),
      deadline: time(60),
      type: 'DeleteBundle',
      deleteBundle: { store },
    });
    return existing(task, status);
  };
  const running = dump({ state: 'Running' });
  const frozen = deleting({}, withConditions(STORED, READY, FROZEN));
  const claimGone = { claimName: 'checkpoints', claim: undefined, storageClass: undefined };
  const elsewhere = { agents: agentsOf([agent('node-b')]) };
  check({ checkpoint: deleting() }, [
    { what: 'the bundle has to go', facts: {}, step: 'create-task' },
    { what: 'no holder', facts: { holders: [] }, step: 'create-holder' },
    {
      what: 'the source node has no agent',
      facts: { ...elsewhere, holders: [] },
      step: 'create-holder',
    },
    { what: 'no agent anywhere', facts: { agents: [] }, step: 'wait Deleting' },
    { what: 'the agent is at it', facts: { deletion: removal() }, step: 'wait Deleting' },
    {
      what: 'the bundle is gone',
      facts: { deletion: removal({ state: 'Succeeded' }) },
      step: 'remove-finalizer',
    },
    {
      what: 'there was none',
      facts: {
        deletion: removal({
          state: 'Failed',
          error: { code: 'BundleMissing', message: '', retryable: false },
        }),
      },
      step: 'remove-finalizer',
    },
    {
      what: 'it failed: again',
      facts: { deletion: removal({ state: 'Failed' }) },
      step: 'delete-task',
    },
    {
      what: 'it never ends',
      facts: { checkpoint: deleting({}, withConditions(), 200), deletion: removal() },
      step: 'remove-finalizer',
    },
    {
      what: 'it shall stay',
      facts: { checkpoint: deleting({ retention: { deletionPolicy: 'Retain' } }) },
      step: 'remove-finalizer',
    },
    {
      what: 'nothing was ever written',
      facts: { checkpoint: deleting({}, neverStarted) },
      step: 'remove-finalizer',
    },
    { what: 'the namespace goes, too', facts: { namespaceEnding: true }, step: 'remove-finalizer' },
    { what: 'the claim is gone', facts: { claim: claimGone }, step: 'remove-finalizer' },
    {
      what: 'the claim is going',
      facts: {
        claim: {
          ...claimGone,
          claim: claim({ metadata: { name: 'checkpoints', deletionTimestamp: time(0) } }),
        },
      },
      step: 'remove-finalizer',
    },
    { what: 'still at work', facts: { dump: running }, step: 'cancel-task' },
    {
      what: 'told to stop',
      facts: { dump: { ...running, spec: { ...running.spec, cancel: true } } },
      step: 'wait Deleting',
    },
    { what: 'not begun', facts: { dump: dump() }, step: 'delete-task' },
    { what: 'the source is frozen', facts: { checkpoint: frozen }, step: 'create-task' },
    {
      what: 'the source is being let go',
      facts: { checkpoint: frozen, thaw: thaw() },
      step: 'wait Deleting',
    },
    {
      what: 'others have nothing to do with it',
      facts: {
        checkpoint: checkpoint({}, undefined, { deletionTimestamp: time(0), finalizers: ['x'] }),
      },
      step: 'nothing',
    },
  ]);

  checkSteps<CheckpointFacts>(
    (changes) => {
      const step = decideCheckpoint(
        checkpointFacts({ checkpoint: deleting(), nowMillis: NOW, ...changes }),
      );
      const nodeName = step.do === 'create-task' ? step.task.spec.nodeName : 'none';
      return { do: step.do, reason: nodeName };
    },
    [
      {
        what: 'where the volume is already',
        facts: { holders: [holder('node-b')] },
        step: 'create-task node-b',
      },
      { what: 'where the source was', facts: {}, step: 'create-task node-a' },
    ],
  );
});

function assertDump(
  spec: NodeTask['spec'],
): asserts spec is Extract<NodeTask['spec'], { type: 'Dump' }> {
  if (spec.type !== 'Dump') {
    throw new Error('no Dump');
  }
}
