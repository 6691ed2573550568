// A StatefulSet or Job with one replica, for tests of the controller: makes the next one when there is none, and counts
// failures as the Job controller does.
import { ADOPTION_POLICY, JOB_TRACKING_FINALIZER } from '../../crds/names.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/api-error.ts';
import type { Client } from '../../kube/client.ts';
import { pause, systemClock } from '../../kube/clock.ts';
import type { Pod } from '../cluster/pod.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { NAMESPACE, pod } from './builders.ts';
import type { SmallCluster } from './small-cluster.ts';

const POLL_MILLIS = 20;
const OWNER_NAME = 'redis-set';

export class ReplicaController {
  readonly kind: 'StatefulSet' | 'Job';
  /** pods that the Job counts as failed */
  failed = 0;
  /** names of the replicas made, as the API server returned them */
  readonly made: Pod[] = [];
  readonly #client: Client;
  #ownerUid = '';

  private constructor(client: Client, kind: 'StatefulSet' | 'Job') {
    this.#client = client;
    this.kind = kind;
  }

  /** The pod `redis` becomes its replica; the adoption policy is installed unless told otherwise. */
  static async own(
    cluster: SmallCluster,
    kind: 'StatefulSet' | 'Job',
    options: { readonly withPolicy?: boolean } = {},
  ): Promise<ReplicaController> {
    const controller = new ReplicaController(cluster.server.client(), kind);
    if (options.withPolicy !== false) {
      for (const type of [RESOURCE_TYPES.mutatingPolicies, RESOURCE_TYPES.mutatingPolicyBindings]) {
        const metadata = { name: ADOPTION_POLICY };
        cluster.server.seed(type, { apiVersion: 'v1', kind: 'Policy', metadata });
      }
    }
    const type = kind === 'Job' ? RESOURCE_TYPES.jobs : RESOURCE_TYPES.statefulSets;
    const metadata = { name: OWNER_NAME, namespace: NAMESPACE };
    const owner = cluster.server.seed(type, { apiVersion: 'apps/v1', kind, metadata });
    controller.#ownerUid = (owner.metadata as { uid?: string }).uid ?? '';
    const changes = controller.#metadata();
    const pods = controller.#client.resource<Pod>(RESOURCE_TYPES.pods);
    await pods.mergePatch({ namespace: NAMESPACE, name: 'redis' }, { metadata: changes });
    return controller;
  }

  async run(signal: AbortSignal): Promise<void> {
    const pods = this.#client.resource<Pod>(RESOURCE_TYPES.pods);
    while (!signal.aborted) {
      try {
        const { items } = await pods.list({ namespace: NAMESPACE, signal });
        await this.#reconcile(items.filter((one) => this.#owns(one)));
      } catch (error) {
        const passing = isConflict(error) || isNotFound(error) || isAlreadyExists(error);
        if (!signal.aborted && !passing) {
          throw error;
        }
      }
      await pause(systemClock, POLL_MILLIS, signal);
    }
  }

  async #reconcile(own: readonly Pod[]): Promise<void> {
    const pods = this.#client.resource<Pod>(RESOURCE_TYPES.pods);
    const isGoing = ({ metadata }: Pod): boolean => metadata.deletionTimestamp !== undefined;
    for (const { metadata } of own.filter(isGoing)) {
      if (metadata.finalizers?.includes(JOB_TRACKING_FINALIZER)) {
        this.failed += 1;
        await pods.mergePatch(metadata, { metadata: { finalizers: [] } });
      }
    }
    // A StatefulSet waits for the end of the one before, a Job does not.
    const counted = this.kind === 'Job' ? own.filter((one) => !isGoing(one)) : own;
    if (counted.length === 0) {
      this.made.push(await pods.create(this.#replica()));
    }
  }

  #owns({ metadata }: Pod): boolean {
    return metadata.ownerReferences?.some(({ uid }) => uid === this.#ownerUid) ?? false;
  }

  #replica(): Pod {
    const { nodeName: _decided, ...spec } = pod().spec;
    const named = this.kind === 'Job' ? { generateName: `${OWNER_NAME}-` } : { name: 'redis' };
    const metadata = { namespace: NAMESPACE, ...named, ...this.#metadata() };
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec } as unknown as Pod;
  }

  #metadata(): Partial<Pod['metadata']> {
    const owner = { apiVersion: 'apps/v1', kind: this.kind, name: OWNER_NAME };
    const job = this.kind === 'Job';
    return {
      labels: { app: 'redis', ...(!job && { 'controller-revision-hash': 'redis-set-5f' }) },
      ownerReferences: [{ ...owner, uid: this.#ownerUid, controller: true }],
      ...(job && { finalizers: [JOB_TRACKING_FINALIZER] }),
    };
  }
}
