// The status of a Restore after a step (pure).
import { type RestoreConditionType, reasonOfTaskError } from '../../crds/conditions.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore, RestoreStatus } from '../../crds/restore.ts';
import type { Pod } from '../cluster/pod.ts';
import { reported, StatusBuilder } from '../cluster/status-builder.ts';
import { newPodName } from '../placeholder/wanted-pod.ts';
import { isRestored, type RestoreStep } from './facts.ts';

type Builder = StatusBuilder<RestoreStatus, RestoreConditionType>;

/** Steps after which the status says the same as before. */
const QUIET_STEPS = [
  'nothing',
  'add-finalizer',
  'remove-finalizer',
  'touch-holder',
  'release-holder',
  'delete-placeholder',
  'cancel-task',
  'delete-task',
  'introduce',
] as const satisfies readonly RestoreStep['do'][];
type TellingStep = Exclude<RestoreStep, { readonly do: (typeof QUIET_STEPS)[number] }>;

const ADOPTION_STEPS = [
  'arm-adoption',
  'adoption-in-force',
  'take-replica',
  'disarm-adoption',
] as const satisfies readonly RestoreStep['do'][];
type AdoptionStep = Extract<RestoreStep, { readonly do: (typeof ADOPTION_STEPS)[number] }>;

function isAdoptionStep(step: TellingStep): step is AdoptionStep {
  return ADOPTION_STEPS.some((adopting) => adopting === step.do);
}

function isTelling(step: RestoreStep): step is TellingStep {
  return !QUIET_STEPS.some((quiet) => quiet === step.do);
}

/** @param pod the new pod as observed, if it is ours */
export function restoreStatus(
  restore: Restore,
  step: RestoreStep,
  pod: Pod | undefined,
  nowMillis: number,
): RestoreStatus {
  if (!isTelling(step)) {
    return restore.status ?? {};
  }
  const next: Builder = new StatusBuilder(restore.metadata, restore.status ?? {}, nowMillis);
  if (pod !== undefined && step.do !== 'retry') {
    next.set({ pod: podStatus(pod) });
  }
  if (isAdoptionStep(step)) {
    adopting(next, step);
  } else {
    apply(next, restore, step);
  }
  return next.build(next.status.pod !== undefined);
}

function apply(next: Builder, restore: Restore, step: Exclude<TellingStep, AdoptionStep>): void {
  switch (step.do) {
    case 'wait':
      return next.condition('Ready', 'False', step.reason, step.facts);
    case 'create-placeholder':
      next.set({ pod: { name: step.pod.metadata.name }, timing: { startTime: next.now } });
      next.condition('Accepted', 'True', 'Validated');
      return next.condition('Ready', 'False', 'StartingPlaceholder');
    case 'create-holder':
      return next.condition('Ready', 'False', 'PreparingStore');
    case 'placed':
      next.condition('Placed', 'True', 'PodRunning');
      return next.condition('Ready', 'False', 'CheckpointNotReady', 'waiting for the Checkpoint');
    case 'create-task':
      return taskCreated(next, step.task);
    case 'progress':
      return progressed(next, step.task);
    case 'retry':
      next.set({
        attempts: (next.status.attempts ?? 1) + 1,
        pod: { name: newPodName(restore, undefined) },
      });
      next.drop('progress');
      next.condition('Placed', 'False', 'Retrying');
      return next.condition('Ready', 'False', 'Retrying', step.facts);
    case 'store-result':
      return restored(next, step.task);
    case 'mark-restored':
      return next.condition('Ready', 'False', 'WaitingForPodReady');
    case 'finish':
      next.set({ timing: { ...next.status.timing, completionTime: next.now } });
      return next.condition(
        'Ready',
        'True',
        'Completed',
        `pod ${step.pod.metadata.name} goes on where it was saved`,
      );
    case 'fail':
      return failed(next, restore, step);
  }
}

function adopting(next: Builder, step: AdoptionStep): void {
  const { adoption, timing } = next.status;
  switch (step.do) {
    case 'arm-adoption':
      next.set({
        adoption: step.adoption,
        pod: { name: step.adoption.podName },
        timing: { startTime: next.now, ...timing },
      });
      next.condition('Accepted', 'True', 'Validated');
      return next.condition('Ready', 'False', 'WaitingForReplica');
    case 'adoption-in-force':
      return next.set(adoption === undefined ? {} : { adoption: { ...adoption, inForce: true } });
    case 'take-replica':
      next.drop('adoption');
      return next.condition('Ready', 'False', 'StartingPlaceholder');
    case 'disarm-adoption':
      return next.drop('adoption');
  }
}

function podStatus(pod: Pod): NonNullable<RestoreStatus['pod']> {
  const { name, uid = '' } = pod.metadata;
  const node = pod.spec.nodeName;
  return { name, uid, ...(node !== undefined && { node }) };
}

function taskCreated(next: Builder, task: NodeTask): void {
  if (task.spec.type !== 'Restore') {
    return;
  }
  next.set({
    attempts: next.status.attempts ?? 1,
    timing: { startTime: next.now, ...next.status.timing },
    progress: { stage: 'waiting for the agent', bytesDone: 0, bytesTotal: 0 },
  });
  next.condition('Accepted', 'True', 'Validated');
  next.condition('Placed', 'True', 'PodRunning');
  const facts = `asked the agent on node ${task.spec.nodeName} to rebuild the processes`;
  next.condition('Ready', 'False', 'Restoring', facts);
}

function progressed(next: Builder, task: NodeTask): void {
  const { stage, bytesDone = 0, bytesTotal = 0 } = task.status ?? {};
  if (stage !== undefined) {
    next.set({ progress: { stage, bytesDone, bytesTotal } });
  }
}

function restored(next: Builder, task: NodeTask): void {
  const {
    containers = [],
    restoreMillis,
    resumedAt,
    report,
    verification,
  } = task.status?.result ?? {};
  next.drop('progress');
  next.set({
    containers: containers.map(({ name, processes }) => ({ name, processes })),
    timing: {
      ...next.status.timing,
      ...(restoreMillis !== undefined && { restoreMillis }),
      ...(resumedAt !== undefined && { restoredAt: resumedAt }),
    },
    report: reported(report),
  });
  next.condition('ProcessesRestored', 'True', 'Restored');
  if (verification !== undefined) {
    const { passed, reason, message } = verification;
    if (passed) {
      next.condition('Verified', 'True', 'Verified', message);
    } else {
      next.condition('Verified', 'False', reasonOfTaskError(reason), message);
    }
  }
  next.condition('Ready', 'False', 'WaitingForPodReady');
}

function failed(next: Builder, restore: Restore, step: Extract<RestoreStep, { do: 'fail' }>): void {
  next.drop('progress');
  next.drop('adoption');
  next.set({
    timing: { ...next.status.timing, completionTime: next.now },
    ...(step.report && { report: reported(step.report) }),
  });
  if (!isRestored(restore)) {
    const maybe = step.committed === true ? 'Unknown' : 'False';
    next.condition('ProcessesRestored', maybe, step.reason);
  }
  next.condition('Ready', 'False', step.reason, step.facts);
  next.condition('Failed', 'True', step.reason, step.facts);
}
