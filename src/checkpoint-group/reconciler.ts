// CheckpointGroup: observe, decide, act.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { FINALIZERS } from '../../crds/names.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/api-error.ts';
import {
  type ActResult,
  GONE,
  type Gone,
  type ReconcileContext,
  type Reconciler,
} from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { selectorText } from '../../kube/label-selector.ts';
import { savablePods } from '../checkpoint-schedule/pods.ts';
import { ClusterActions, ignoring } from '../cluster/actions.ts';
import { actionName, transitionEvents } from '../cluster/transitions.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Listener } from '../observability/listener.ts';
import { decideGroup } from './decide.ts';
import { type GroupFacts, type GroupStep, isAccepted } from './facts.ts';
import { groupStatus } from './status.ts';

const SOON_MILLIS = 50;

export interface GroupDecision {
  readonly facts: GroupFacts;
  readonly step: GroupStep;
}

export class GroupReconciler implements Reconciler<GroupFacts, GroupDecision> {
  readonly #view: ClusterView;
  readonly #listener: Listener;

  constructor(view: ClusterView, listener: Listener) {
    this.#view = view;
    this.#listener = listener;
  }

  /** Live: who stands still hangs on it. */
  async observe({ key, signal }: ReconcileContext): Promise<GroupFacts | Gone> {
    const { resources, clock } = this.#view;
    const group = await resources.checkpointGroups.find(parseKey(key), { signal });
    if (group === undefined) {
      return GONE;
    }
    const { namespace } = group.metadata;
    const labelSelector = selectorText(group.spec.selector);
    const listed = isAccepted(group)
      ? []
      : (await resources.pods.list({ namespace, labelSelector, signal })).items;
    const found = await Promise.all(
      (group.status?.members ?? []).map(({ checkpointName: name }) =>
        resources.checkpoints.find({ namespace, name }, { signal }),
      ),
    );
    const checkpoints = found.filter((one) => one !== undefined);
    return { nowMillis: clock.now(), group, pods: savablePods(listed), checkpoints };
  }

  decide(facts: GroupFacts): GroupDecision {
    return { facts, step: decideGroup(facts) };
  }

  async act(
    { facts, step }: GroupDecision,
    { signal }: ReconcileContext,
  ): Promise<ActResult | undefined> {
    const { group } = facts;
    const actions = new ClusterActions(this.#view.resources, signal);
    await this.#perform(actions, facts, step, signal);
    const status = groupStatus(facts, step);
    if (await actions.applyStatus(this.#view.resources.checkpointGroups, group, status)) {
      const { conditions } = status;
      const change = { object: group, conditions, action: actionName(step.do), pod: undefined };
      transitionEvents(change).forEach((event) => this.#listener.happened(event));
    }
    if (step.do === 'nothing' || step.do === 'remove-finalizer') {
      return undefined;
    }
    return { requeueAfterMillis: step.do === 'wait' ? step.againAfterMillis : SOON_MILLIS };
  }

  async #perform(
    actions: ClusterActions,
    { group }: GroupFacts,
    step: GroupStep,
    signal: AbortSignal,
  ): Promise<void> {
    const { checkpoints, checkpointGroups } = this.#view.resources;
    const { finalizers = [] } = group.metadata;
    const others = finalizers.filter((name) => name !== FINALIZERS.group);
    const ours = step.do === 'add-finalizer' ? [FINALIZERS.group] : [];
    if (step.do === 'add-finalizer' || step.do === 'remove-finalizer') {
      await actions.setFinalizers(checkpointGroups, group.metadata, [...others, ...ours]);
    }
    if (!('checkpoints' in step)) {
      return;
    }
    const change = CHANGES[step.do];
    // All at once: the sooner the last one is told, the shorter the first one waits.
    await Promise.all(
      step.checkpoints.map(async (one: Checkpoint) => {
        const { namespace, name, uid = '' } = one.metadata;
        if (step.do === 'create-members') {
          await ignoring(isAlreadyExists, checkpoints.create(one, { signal }));
        } else if (change === undefined) {
          await ignoring(isGone, checkpoints.delete({ namespace, name }, { uid, signal }));
        } else {
          const patch = { metadata: { uid }, spec: change };
          await ignoring(
            isNotFound,
            checkpoints.mergePatch({ namespace, name }, patch, { signal }),
          );
        }
      }),
    );
  }
}

/** Of the spec of a member; undefined where it is created or deleted. */
const CHANGES: Readonly<
  Record<
    Extract<GroupStep, { checkpoints: unknown }>['do'],
    Partial<Checkpoint['spec']> | undefined
  >
> = {
  'create-members': undefined,
  'start-members': { suspend: false },
  'resume-members': { afterDump: 'Resume' },
  'cancel-members': { cancel: true },
  'delete-members': undefined,
};

function isGone(error: unknown): boolean {
  return isNotFound(error) || isConflict(error);
}
