// Waiting for the next replica of a controller, which an admission policy makes the placeholder (design K9; pure).
import { ADOPTION_POLICY, ANNOTATIONS, LABELS } from '../../crds/names.ts';
import type { Adoption, Restore } from '../../crds/restore.ts';
import type { Pod } from '../cluster/pod.ts';
import { adoptTarget, newPodName, replicaOwner } from '../placeholder/wanted-pod.ts';
import { attemptsOf, fail, isOurs, type RestoreFacts, type RestoreStep, wait } from './facts.ts';
import { withPlaceholder } from './wanted-placeholder.ts';

const POLL_MILLIS = 200;

/** By these a controller tells revisions and single replicas apart: the restored one must be what the saved one was. */
const REVISION_LABELS = [
  'controller-revision-hash',
  'pod-template-hash',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-completion-index',
] as const;

export function isAdopting(restore: Restore): boolean {
  return adoptTarget(restore) !== undefined;
}

/** The policy may make a replica ours. */
export function isArmed({ metadata, status }: Restore): boolean {
  return metadata.labels?.[LABELS.waiting] !== undefined && status?.adoption !== undefined;
}

/** Something of it is left. */
export function isPartlyArmed({ metadata, status }: Restore): boolean {
  return metadata.labels?.[LABELS.waiting] !== undefined || status?.adoption !== undefined;
}

/** A replica that is ours is taken before anything else: until then the controller cannot make another one. */
export function replicaToTake({ restore, pod }: RestoreFacts): RestoreStep | undefined {
  if (pod === undefined || !isAdopting(restore) || !isOurs(restore, pod)) {
    return undefined;
  }
  const current = pod.metadata.labels?.[LABELS.attempt] === String(attemptsOf(restore));
  const taken = pod.metadata.labels?.[LABELS.role] === 'restored' && !isPartlyArmed(restore);
  return current && !taken ? { do: 'take-replica', pod } : undefined;
}

/** No replica is ours yet. Everything about the Checkpoint and the place was found in order. */
export function decideAdoption(facts: RestoreFacts): RestoreStep {
  const { restore, adoption } = facts;
  const objection = adoptionObjection(facts);
  if (objection !== undefined) {
    return objection;
  }
  const { status } = restore;
  const attempt = status?.adoption?.labels[LABELS.attempt];
  if (!isArmed(restore) || attempt !== String(attemptsOf(restore))) {
    return arm(facts);
  }
  if (status?.adoption?.inForce === true) {
    return wait('WaitingForReplica', waitingFor(facts), POLL_MILLIS);
  }
  const { rehearsal } = adoption ?? {};
  if (rehearsal === 'Adopted') {
    return { do: 'adoption-in-force' };
  }
  const why =
    typeof rehearsal === 'object'
      ? `the API server refuses a replica for trial: ${rehearsal.refused}`
      : 'the admission policy does not know of this Restore yet';
  return wait('WaitingForReplica', why, POLL_MILLIS);
}

function adoptionObjection(facts: RestoreFacts): RestoreStep | undefined {
  const { restore, checkpoint, adoption } = facts;
  const owner = replicaOwner(restore, checkpoint);
  if (owner === undefined) {
    const { ownerKind = 'none', ownerName = '' } = checkpoint?.status?.source ?? {};
    const what = `its controller was ${ownerKind} ${ownerName}`.trim();
    return fail('OwnerUnsupported', `spec.target.adopt: the saved pod cannot be adopted, ${what}`);
  }
  if (adoption?.installed !== true) {
    const what = `MutatingAdmissionPolicy ${ADOPTION_POLICY}`;
    return fail('AdoptionUnavailable', `spec.target.type: Adopt: there is no ${what}`);
  }
  const what = `${owner.kind} ${owner.name}`;
  if (adoption.owner === undefined) {
    return fail('OwnerNotFound', `spec.target.adopt.ownerRef: ${what} does not exist`);
  }
  if (owner.kind === 'StatefulSet' && newPodName(restore, checkpoint) !== savedName(facts)) {
    const names = `only a replica named ${savedName(facts)} has the claims and the identity of the saved pod`;
    return fail('OwnerUnsupported', `spec.target.adopt.podName: ${names}`);
  }
  return occupied(facts, owner.kind === 'StatefulSet' ? adoption.owner.metadata.uid : undefined);
}

function savedName({ checkpoint }: RestoreFacts): string | undefined {
  return checkpoint?.spec.source.pod.name;
}

/** @param statefulSet its replica has the name until it is replaced */
function occupied(facts: RestoreFacts, statefulSet: string | undefined): RestoreStep | undefined {
  const { occupant } = facts.adoption ?? {};
  const isSibling = occupant?.metadata.ownerReferences?.some(({ uid }) => uid === statefulSet);
  return occupant === undefined || isSibling === true
    ? undefined
    : fail('PodNameTaken', `a pod named "${occupant.metadata.name}" exists already`);
}

function waitingFor({ restore, checkpoint, adoption }: RestoreFacts): string {
  const owner = replicaOwner(restore, checkpoint);
  const running = adoption?.occupant;
  const next = `waiting for the next replica of ${owner?.kind} ${owner?.name}`;
  return running === undefined ? next : `${next}; pod ${running.metadata.name} is still there`;
}

function arm(facts: RestoreFacts): RestoreStep {
  return withPlaceholder(facts, (pod) => {
    const made: Adoption = {
      ownerUID: facts.adoption?.owner?.metadata.uid ?? '',
      podName: pod.metadata.name,
      selector: revision(facts),
      ...added(facts.restore, pod),
      spec: { ...pod.spec },
    };
    return { do: 'arm-adoption', adoption: made };
  });
}

/** Not the role: that label is for the controller of Diapause to set, and templates could have it. */
function added(restore: Restore, pod: Pod): Pick<Adoption, 'labels' | 'annotations'> {
  const { labels = {}, annotations = {} } = pod.metadata;
  const ours = [ANNOTATIONS.restore, ANNOTATIONS.checkpoint, ANNOTATIONS.replaced];
  return {
    labels: {
      [LABELS.restoreUid]: labels[LABELS.restoreUid] ?? '',
      [LABELS.attempt]: String(attemptsOf(restore)),
    },
    annotations: Object.fromEntries(ours.map((name) => [name, annotations[name] ?? ''])),
  };
}

function revision({ checkpoint }: RestoreFacts): Readonly<Record<string, string>> {
  const labels = checkpoint?.status?.podTemplate?.metadata.labels ?? {};
  return Object.fromEntries(
    REVISION_LABELS.flatMap((name) => {
      const value = labels[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
