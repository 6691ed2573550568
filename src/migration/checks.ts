// Whether a pod can be migrated to where the Migration wants it: ordered checks, before anything is made (pure).
import { MIGRATION_DEFAULTS, type Migration } from '../../crds/migration.ts';
import type { OwnerReference } from '../../crds/meta.ts';
import { ADOPTION_POLICY, INIT_VOLUME } from '../../crds/names.ts';
import { lackOfAll, lackOfNode, needsOn } from '../agent/fitness.ts';
import type { Pod } from '../cluster/pod.ts';
import { unsupportedPod } from '../cluster/unsupported-pod.ts';
import {
  isConfined,
  type MountedClaim,
  nameOf,
  nodesInReach,
  outOfReach,
} from '../cluster/volume-reach.ts';
import {
  type Failure,
  isAccepted,
  type MigrationFacts,
  type MigrationStep,
  wait,
} from './facts.ts';
import { isReplacing } from './replaced.ts';

/** Things applied together with the Migration may come a little later. */
const ABSENCE_GRACE_MILLIS = 10_000;
const MIGRATED_OWNERS: readonly (string | undefined)[] = [
  undefined,
  'ReplicaSet',
  'StatefulSet',
  'Job',
];

type Objection = Failure | Extract<MigrationStep, { do: 'wait' }> | undefined;

const CHECKS: readonly ((facts: MigrationFacts) => Objection)[] = [
  strategyIsUnsupported,
  podIsMissing,
  podIsAnother,
  podIsUnsupported,
  ownerIsUnsupported,
  replicaCannotBeAdopted,
  nameIsFixed,
  ownerIsUpdating,
  podDoesNotRun,
  contentStaysBehind,
  claimIsNotShared,
  podIsMigrating,
  nodeIsMissing,
  nodeIsTheSame,
  nodeHasAnotherArchitecture,
  volumeIsElsewhere,
  nodeIsUnfit,
];

/** @returns the first thing that stands in the way: a failure, or something that may pass */
export function firstObjection(facts: MigrationFacts): Exclude<Objection, undefined> | undefined {
  for (const check of CHECKS) {
    const objection = check(facts);
    if (objection !== undefined) {
      return objection;
    }
  }
  return undefined;
}

function strategyIsUnsupported({ migration, pod }: MigrationFacts): Objection {
  const { strategy = MIGRATION_DEFAULTS.strategy } = migration.spec;
  const { kind } = controllerOf(pod) ?? {};
  const early = isReplacing(kind)
    ? `the new pod of a ${kind} does not exist yet when the source is saved`
    : undefined;
  const why: Readonly<Record<typeof strategy, string | undefined>> = {
    Cold: undefined,
    Direct: early,
    PreCopy: early,
    PostCopy: 'the engine does not fetch pages on demand yet',
  };
  const facts = why[strategy];
  return facts === undefined
    ? undefined
    : { reason: 'StrategyUnsupported', facts: `spec.strategy: ${strategy}: ${facts}` };
}

function podIsMissing({ migration, pod, nowMillis }: MigrationFacts): Objection {
  if (pod !== undefined) {
    return undefined;
  }
  const facts = `spec.podRef.name: pod "${migration.spec.podRef.name}" does not exist`;
  const age = nowMillis - Date.parse(migration.metadata.creationTimestamp ?? '');
  return age < ABSENCE_GRACE_MILLIS ? wait('Pending', facts) : { reason: 'PodNotFound', facts };
}

function podIsAnother({ migration, pod }: MigrationFacts): Objection {
  const meant = migration.spec.podRef.uid;
  const uid = pod?.metadata.uid;
  return meant === undefined || meant === uid
    ? undefined
    : {
        reason: 'PodChanged',
        facts: `spec.podRef.uid: the pod has the uid ${uid}, meant is ${meant}`,
      };
}

function podIsUnsupported({ pod }: MigrationFacts): Objection {
  const objection = pod && unsupportedPod(pod);
  return objection === undefined
    ? undefined
    : { reason: 'PodUnsupported', facts: `spec.podRef: this pod cannot be saved, ${objection}` };
}

function ownerIsUnsupported({ pod }: MigrationFacts): Objection {
  const owner = controllerOf(pod);
  return MIGRATED_OWNERS.includes(owner?.kind)
    ? undefined
    : {
        reason: 'OwnerUnsupported',
        facts: `spec.podRef: the pod belongs to the ${owner?.kind} ${owner?.name}`,
      };
}

