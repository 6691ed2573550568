// What the controller does next for a Restore, as tables: the facts that differ from a sound case, and the step.
import { describe } from 'node:test';
import type { Condition } from '../../crds/meta.ts';
import type { Restore, RestoreStatus } from '../../crds/restore.ts';
import { agentsOf } from '../cluster/agents.ts';
import type { Node } from '../cluster/types.ts';
import {
  agent,
  checkpoint,
  claim,
  node,
  pod,
  restore,
  storedStatus,
  time,
} from '../testing/builders.ts';
import { placedStatus, placeholder, restoreFacts, restoreTask } from '../testing/restore-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideRestore } from './decide.ts';
import type { RestoreFacts } from './facts.ts';

function check(base: Partial<RestoreFacts>, cases: readonly StepCase<RestoreFacts>[]): void {
  checkSteps((changes) => decideRestore(restoreFacts({ ...base, ...changes })), cases);
}

function condition(type: string, status: Condition['status'] = 'True'): Condition {
  return { type, status, reason: 'Pending', message: 'before', lastTransitionTime: time(-1) };
}

function restoreWith(status: RestoreStatus, metadata: Partial<Restore['metadata']> = {}): Restore {
  return { ...restore({}, metadata), status };
}

const late = { creationTimestamp: time(-601) };
const soundClaim = { claimName: 'checkpoints', claim: claim(), storageClass: undefined };

describe('a Restore without a pod', () => {
  const failed = storedStatus(pod(), { conditions: [condition('Failed')] });
  const dryRun = { ...storedStatus(pod()) };
  delete (dryRun as { bundle?: object }).bundle;
  const arm: Node = {
    ...node('node-b'),
    status: { ...node().status, nodeInfo: { architecture: 'arm64' } },
  };
  const elsewhere = restore({ target: { newPod: { nodeName: 'node-x' } } });
  const connections = ['10.0.0.5:6379 -> 10.0.0.9:40404', '10.0.0.5:6379 -> 10.0.0.9:40405'];
  const withConnections = checkpoint({}, { ...storedStatus(pod()), requirements: { connections } });
  const env = [{ container: 'x', name: 'A', value: '' }];
  check({}, [
    {
      what: 'no finalizer',
      facts: { restore: restore({}, { finalizers: [] }) },
      step: 'add-finalizer',
    },
    { what: 'all is well', facts: {}, step: 'create-placeholder' },
    {
      what: 'anywhere',
      facts: { restore: restore(), node: undefined },
      step: 'create-placeholder',
    },
    {
      what: 'no Checkpoint, but just created',
      facts: { checkpoint: undefined },
      step: 'wait Pending',
    },
    {
      what: 'no Checkpoint',
      facts: { checkpoint: undefined, restore: restore({}, { creationTimestamp: time(-60) }) },
      step: 'fail CheckpointNotFound',
    },
    {
      what: 'the Checkpoint is being deleted',
      facts: { checkpoint: checkpoint({}, storedStatus(pod()), { deletionTimestamp: time(0) }) },
      step: 'fail CheckpointNotFound',
    },
    {
      what: 'the Checkpoint has failed',
      facts: { checkpoint: checkpoint({}, failed) },
      step: 'fail CheckpointFailed',
      says: /before/,
    },
    {
      what: 'the Checkpoint is not ready',
      facts: { checkpoint: checkpoint() },
      step: 'wait CheckpointNotReady',
    },
    {
      what: 'the Checkpoint was a dry run',
      facts: { checkpoint: checkpoint({}, dryRun) },
      step: 'fail CheckpointHasNoBundle',
    },
    {
      what: 'connections go on in the saved pod only',
      facts: { checkpoint: withConnections },
      step: 'fail ConnectionsStay',
      says: /10\.0\.0\.5:6379 -> 10\.0\.0\.9:40404 \(and 1 more\)/,
    },
    {
      what: 'overrides name a stranger',
      facts: { restore: restore({ target: { newPod: { overrides: { env } } } }) },
      step: 'fail PodUnsupported',
    },
    {
      what: 'the name is taken',
      facts: { pod: pod({}, { name: 'redis-back' }) },
      step: 'fail PodNameTaken',
    },
    {
      what: 'the node does not exist',
      facts: { restore: elsewhere, node: undefined },
      step: 'fail NodeNotFound',
      says: /^spec\.target\.newPod\.nodeName: node "node-x" does not exist/,
    },
    {
      what: 'another architecture',
      facts: { node: arm },
      step: 'fail ArchMismatch',
      says: /arm64.*amd64/,
    },
    {
      what: 'the node is not ready',
      facts: { node: node('node-b', false) },
      step: 'wait NodeNotReady',
    },
    {
      what: 'no agent there',
      facts: { agents: agentsOf([agent('node-a')]) },
      step: 'wait AgentUnavailable',
    },
    {
      what: 'no agent anywhere',
      facts: { agents: [], node: undefined, restore: restore() },
      step: 'wait AgentUnavailable',
    },
    {
      what: 'the claim is gone',
      facts: { claim: { ...soundClaim, claim: undefined } },
      step: 'fail ClaimNotFound',
    },
    {
      what: 'time is up',
      facts: { restore: restoreWith({ conditions: [condition('Ready', 'False')] }, late) },
      step: 'fail TimedOut',
      says: /before/,
    },
    {
      what: 'its pod vanished',
      facts: { restore: restoreWith(placedStatus()) },
      step: 'fail PodGone',
    },
  ]);
});

