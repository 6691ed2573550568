// The status of a Checkpoint after a step (pure).
import type { Checkpoint, CheckpointStatus } from '../../crds/checkpoint.ts';
import type { CheckpointConditionType } from '../../crds/conditions.ts';
import type { NodeTask, TaskResult } from '../../crds/node-task.ts';
import { formatBytesRounded } from '../../kube/quantity.ts';
import { formatMillis, reported, StatusBuilder } from '../cluster/status-builder.ts';
import { bundlePathOf, isDryRun } from './dump-task.ts';
import { type CheckpointStep, isTransferred } from './facts.ts';

/** Stages of agent and engine; others are on the way to these. */
const FREEZING_STAGES = ['seizing', 'preparing', 'frozen'];
const STORING_STAGES = [
  'thawed',
  'post-hooks',
  'saving-pages',
  'saving-state',
  'done',
  'saving-files',
  'sealing',
  'sending',
];

export function checkpointStatus(
  checkpoint: Checkpoint,
  step: CheckpointStep,
  nowMillis: number,
): CheckpointStatus {
  if (!isTelling(step)) {
    return checkpoint.status ?? {};
  }
  const next: Builder = new StatusBuilder(checkpoint.metadata, checkpoint.status ?? {}, nowMillis);
  apply(next, checkpoint, step);
  return next.build(next.status.progress !== undefined);
}

type Builder = StatusBuilder<CheckpointStatus, CheckpointConditionType>;

/** Steps after which the status says the same as before. */
const QUIET_STEPS = [
  'nothing',
  'add-finalizer',
  'remove-finalizer',
  'touch-holder',
  'release-holder',
  'cancel-task',
  'delete-task',
  'introduce',
] as const satisfies readonly CheckpointStep['do'][];
type TellingStep = Exclude<CheckpointStep, { readonly do: (typeof QUIET_STEPS)[number] }>;

function isTelling(step: CheckpointStep): step is TellingStep {
  return !QUIET_STEPS.some((quiet) => quiet === step.do);
}

function apply(next: Builder, checkpoint: Checkpoint, step: TellingStep): void {
  switch (step.do) {
    case 'accept':
      return accepted(next, step);
    case 'wait':
      return next.condition('Ready', 'False', step.reason, step.facts);
    case 'create-holder':
      return next.condition('Ready', 'False', 'PreparingStore');
    case 'create-task':
      return taskCreated(next, step.task);
    case 'progress':
      return progressed(next, step.task);
    case 'retry':
      next.set({ attempts: (next.status.attempts ?? 1) + 1 });
      next.drop('progress');
      return next.condition('Ready', 'False', 'Retrying', step.facts);
    case 'store-result':
      return stored(next, checkpoint, step);
    case 'delete-source':
      return next.condition('SourceFrozen', 'True', 'DeletingSource');
    case 'finish':
      next.condition('SourceFrozen', 'False', 'SourceDeleted');
      return completed(next, 'Completed');
    case 'note-source':
      return sourceNoted(next, step);
    case 'fail':
      return failed(next, step);
  }
}

function accepted(next: Builder, step: Extract<CheckpointStep, { do: 'accept' }>): void {
  const { pod, template, store, containers } = step;
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  next.set({
    source: {
      podUID: pod.metadata.uid ?? '',
      node: pod.spec.nodeName ?? '',
      ...(owner && { ownerKind: owner.kind, ownerName: owner.name }),
      containers,
    },
    podTemplate: template,
    ...(store && { store }),
    timing: { startTime: next.now },
  });
  next.condition('Accepted', 'True', 'Validated');
  next.condition('Ready', 'False', 'Pending', 'accepted');
}

function taskCreated(next: Builder, task: NodeTask): void {
  if (task.spec.type !== 'Dump') {
    // A Thaw or DeleteBundle: nothing about the bundle changes.
    return;
  }
  const { containers, pod } = task.spec.dump;
  next.set({
    attempts: next.status.attempts ?? 1,
    progress: { stage: 'waiting for the agent', bytesDone: 0, bytesTotal: 0 },
    timing: { ...next.status.timing, freezeLimitMillis: task.spec.dump.freezeLimitMillis },
  });
  const names = containers.map(({ name }) => name).join(', ');
  const facts = `asked the agent on node ${task.spec.nodeName} to save pod ${pod.name} (${names})`;
  next.condition('Ready', 'False', 'Dumping', facts);
}