function controllerOf(pod: Pod | undefined): OwnerReference | undefined {
  return pod?.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function replicaCannotBeAdopted({ pod, adoptionInstalled }: MigrationFacts): Objection {
  const owner = controllerOf(pod);
  return adoptionInstalled || !isReplacing(owner?.kind)
    ? undefined
    : {
        reason: 'AdoptionUnavailable',
        facts: `spec.podRef: the next replica of the ${owner?.kind} ${owner?.name} cannot be made the new pod, there is no MutatingAdmissionPolicy ${ADOPTION_POLICY}`,
      };
}

function nameIsFixed({ migration, pod }: MigrationFacts): Objection {
  return migration.spec.newPodName === undefined || controllerOf(pod)?.kind !== 'StatefulSet'
    ? undefined
    : {
        reason: 'OwnerUnsupported',
        facts: 'spec.newPodName: the pod of a StatefulSet keeps its name; leave it out',
      };
}

/** The next replica would be another program. */
function ownerIsUpdating({ pod, updating }: MigrationFacts): Objection {
  const owner = controllerOf(pod);
  return updating
    ? wait('Pending', `the ${owner?.kind} ${owner?.name} is being updated, waiting for its end`)
    : undefined;
}

function podDoesNotRun({ pod }: MigrationFacts): Objection {
  if (pod?.metadata.deletionTimestamp !== undefined) {
    return { reason: 'PodNotRunning', facts: 'spec.podRef: the pod is being deleted' };
  }
  const phase = pod?.status?.phase;
  if (phase === 'Running') {
    return undefined;
  }
  const facts = `spec.podRef: the pod's phase is ${phase ?? 'unknown'}`;
  return phase === 'Succeeded' || phase === 'Failed'
    ? { reason: 'PodNotRunning', facts }
    : wait('Pending', `${facts}, waiting for Running`);
}

/** Nothing is lost silently: whoever can do without it says so. */
function contentStaysBehind({ migration, pod }: MigrationFacts): Objection {
  const { emptyDirContent = MIGRATION_DEFAULTS.emptyDirContent } = migration.spec;
  const volume = pod?.spec.volumes?.find(
    ({ name, emptyDir, ephemeral }) =>
      name !== INIT_VOLUME &&
      (ephemeral !== undefined || (emptyDir !== undefined && emptyDirContent !== 'Keep')),
  );
  if (volume === undefined || emptyDirContent === 'Discard') {
    return undefined;
  }
  const kind = volume.emptyDir === undefined ? 'ephemeral' : 'emptyDir';
  const facts = `spec.emptyDirContent: ${emptyDirContent}: the content of the ${kind} volume "${volume.name}" does not go along; Discard gives it up`;
  return { reason: 'VolumeStaysBehind', facts };
}

/** The new pod waits on its node while the source still has the volume on another one. */
function claimIsNotShared({ mounts, pod }: MigrationFacts): Objection {
  if (isReplacing(controllerOf(pod)?.kind)) {
    return undefined;
  }
  const alone = mounts.find(({ claim: { spec, status } }) => {
    const modes = status?.accessModes ?? spec.accessModes ?? [];
    return !modes.some((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany');
  });
  return alone === undefined
    ? undefined
    : {
        reason: 'VolumeStaysBehind',
        facts: `spec.podRef: the pod mounts the claim "${alone.claim.metadata.name}", which one node at a time can have`,
      };
}

/** Of several the one that was accepted comes first, then the oldest. */
function podIsMigrating({ migration, rivals }: MigrationFacts): Objection {
  const first = rivals.find((rival) => isAccepted(rival) || isOlder(rival, migration));
  const facts = `spec.podRef: the pod is being migrated by the Migration ${first?.metadata.name}`;
  return first === undefined ? undefined : { reason: 'AlreadyMigrating', facts };
}

function isOlder(a: Migration, b: Migration): boolean {
  const order = ({ metadata }: Migration): string =>
    `${metadata.creationTimestamp ?? ''} ${metadata.uid ?? ''}`;
  return order(a) < order(b);
}

function nodeIsMissing({ migration, targetNode }: MigrationFacts): Objection {
  const { nodeName } = migration.spec.target;
  return nodeName === undefined || targetNode !== undefined
    ? undefined
    : {
        reason: 'NodeNotFound',
        facts: `spec.target.nodeName: node "${nodeName}" does not exist`,
      };
}

function nodeIsTheSame({ migration, pod }: MigrationFacts): Objection {
  const { nodeName } = migration.spec.target;
  return nodeName !== undefined && nodeName === pod?.spec.nodeName
    ? { reason: 'SameNode', facts: `spec.target.nodeName: the pod is on node ${nodeName}` }
    : undefined;
}

function nodeHasAnotherArchitecture({ sourceNode, targetNode }: MigrationFacts): Objection {
  const from = sourceNode?.status?.nodeInfo?.architecture;
  const to = targetNode?.status?.nodeInfo?.architecture;
  return from === undefined || to === undefined || from === to
    ? undefined
    : {
        reason: 'ArchMismatch',
        facts: `spec.target.nodeName: node ${targetNode?.metadata.name} is ${to}, the pod's is ${from}`,
      };
}

/** The source would be gone before the scheduler says so. */
function volumeIsElsewhere(facts: MigrationFacts): Objection {
  const { mounts, nodes, pod, targetNode } = facts;
  if (targetNode !== undefined) {
    const missed = outOfReach(targetNode, mounts);
    return missed && staysBehind(facts, missed, `node ${targetNode.metadata.name} cannot mount`);
  }
  const confined = mounts.find(isConfined);
  const others = nodes.filter(({ metadata }) => metadata.name !== pod?.spec.nodeName);
  return confined === undefined || nodesInReach(others, mounts).size > 0
    ? undefined
    : staysBehind(facts, confined, `no node but ${pod?.spec.nodeName} can mount`);
}

function staysBehind({ migration }: MigrationFacts, missed: MountedClaim, who: string): Objection {
  const field = migration.spec.target.nodeName === undefined ? 'target' : 'target.nodeName';
  return { reason: 'VolumeStaysBehind', facts: `spec.${field}: ${who} ${nameOf(missed)}` };
}

/** The source reads its node's clocks, and uses its CPU, until it is stopped. */
function nodeIsUnfit(facts: MigrationFacts): Objection {
  const { migration, pod, agents, nodes, mounts } = facts;
  const source = pod?.spec.nodeName;
  const needs = needsOn(agents, source);
  const { nodeName } = migration.spec.target;
  if (nodeName !== undefined) {
    const lack = lackOfNode(needs, agents, nodeName);
    return lack && { ...lack, facts: `spec.target.nodeName: ${lack.facts}` };
  }
  const inReach = mounts.some(isConfined) && nodesInReach(nodes, mounts);
  const others = agents.filter(
    ({ nodeName: name }) => name !== source && (inReach === false || inReach.has(name)),
  );
  const lack = lackOfAll(needs, others);
  return lack && { ...lack, facts: `spec.target: no other node will do: ${lack.facts}` };
}
