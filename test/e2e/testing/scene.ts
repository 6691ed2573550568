// One test's own corner of the cluster: a namespace with a claim and a store in it, gone when the test ends.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint, CheckpointSpec } from '../../../crds/checkpoint.ts';
import { API_VERSION, type Condition } from '../../../crds/meta.ts';
import { LABELS, OPERATOR_NAMESPACE } from '../../../crds/names.ts';
import type { Restore, RestoreSpec } from '../../../crds/restore.ts';
import { storeWithClaim, toYaml } from '../../../deploy/demo/manifests.ts';
import type { Kubectl } from '../../../deploy/demo/kubectl.ts';
import { isConditionTrue } from '../../../kube/conditions.ts';
import type { Pod } from '../../../src/cluster/pod.ts';
import { type Cluster, CLUSTER_FOLDER } from './cluster.ts';
import { eventually } from './eventually.ts';
import type { PodManifest } from './witness.ts';

const SETTLE_MILLIS = 120_000;
/** Kubernetes must give up the namespace's pods first. */
const LEAVE_MILLIS = 90_000;

export interface SceneOptions {
  /** Pod Security level that the namespace enforces */
  readonly level?: 'restricted' | 'privileged';
  /** without it the namespace is empty */
  readonly store?: boolean;
}

export class Scene implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly kubectl: Kubectl;

  private constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.kubectl = cluster.kubectl(namespace);
  }

  static async create(cluster: Cluster, name: string, options: SceneOptions = {}): Promise<Scene> {
    const { level = 'restricted', store = true } = options;
    const scene = new Scene(cluster, `e2e-${name}`);
    // Of an earlier run.
    await scene.leave();
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    await scene.kubectl.apply(
      toYaml({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: scene.namespace, labels },
      }),
    );
    if (store) {
      await scene.kubectl.apply(toYaml(...storeWithClaim(true)));
    }
    return scene;
  }

  /** Applies pods and waits until they are ready. */
  async run(...pods: readonly PodManifest[]): Promise<Pod[]> {
    await this.kubectl.apply(toYaml(...pods));
    const names = pods.map(({ metadata }) => metadata.name);
    const waited = names.map((name) => `pod/${name}`);
    await this.kubectl.run(['wait', '--for=condition=Ready', ...waited, '--timeout=120s']);
    return await Promise.all(names.map((name) => this.pod(name)));
  }

  async pod(name: string): Promise<Pod> {
    return await this.cluster.pods.get({ namespace: this.namespace, name });
  }

  async findPod(name: string): Promise<Pod | undefined> {
    return await this.cluster.pods.find({ namespace: this.namespace, name });
  }

  async checkpoint(name: string, pod: string, spec: Partial<CheckpointSpec> = {}): Promise<void> {
    const whole: CheckpointSpec = { source: { pod: { name: pod } }, ...spec };
    await this.kubectl.apply(
      toYaml({ apiVersion: API_VERSION, kind: 'Checkpoint', metadata: { name }, spec: whole }),
    );
  }

  async restore(name: string, checkpoint: string, spec: Partial<RestoreSpec> = {}): Promise<void> {
    const whole: RestoreSpec = { checkpointRef: { name: checkpoint }, ...spec };
    await this.kubectl.apply(
      toYaml({ apiVersion: API_VERSION, kind: 'Restore', metadata: { name }, spec: whole }),
    );
  }

  /** @returns the Checkpoint once it is ready or has failed */
  async settledCheckpoint(name: string, limitMillis = SETTLE_MILLIS): Promise<Checkpoint> {
    const read = () => this.cluster.checkpoints.get({ namespace: this.namespace, name });
    return await eventually(`Checkpoint ${name} ends`, read, hasSettled, limitMillis);
  }

  /** @returns the Restore once it is ready or has failed */
  async settledRestore(name: string, limitMillis = SETTLE_MILLIS): Promise<Restore> {
    const read = () => this.cluster.restores.get({ namespace: this.namespace, name });
    return await eventually(`Restore ${name} ends`, read, hasSettled, limitMillis);
  }

  /** Where the store's volume lies on this machine. */
  async volume(claim = 'checkpoints'): Promise<string> {
    const read = () => this.cluster.claims.get({ namespace: this.namespace, name: claim });
    const { spec } = await eventually(
      `claim ${claim} binds`,
      async () => (await read()) as { readonly spec: { readonly volumeName?: string } },
      (found) => found.spec.volumeName !== undefined,
    );
    return join(CLUSTER_FOLDER, 'run/volumes', (spec.volumeName ?? '').replace('pool-', ''));
  }

  /** Everything in the namespace's folder of the store: bundles, and whatever should not be there. */
  async stored(claim = 'checkpoints'): Promise<readonly string[]> {
    const folder = join(await this.volume(claim), this.namespace);
    return existsSync(folder) ? readdirSync(folder).toSorted() : [];
  }

  /** What the work of Diapause has left: tasks, and pods that still wait for processes. */
  async leftovers(): Promise<readonly string[]> {
    const { tasks, pods, restores } = this.cluster;
    const [allTasks, restored, finished] = await Promise.all([
      tasks.list({ namespace: OPERATOR_NAMESPACE }),
      pods.list({ namespace: this.namespace, labelSelector: `${LABELS.role}=restored` }),
      restores.list({ namespace: this.namespace }),
    ]);
    const wanted = new Set(
      finished.items.filter((one) => isReady(one)).map(({ metadata }) => metadata.uid),
    );
    return [
      ...allTasks.items
        .filter(({ spec }) => spec.owner.namespace === this.namespace)
        .map(({ metadata, spec }) => `NodeTask ${metadata.name} (${spec.type})`),
      ...restored.items
        .filter(({ metadata }) => !wanted.has(metadata.labels?.[LABELS.restoreUid]))
        .map(({ metadata }) => `placeholder ${metadata.name}`),
    ];
  }

  /** @throws AssertionError when something stays */
  async untilNothingIsLeft(bundles: readonly string[] = []): Promise<void> {
    await eventually('nothing is left', () => this.leftovers(), isEmpty, 60_000);
    const expected = JSON.stringify([...bundles].toSorted());
    await eventually(
      `only bundles ${expected} on the store`,
      () => this.stored(),
      (found) => JSON.stringify(found) === expected,
      20_000,
    );
  }

  /** Waits until the namespace is gone, with everything that Diapause has to remove before. */
  async leave(): Promise<void> {
    await this.#delete(`--timeout=${LEAVE_MILLIS / 1000}s`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#delete('--wait=false');
  }

  async #delete(how: string): Promise<void> {
    await this.kubectl.run(['delete', 'namespace', this.namespace, '--ignore-not-found', how]);
  }
}

interface Conditioned {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

const isEmpty = (items: readonly unknown[]): boolean => items.length === 0;

export const isReady = ({ status }: Conditioned): boolean =>
  isConditionTrue(status?.conditions, 'Ready');

const hasSettled = (object: Conditioned): boolean =>
  isReady(object) || isConditionTrue(object.status?.conditions, 'Failed');

/** The folder name of its bundle. */
export function bundleName({ metadata }: Checkpoint): string {
  return `${metadata.name}-${metadata.uid}`;
}

/** `Reason: message` of the condition that tells how it ended. */
export function verdict({ status }: Conditioned): string {
  const told = status?.conditions?.find(({ type }) => type === 'Ready');
  return `${told?.reason}: ${told?.message}`;
}
