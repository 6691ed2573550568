// The status of a CheckpointGroup after a step (pure).
import type { CheckpointGroupStatus } from '../../crds/checkpoint-group.ts';
import type { GroupConditionType, WaitingReason } from '../../crds/conditions.ts';
import { formatTime } from '../../kube/clock.ts';
import { StatusBuilder } from '../cluster/status-builder.ts';
import { stops } from './barrier.ts';
import { type GroupFacts, type GroupStep, ownCheckpoints } from './facts.ts';

type Builder = StatusBuilder<CheckpointGroupStatus, GroupConditionType>;

const QUIET_STEPS: readonly GroupStep['do'][] = [
  'nothing',
  'add-finalizer',
  'remove-finalizer',
  'cancel-members',
  'delete-members',
];

/** What Ready says after a step that has nothing special to tell. */
const READY_REASONS: Readonly<Partial<Record<GroupStep['do'], WaitingReason>>> = {
  accept: 'PreparingMembers',
  'create-members': 'PreparingMembers',
  'start-members': 'FreezingMembers',
  'pass-barrier': 'ReleasingMembers',
  'resume-members': 'ReleasingMembers',
};

export function groupStatus(facts: GroupFacts, step: GroupStep): CheckpointGroupStatus {
  const { group, nowMillis } = facts;
  if (QUIET_STEPS.includes(step.do)) {
    return group.status ?? {};
  }
  const next: Builder = new StatusBuilder(group.metadata, group.status ?? {}, nowMillis);
  noteStops(next, facts);
  const reason = READY_REASONS[step.do];
  if (reason !== undefined) {
    next.condition('Ready', 'False', reason);
  }
  apply(next, step);
  return next.build(next.status.timing?.startTime !== undefined);
}

/** As the agents tell it; what came first stays, even if that Checkpoint is gone. */
function noteStops(next: Builder, facts: GroupFacts): void {
  const { timing } = next.status;
  const stopped = stops(ownCheckpoints(facts), timing, facts.nowMillis);
  if (stopped !== undefined && timing?.releasedAt === undefined) {
    const firstFrozenAt = formatTime(stopped.firstMillis);
    next.set({
      timing: { ...timing, firstFrozenAt, lastFrozenAt: formatTime(stopped.lastMillis) },
    });
  }
}

/** What else steps say. */
const NOTES: {
  readonly [Do in GroupStep['do']]?: (
    next: Builder,
    step: Extract<GroupStep, { readonly do: Do }>,
  ) => void;
} = {
  accept: (next, { members }) => {
    next.set({ members, timing: { startTime: next.now } });
    next.condition('Accepted', 'True', 'Validated');
  },
  wait: (next, { reason, facts }) => next.condition('Ready', 'False', reason, facts),
  'create-members': (next) => next.condition('Prepared', 'False', 'PreparingMembers'),
  'start-members': (next) => next.condition('Prepared', 'True', 'AllPrepared'),
  'pass-barrier': (next) => {
    next.set({ timing: { ...next.status.timing, releasedAt: next.now } });
    next.condition('Stored', 'True', 'AllStored');
  },
  finish: (next) => {
    next.set({ timing: { ...next.status.timing, completionTime: next.now } });
    next.condition('Ready', 'True', 'Completed', `${next.status.members?.length} pods`);
  },
  'give-up': (next, { reason, facts }) => {
    next.set({ failure: { reason, message: facts } });
    next.condition('Ready', 'False', 'ReleasingMembers', `undoing: ${facts}`);
  },
  fail: (next, { reason, facts }) => {
    next.set({
      timing: { ...next.status.timing, completionTime: next.now },
      failure: { reason, message: facts },
    });
    next.condition('Ready', 'False', reason, facts);
    next.condition('Failed', 'True', reason, facts);
  },
};

function apply(next: Builder, step: GroupStep): void {
  const note = NOTES[step.do] as ((next: Builder, step: GroupStep) => void) | undefined;
  note?.(next, step);
}
