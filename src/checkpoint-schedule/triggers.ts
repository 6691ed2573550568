// Who asks for a run now: the clock, a token, a cordoned node, an annotation (pure).
import { createHash } from 'node:crypto';
import {
  type CheckpointScheduleStatus,
  SCHEDULE_DEFAULTS,
  type Trigger,
} from '../../crds/checkpoint-schedule.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import type { Pod } from '../cluster/pod.ts';
import { stamp } from './child.ts';
import { isSuspended, type Run, type ScheduleFacts } from './facts.ts';

/** Limits of the lists in the status. */
const MAX_NODES = 256;
const MAX_REQUESTS = 256;
const MAX_TOKEN_LENGTH = 256;

export interface Wishes {
  /** before the window, the concurrency policy and limits are asked */
  readonly runs: readonly Run[];
  /** what counts as honoured once the runs have begun */
  readonly drainedNodes: readonly string[];
  readonly requests: NonNullable<CheckpointScheduleStatus['requests']>;
}

/**
 * @param dueMillis time of the schedule to run now
 * @param pods those that can be saved
 */
export function wishes(
  facts: ScheduleFacts,
  dueMillis: number | undefined,
  pods: readonly Pod[],
): Wishes {
  const { schedule, nowMillis } = facts;
  const { onNodeDrain, onAnnotation } = { ...SCHEDULE_DEFAULTS, ...schedule.spec.triggers };
  const awake = !isSuspended(schedule);
  const drain = drained(facts, onNodeDrain && awake ? pods : []);
  const annotated = asked(facts, onAnnotation && awake ? pods : []);
  const at = (trigger: Trigger, id: string, momentMillis: number, chosen: readonly Pod[]): Run => ({
    trigger,
    id,
    momentMillis,
    pods: chosen,
  });
  const now = stamp(nowMillis);
  const { runNow } = schedule.spec;
  const newToken = runNow !== undefined && runNow !== schedule.status?.lastRunToken;
  return {
    runs: [
      ...(dueMillis === undefined
        ? []
        : [at('Schedule', `at-${stamp(dueMillis)}`, dueMillis, pods)]),
      ...(newToken ? [at('RunNow', `now-${digestOf(runNow)}`, nowMillis, pods)] : []),
      ...(drain.pods.length > 0 ? [at('NodeDrain', `drain-${now}`, nowMillis, drain.pods)] : []),
      ...(annotated.pods.length > 0
        ? [at('Annotation', `asked-${now}`, nowMillis, annotated.pods)]
        : []),
    ],
    drainedNodes: drain.nodes,
    requests: annotated.requests,
  };
}

/** Each cordoned node once, until it takes pods again. */
function drained(
  { schedule, cordoned }: ScheduleFacts,
  pods: readonly Pod[],
): { readonly pods: readonly Pod[]; readonly nodes: readonly string[] } {
  const known = (schedule.status?.drainedNodes ?? []).filter((node) => cordoned.includes(node));
  const ending = pods.filter(
    ({ spec: { nodeName = '' } }) => cordoned.includes(nodeName) && !known.includes(nodeName),
  );
  const fresh = new Set(ending.map(({ spec }) => spec.nodeName ?? ''));
  return { pods: ending, nodes: [...known, ...fresh].slice(-MAX_NODES) };
}

/** Each value of a pod's annotation once. */
function asked(
  facts: ScheduleFacts,
  pods: readonly Pod[],
): { readonly pods: readonly Pod[]; readonly requests: Wishes['requests'] } {
  const alive = new Set(facts.pods.map(({ metadata }) => metadata.uid));
  const honoured = new Map(
    (facts.schedule.status?.requests ?? [])
      .filter(({ podUID }) => alive.has(podUID))
      .map(({ podUID, token }) => [podUID, token] as const),
  );
  const asking = pods.filter(({ metadata: { uid = '', annotations } }) => {
    const token = annotations?.[ANNOTATIONS.request]?.slice(0, MAX_TOKEN_LENGTH) ?? '';
    if (token === '' || honoured.get(uid) === token) {
      return false;
    }
    honoured.delete(uid);
    honoured.set(uid, token);
    return true;
  });
  const requests = [...honoured].map(([podUID, token]) => ({ podUID, token }));
  return { pods: asking, requests: requests.slice(-MAX_REQUESTS) };
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 16);
}