function progressed(next: Builder, task: NodeTask): void {
  const { stage, bytesDone = 0, bytesTotal = 0 } = task.status ?? {};
  if (stage === undefined) {
    return;
  }
  next.set({ progress: { stage, bytesDone, bytesTotal }, ...roundsOf(task) });
  if (!STORING_STAGES.includes(stage)) {
    const reason = FREEZING_STAGES.includes(stage) ? 'Freezing' : 'Dumping';
    return next.condition('Ready', 'False', reason);
  }
  // A source that is kept frozen is written as it stands: all is taken only at the end.
  if (task.spec.type === 'Dump' && task.spec.dump.afterDump === 'Resume') {
    next.condition('Captured', 'True', 'Captured');
  }
  next.condition('Ready', 'False', 'Storing');
}

function stored(
  next: Builder,
  checkpoint: Checkpoint,
  { task, estimate }: Extract<CheckpointStep, { do: 'store-result' }>,
): void {
  const result = task.status?.result ?? {};
  next.drop('progress');
  next.set({
    timing: { ...next.status.timing, ...timingOf(result) },
    ...(result.requirements && { requirements: result.requirements }),
    report: reported(result.report),
    ...roundsOf(task),
  });
  if (isDryRun(checkpoint)) {
    next.set(estimate === undefined ? {} : { estimate });
    return completed(next, 'DryRunPassed');
  }
  const images = new Map(
    task.spec.type === 'Dump' ? task.spec.dump.containers.map((c) => [c.name, c.imageID]) : [],
  );
  const bytes = result.bundleBytes ?? 0;
  next.set({
    containers: (result.containers ?? []).map((container) => ({
      ...container,
      imageID: images.get(container.name) ?? '',
    })),
    bundle: {
      path: bundlePathOf(checkpoint),
      digest: result.bundleDigest ?? '',
      bytes,
      size: formatBytesRounded(bytes),
    },
  });
  next.condition('Captured', 'True', 'Captured');
  const arrived = isTransferred(checkpoint) ? 'the other node has the whole bundle' : undefined;
  next.condition('Stored', 'True', 'Stored', arrived);
  if (task.spec.type === 'Dump' && task.spec.dump.afterDump === 'KeepFrozen') {
    next.condition('SourceFrozen', 'True', 'KeptFrozen');
  }
  if (checkpoint.spec.afterDump === 'DeletePod') {
    return next.condition('Ready', 'False', 'DeletingSource');
  }
  completed(next, 'Completed');
}

function roundsOf({ status }: NodeTask): Pick<CheckpointStatus, 'rounds'> {
  return status?.rounds === undefined ? {} : { rounds: status.rounds };
}

function timingOf(result: TaskResult): NonNullable<CheckpointStatus['timing']> {
  const { frozenAt, resumedAt, freezeMillis } = result;
  return {
    ...(frozenAt && { frozenAt }),
    ...(resumedAt && { resumedAt }),
    ...(freezeMillis !== undefined && { freezeMillis, freeze: formatMillis(freezeMillis) }),
  };
}

function completed(next: Builder, reason: 'Completed' | 'DryRunPassed'): void {
  next.set({ timing: { ...next.status.timing, completionTime: next.now } });
  next.condition('Ready', 'True', reason, completedFacts(next.status));
}

function completedFacts({ bundle, timing, estimate }: CheckpointStatus): string | undefined {
  if (estimate !== undefined) {
    const able = estimate.nodes.filter(({ suitable }) => suitable === 'Yes').length;
    return `nothing stands in the way: about ${estimate.size}, a freeze of about ${estimate.freeze}, ${able} of ${estimate.nodes.length} nodes could take it`;
  }
  return bundle && `stored ${bundle.size}, frozen for ${timing?.freeze ?? 'no time'}`;
}

function sourceNoted(
  next: Builder,
  { frozen, reason, report = [] }: Extract<CheckpointStep, { do: 'note-source' }>,
): void {
  if (report.length > 0) {
    next.set({ report: reported([...(next.status.report ?? []), ...report]) });
  }
  next.condition('SourceFrozen', frozen, reason, report[0]?.message);
}

function failed(next: Builder, step: Extract<CheckpointStep, { do: 'fail' }>): void {
  next.drop('progress');
  next.set({
    timing: { ...next.status.timing, completionTime: next.now },
    ...(step.report && { report: reported(step.report) }),
  });
  if (step.maybeFrozen === true) {
    next.condition('SourceFrozen', 'Unknown', 'Thawing');
  }
  next.condition('Ready', 'False', step.reason, step.facts);
  next.condition('Failed', 'True', step.reason, step.facts);
}
