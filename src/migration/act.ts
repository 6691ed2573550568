// Does one step for a Migration: first to the cluster, then to the status, then an event if it is news.
import type { TypedObject } from '../../crds/meta.ts';
import type { Migration } from '../../crds/migration.ts';
import { FINALIZERS } from '../../crds/names.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/api-error.ts';
import type { ActResult, ReconcileContext } from '../../kube/controller.ts';
import type { Resource } from '../../kube/resource.ts';
import { ClusterActions, ignoring } from '../cluster/actions.ts';
import type { Pod } from '../cluster/pod.ts';
import { actionName, transitionEvents } from '../cluster/transitions.ts';
import type { ClusterResources } from '../cluster/types.ts';
import type { Listener } from '../observability/listener.ts';
import {
  isFinishedMigration,
  type MigrationFacts,
  type MigrationStep,
  sourcePod,
} from './facts.ts';
import { GRACE_SECONDS, LOWEST_RANK, RANK_ANNOTATION } from './release.ts';
import { migrationStatus } from './status.ts';

const SOON_MILLIS = 50;

export interface MigrationDecision {
  readonly facts: MigrationFacts;
  readonly step: MigrationStep;
}

export async function actOnMigration(
  resources: ClusterResources,
  listener: Listener,
  { facts, step }: MigrationDecision,
  { signal }: ReconcileContext,
): Promise<ActResult | undefined> {
  const { migration } = facts;
  const actions = new ClusterActions(resources, signal);
  await perform(step, { resources, actions, migration, signal });
  const status = migrationStatus(facts, step);
  if (await actions.applyStatus(resources.migrations, migration, status)) {
    const action = actionName(step.do);
    const { conditions } = status;
    const pod = sourcePod(facts);
    for (const event of transitionEvents({ object: migration, conditions, action, pod })) {
      listener.happened(event);
    }
    const after = { ...migration, status };
    if (isFinishedMigration(after) && !isFinishedMigration(migration)) {
      listener.migrationEnded(after);
    }
  }
  return againAfter(step);
}

/** What a step is done with. */
interface Call {
  readonly resources: ClusterResources;
  readonly actions: ClusterActions;
  readonly migration: Migration;
  readonly signal: AbortSignal;
}

/** Steps that change the cluster. Each may be repeated; the others only say something. */
const DOERS: {
  readonly [Do in MigrationStep['do']]?: (
    step: Extract<MigrationStep, { readonly do: Do }>,
    call: Call,
  ) => Promise<void>;
} = {
  'add-finalizer': (_step, call) => setFinalizer(call, [FINALIZERS.migration]),
  'remove-finalizer': (_step, call) => setFinalizer(call, []),
  'create-checkpoint': ({ checkpoint }, { resources, signal }) =>
    ignoring(isAlreadyExists, resources.checkpoints.create(checkpoint, { signal })),
  'create-restore': ({ restore }, { resources, signal }) =>
    ignoring(isAlreadyExists, resources.restores.create(restore, { signal })),
  'start-dump': ({ checkpoint }, { resources, signal }) =>
    patchSpec(resources.checkpoints, checkpoint, { suspend: false }, signal),
  'cancel-checkpoint': ({ checkpoint }, { resources, signal }) =>
    patchSpec(resources.checkpoints, checkpoint, { cancel: true }, signal),
  'resume-source': ({ checkpoint }, { resources, signal }) =>
    patchSpec(resources.checkpoints, checkpoint, { afterDump: 'Resume' }, signal),
  'cancel-restore': ({ restore }, { resources, signal }) =>
    patchSpec(resources.restores, restore, { cancel: true }, signal),
  'rank-source': ({ pod }, call) => patchPod(call, pod, rank()),
  'hand-over': ({ pod, labels }, call) => patchPod(call, pod, { labels }),
  'uncount-source': ({ pod }, { actions }) => ignoring(isNotFound, actions.uncountPod(pod)),
  'end-source': ({ pod }, { actions }) => actions.deletePod(pod, false, GRACE_SECONDS),
  'end-target': ({ pod }, { actions }) => actions.deletePod(pod, false, GRACE_SECONDS),
  'delete-checkpoint': ({ checkpoint }, { resources, signal }) => {
    const { namespace, name, uid = '' } = checkpoint.metadata;
    return ignoring(isGone, resources.checkpoints.delete({ namespace, name }, { uid, signal }));
  },
};

async function perform(step: MigrationStep, call: Call): Promise<void> {
  const does = DOERS[step.do] as ((step: MigrationStep, call: Call) => Promise<void>) | undefined;
  await does?.(step, call);
}

async function setFinalizer(
  { actions, resources, migration }: Call,
  ours: readonly string[],
): Promise<void> {
  const { finalizers = [] } = migration.metadata;
  const others = finalizers.filter((name) => name !== FINALIZERS.migration);
  await actions.setFinalizers(resources.migrations, migration.metadata, [...others, ...ours]);
}

function rank(): { readonly annotations: Readonly<Record<string, string>> } {
  return { annotations: { [RANK_ANNOTATION]: LOWEST_RANK } };
}

/** The uid is a precondition: only this very object. */
async function patchSpec<T extends TypedObject>(
  resource: Resource<T>,
  { metadata }: T,
  spec: object,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, uid } = metadata;
  await resource.mergePatch({ namespace, name }, { metadata: { uid }, spec }, { signal });
}

async function patchPod({ resources, signal }: Call, pod: Pod, changes: object): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  await resources.pods.mergePatch(
    { namespace, name },
    { metadata: { uid, ...changes } },
    { signal },
  );
}

function isGone(error: unknown): boolean {
  return isNotFound(error) || isConflict(error);
}

function againAfter(step: MigrationStep): ActResult | undefined {
  if (step.do === 'nothing' || step.do === 'remove-finalizer') {
    return undefined;
  }
  return { requeueAfterMillis: step.do === 'wait' ? step.againAfterMillis : SOON_MILLIS };
}