describe('a Restore whose processes run', () => {
  const restored = (metadata: Partial<Restore['metadata']> = {}) =>
    restoreWith(placedStatus({ conditions: [condition('ProcessesRestored')] }), metadata);
  const gate = { type: 'diapause.dev/restored', status: 'True' } as const;
  const ready = { type: 'Ready', status: 'True' } as const;
  check({ restore: restored(), pod: placeholder({ conditions: [gate] }) }, [
    { what: 'the gate is closed', facts: { pod: placeholder() }, step: 'mark-restored' },
    { what: 'the pod is not ready', facts: {}, step: 'wait WaitingForPodReady' },
    {
      what: 'the pod is ready',
      facts: { pod: placeholder({ conditions: [gate, ready] }) },
      step: 'finish',
    },
    {
      what: 'the pod does not become ready',
      facts: { restore: restored(late) },
      step: 'fail PodNotReady',
    },
    { what: 'the pod vanished', facts: { pod: undefined }, step: 'fail PodGone' },
    {
      what: 'the application ended',
      facts: { pod: placeholder({ phase: 'Failed' }) },
      step: 'fail PodNotReady',
    },
  ]);
});

describe('a Restore that is done', () => {
  const failed = restoreWith(placedStatus({ conditions: [condition('Failed')] }));
  const failedLater = restoreWith(
    placedStatus({ conditions: [condition('Failed'), condition('ProcessesRestored')] }),
  );
  const ready = restoreWith(
    placedStatus({ conditions: [condition('Ready'), condition('ProcessesRestored')] }),
  );
  const deleting = restoreWith(placedStatus(), { deletionTimestamp: time(0) });
  const running = restoreTask({ state: 'Running' });
  const told = { ...running, spec: { ...running.spec, cancel: true } };
  check({ pod: placeholder() }, [
    { what: 'ready', facts: { restore: ready }, step: 'nothing' },
    {
      what: 'ready, with its task',
      facts: { restore: ready, task: restoreTask({ state: 'Succeeded' }) },
      step: 'delete-task',
    },
    {
      what: 'failed: no empty placeholder stays',
      facts: { restore: failed },
      step: 'delete-placeholder',
    },
    {
      what: 'failed after the processes ran: the pod stays',
      facts: { restore: failedLater },
      step: 'nothing',
    },
    {
      what: 'failed, but the agent works on',
      facts: { restore: failed, task: running },
      step: 'cancel-task',
    },
    {
      what: "failed: somebody else's pod stays",
      facts: { restore: failed, pod: pod() },
      step: 'nothing',
    },
    { what: 'deleted at work', facts: { restore: deleting, task: running }, step: 'cancel-task' },
    {
      what: 'deleted, told to stop',
      facts: { restore: deleting, task: told },
      step: 'wait Deleting',
    },
    {
      what: 'deleted before it was done',
      facts: { restore: deleting },
      step: 'delete-placeholder',
    },
    {
      what: 'deleted, nothing left',
      facts: { restore: deleting, pod: undefined },
      step: 'remove-finalizer',
    },
    {
      what: 'deleted when ready: the pod stays',
      facts: { restore: { ...ready, metadata: deleting.metadata } },
      step: 'remove-finalizer',
    },
  ]);
});
