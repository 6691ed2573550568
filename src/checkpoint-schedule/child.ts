// The Checkpoint of one pod in one run (pure).
import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointSchedule } from '../../crds/checkpoint-schedule.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { LABELS } from '../../crds/names.ts';
import type { Pod } from '../cluster/pod.ts';
import { type Run, scheduleLabel } from './facts.ts';

/** Names of objects may have 253 characters; bundle paths keep 200 of them. */
const MAX_NAME_LENGTH = 200;

/**
 * No owner: what was saved must outlive the schedule that asked for it. A new schedule of the same name takes it over,
 * by the label.
 */
export function childCheckpoint(schedule: CheckpointSchedule, run: Run, pod: Pod): Checkpoint {
  const { metadata, spec } = schedule.spec.template ?? {};
  const { containers, ...asIs } = spec ?? {};
  const { name, uid } = pod.metadata;
  return {
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: {
      name: childName(schedule.metadata.name, name, run.momentMillis),
      ...(schedule.metadata.namespace && { namespace: schedule.metadata.namespace }),
      labels: {
        ...metadata?.labels,
        [LABELS.schedule]: scheduleLabel(schedule),
        [LABELS.trigger]: run.trigger,
        [LABELS.run]: run.id,
      },
      ...(metadata?.annotations && { annotations: metadata.annotations }),
    },
    spec: {
      ...asIs,
      source: { pod: { name, ...(uid && { uid }), ...(containers && { containers }) } },
    },
  };
}

/** `redis-hourly-redis-0-20261124030000`: a run that is tried again makes nothing twice. */
export function childName(scheduleName: string, podName: string, momentMillis: number): string {
  const whole = `${scheduleName}-${podName}`;
  const room = MAX_NAME_LENGTH - 15;
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, 16);
  const short = `${whole.slice(0, room - 17).replace(/[^a-z0-9]+$/, '')}-${digest}`;
  return `${whole.length > room ? short : whole}-${stamp(momentMillis)}`;
}

/** `20261124030000`, UTC. */
export function stamp(millis: number): string {
  return new Date(millis).toISOString().replace(/\D/g, '').slice(0, 14);
}
