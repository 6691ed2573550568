// What observers read: the API server itself for what a decision hangs on, caches for what only has to be found.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { Migration } from '../../crds/migration.ts';
import { ADOPTION_POLICY, LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask, NodeTaskSpec } from '../../crds/node-task.ts';
import type { Clock } from '../../kube/clock.ts';
import { type Agent, agentsOf } from './agents.ts';
import type { ClaimFacts } from '../checkpoint-store/claim.ts';
import { taskName } from '../node-task/task.ts';
import type { ReplicaOwner } from '../placeholder/wanted-pod.ts';
import type { Pod } from './pod.ts';
import type { AnyObject, ClusterResources, Node } from './types.ts';

/** A ListWatch, or a list in tests. */
export interface Cached<T> {
  values(): readonly T[];
}

export interface ClusterCaches {
  readonly checkpoints: Cached<Checkpoint>;
  readonly migrations: Cached<Migration>;
  readonly tasks: Cached<NodeTask>;
  /** agents, holders and restored pods */
  readonly pods: Cached<Pod>;
}

export class ClusterView {
  readonly resources: ClusterResources;
  readonly caches: ClusterCaches;
  readonly clock: Clock;

  constructor(resources: ClusterResources, caches: ClusterCaches, clock: Clock) {
    this.resources = resources;
    this.caches = caches;
    this.clock = clock;
  }

  agents(): readonly Agent[] {
    return agentsOf(this.caches.pods.values(), this.caches.tasks.values());
  }

  holdersOf(claimUid: string | undefined): readonly Pod[] {
    return this.caches.pods
      .values()
      .filter(
        ({ metadata }) => claimUid !== undefined && metadata.labels?.[LABELS.claimUid] === claimUid,
      );
  }

  /** The task of a type for a pod or Checkpoint, whoever owns it. */
  async task(
    type: NodeTaskSpec['type'],
    subjectUid: string | undefined,
    signal: AbortSignal,
  ): Promise<NodeTask | undefined> {
    if (subjectUid === undefined) {
      return undefined;
    }
    const name = taskName(type, subjectUid);
    return await this.resources.nodeTasks.find({ namespace: OPERATOR_NAMESPACE, name }, { signal });
  }

  /** As the cache knows it: enough to clean up. */
  cachedTask(type: NodeTaskSpec['type'], subjectUid: string | undefined): NodeTask | undefined {
    const name = taskName(type, subjectUid ?? '');
    return this.caches.tasks.values().find(({ metadata }) => metadata.name === name);
  }

  async node(name: string | undefined, signal: AbortSignal): Promise<Node | undefined> {
    return name === undefined ? undefined : await this.resources.nodes.find({ name }, { signal });
  }

  /** Whether the policy that makes a controller's next replica a placeholder is there. */
  async adoptionInstalled(signal: AbortSignal): Promise<boolean> {
    const { mutatingPolicies, mutatingPolicyBindings } = this.resources;
    const name = ADOPTION_POLICY;
    const found = await Promise.all([
      // NotFound, too, where the API server does not know the kind.
      mutatingPolicies.find({ name }, { signal }),
      mutatingPolicyBindings.find({ name }, { signal }),
    ]);
    return found.every((object) => object !== undefined);
  }

  async replicaOwner(
    namespace: string | undefined,
    { kind, name }: ReplicaOwner,
    signal: AbortSignal,
  ): Promise<AnyObject | undefined> {
    const { replicaSets, statefulSets, jobs } = this.resources;
    const resource = { ReplicaSet: replicaSets, StatefulSet: statefulSets, Job: jobs }[kind];
    return await resource.find({ namespace, name }, { signal });
  }

  async claim(
    namespace: string | undefined,
    claimName: string | undefined,
    signal: AbortSignal,
  ): Promise<ClaimFacts | undefined> {
    if (claimName === undefined) {
      return undefined;
    }
    const claim = await this.resources.claims.find({ namespace, name: claimName }, { signal });
    const className = claim?.spec.storageClassName;
    const unbound = claim?.status?.phase !== 'Bound' && className !== undefined && className !== '';
    const storageClass = unbound
      ? await this.resources.storageClasses.find({ name: className }, { signal })
      : undefined;
    return { claimName, claim, storageClass };
  }

  async namespaceEnding(name: string | undefined, signal: AbortSignal): Promise<boolean> {
    const namespace =
      name === undefined ? undefined : await this.resources.namespaces.find({ name }, { signal });
    return namespace?.metadata.deletionTimestamp !== undefined;
  }
}
