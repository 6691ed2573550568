// Volume holders go when nobody has used them for some minutes.
import { ANNOTATIONS, LABELS } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { formatTime } from '../../kube/clock.ts';
import {
  type ActResult,
  GONE,
  type Gone,
  type ReconcileContext,
  type Reconciler,
} from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { ClusterActions } from '../cluster/actions.ts';
import type { Pod } from '../cluster/pod.ts';
import type { ClusterView } from '../cluster/view.ts';
import { isUsed } from './need.ts';

export const HOLDER_IDLE_MILLIS = 5 * 60_000;
/** A task that lasts keeps its holder fresh, so that it stays some minutes after the task, too. */
const RENEW_MILLIS = 60_000;

export interface HolderFacts {
  readonly nowMillis: number;
  readonly pod: Pod;
  readonly tasks: readonly NodeTask[];
}

export type HolderStep =
  | { readonly do: 'keep'; readonly againAfterMillis: number }
  | { readonly do: 'renew'; readonly pod: Pod; readonly lastUsed: string }
  | { readonly do: 'end'; readonly pod: Pod };

/** Pure. */
export function decideHolder({ nowMillis, pod, tasks }: HolderFacts): HolderStep {
  const phase = pod.status?.phase;
  if (phase === 'Failed' || phase === 'Succeeded') {
    return { do: 'end', pod };
  }
  const lastUsed = Date.parse(
    pod.metadata.annotations?.[ANNOTATIONS.lastUsed] ?? pod.metadata.creationTimestamp ?? '',
  );
  const idleMillis = nowMillis - lastUsed;
  if (isUsed(pod, tasks)) {
    return idleMillis < RENEW_MILLIS
      ? { do: 'keep', againAfterMillis: RENEW_MILLIS - idleMillis }
      : { do: 'renew', pod, lastUsed: formatTime(nowMillis) };
  }
  // An annotation that is no time counts as idle: NaN is not smaller.
  return idleMillis < HOLDER_IDLE_MILLIS
    ? { do: 'keep', againAfterMillis: HOLDER_IDLE_MILLIS - idleMillis + 1_000 }
    : { do: 'end', pod };
}

export class HolderReconciler implements Reconciler<HolderFacts, HolderStep> {
  readonly #view: ClusterView;

  constructor(view: ClusterView) {
    this.#view = view;
  }

  async observe({ key, signal }: ReconcileContext): Promise<HolderFacts | Gone> {
    const { resources, caches, clock } = this.#view;
    const pod = await resources.pods.find(parseKey(key), { signal });
    if (
      pod === undefined ||
      pod.metadata.labels?.[LABELS.role] !== 'holder' ||
      pod.metadata.deletionTimestamp !== undefined
    ) {
      return GONE;
    }
    return { nowMillis: clock.now(), pod, tasks: caches.tasks.values() };
  }

  decide(facts: HolderFacts): HolderStep {
    return decideHolder(facts);
  }

  async act(step: HolderStep, { signal }: ReconcileContext): Promise<ActResult | undefined> {
    const actions = new ClusterActions(this.#view.resources, signal);
    switch (step.do) {
      case 'keep':
        return { requeueAfterMillis: step.againAfterMillis };
      case 'renew':
        await actions.touchHolder(step.pod, step.lastUsed);
        return { requeueAfterMillis: RENEW_MILLIS };
      case 'end':
        // Only if nobody has touched it since: whoever uses it touches it first.
        await actions.deletePod(step.pod, true);
        return undefined;
    }
  }
}
