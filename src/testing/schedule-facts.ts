// A schedule with one pod and nothing done yet, to be bent by tests.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type {
  CheckpointSchedule,
  CheckpointScheduleSpec,
  CheckpointScheduleStatus,
} from '../../crds/checkpoint-schedule.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { LABELS } from '../../crds/names.ts';
import { childCheckpoint } from '../checkpoint-schedule/child.ts';
import type { Run, ScheduleFacts } from '../checkpoint-schedule/facts.ts';
import type { Pod } from '../cluster/pod.ts';
import { NAMESPACE, NOW, pod, storedStatus, time } from './builders.ts';

export function schedule(
  spec: Partial<CheckpointScheduleSpec> = {},
  status?: CheckpointScheduleStatus,
  metadata: Partial<CheckpointSchedule['metadata']> = {},
): CheckpointSchedule {
  return {
    apiVersion: API_VERSION,
    kind: 'CheckpointSchedule',
    metadata: {
      name: 'hourly',
      namespace: NAMESPACE,
      uid: 'chks-1',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: time(-86_400),
      ...metadata,
    },
    spec: { schedule: '0 * * * *', selector: { matchLabels: { app: 'redis' } }, ...spec },
    ...(status && { status }),
  };
}

/** The status of a schedule that was looked at `secondsAgo` for the first time. */
export function watchedSince(
  secondsAgo: number,
  changes: CheckpointScheduleStatus = {},
  cron: Partial<NonNullable<CheckpointScheduleStatus['cron']>> = {},
): CheckpointScheduleStatus {
  const since = time(-secondsAgo);
  return { cron: { schedule: '0 * * * *', timeZone: 'Etc/UTC', since, ...cron }, ...changes };
}

/** NOW is a full hour: the run of 12:00 is due. */
export function scheduleFacts(changes: Partial<ScheduleFacts> = {}): ScheduleFacts {
  return {
    nowMillis: NOW,
    schedule: schedule({}, watchedSince(1_800)),
    checkpoints: [],
    pods: [pod()],
    restores: [],
    others: [],
    cordoned: [],
    ...changes,
  };
}

export function namedPod(name: string, metadata: Partial<Pod['metadata']> = {}): Pod {
  return pod({}, { name, uid: `uid-${name}`, ...metadata });
}

export type ChildState = 'active' | 'ready' | 'failed';

/** A Checkpoint that the schedule made some time ago. */
export function child(
  name: string,
  secondsAgo: number,
  state: ChildState = 'active',
  source: Pod = pod(),
): Checkpoint {
  const momentMillis = NOW - secondsAgo * 1000;
  const run: Run = { trigger: 'Schedule', id: `run-${secondsAgo}`, momentMillis, pods: [source] };
  const made = childCheckpoint(schedule(), run, source);
  const creationTimestamp = time(-secondsAgo);
  return {
    ...made,
    metadata: { ...made.metadata, name, uid: `uid-${name}`, creationTimestamp },
    ...statusOf(state, source, creationTimestamp),
  };
}

function statusOf(state: ChildState, source: Pod, at: string): Pick<Checkpoint, 'status'> {
  const told = { reason: 'Completed', message: '', lastTransitionTime: at };
  switch (state) {
    case 'active':
      return {};
    case 'ready':
      return { status: storedStatus(source, { timing: { frozenAt: at, completionTime: at } }) };
    case 'failed':
      return { status: { conditions: [{ type: 'Failed', status: 'True', ...told }] } };
  }
}

/** The same with another run label. */
export function ofRun(checkpoint: Checkpoint, run: string): Checkpoint {
  const { metadata } = checkpoint;
  return {
    ...checkpoint,
    metadata: { ...metadata, labels: { ...metadata.labels, [LABELS.run]: run } },
  };
}
