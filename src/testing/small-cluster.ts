// A small cluster in memory: the test API server, two nodes with agents, a claim, a default store, a running pod,
// and the controller at work on it.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { TypedObject } from '../../crds/meta.ts';
import type { Migration } from '../../crds/migration.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore } from '../../crds/restore.ts';
import { formatTime } from '../../kube/clock.ts';
import { findCondition } from '../../kube/conditions.ts';
import type { Occurrence } from '../../kube/events.ts';
import type { ResourceType } from '../../kube/resource-types.ts';
import { FakeApiServer } from '../../kube/testing/fake-api-server.ts';
import type { FakeKind } from '../../kube/testing/fake-store.ts';
import type { JsonObject } from '../../kube/testing/json.ts';
import { until } from '../../kube/testing/until.ts';
import type { Pod } from '../cluster/pod.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { Manager } from '../manager.ts';
import type { Listener } from '../observability/listener.ts';
import { admitReplica } from './adoption-policy.ts';
import {
  agent,
  checkpoint,
  claim,
  migration,
  NAMESPACE,
  node,
  pod,
  restore,
  store,
} from './builders.ts';
import { FakeNode } from './fake-node.ts';

/** What the API server must know for the controller. */
export const KINDS: readonly FakeKind[] = [
  { ...RESOURCE_TYPES.checkpoints, kind: 'Checkpoint' },
  { ...RESOURCE_TYPES.restores, kind: 'Restore' },
  { ...RESOURCE_TYPES.checkpointGroups, kind: 'CheckpointGroup' },
  { ...RESOURCE_TYPES.checkpointSchedules, kind: 'CheckpointSchedule' },
  { ...RESOURCE_TYPES.migrations, kind: 'Migration' },
  { ...RESOURCE_TYPES.checkpointStores, kind: 'CheckpointStore' },
  { ...RESOURCE_TYPES.nodeTasks, kind: 'NodeTask', selectable: ['spec.nodeName'] },
  { ...RESOURCE_TYPES.pods, kind: 'Pod', selectable: ['spec.nodeName'], graceful: true },
  { ...RESOURCE_TYPES.nodes, kind: 'Node', selectable: ['spec.unschedulable'] },
  { ...RESOURCE_TYPES.claims, kind: 'PersistentVolumeClaim' },
  { ...RESOURCE_TYPES.volumes, kind: 'PersistentVolume' },
  { ...RESOURCE_TYPES.namespaces, kind: 'Namespace' },
  {
    ...RESOURCE_TYPES.events,
    kind: 'Event',
    statusSubresource: false,
    selectable: ['involvedObject.uid', 'reason'],
  },
  { ...RESOURCE_TYPES.storageClasses, kind: 'StorageClass', statusSubresource: false },
  { ...RESOURCE_TYPES.replicaSets, kind: 'ReplicaSet' },
  { ...RESOURCE_TYPES.statefulSets, kind: 'StatefulSet' },
  { ...RESOURCE_TYPES.jobs, kind: 'Job' },
  { ...RESOURCE_TYPES.mutatingPolicies, kind: 'MutatingAdmissionPolicy' },
  { ...RESOURCE_TYPES.mutatingPolicyBindings, kind: 'MutatingAdmissionPolicyBinding' },
];

/** Images of the test are present on both nodes under this id. */
const imageID = (): string => `sha256:${'d1'.repeat(32)}`;

export class SmallCluster implements AsyncDisposable {
  readonly events: Occurrence[] = [];
  readonly ended: string[] = [];
  readonly server: FakeApiServer;
  readonly nodes: readonly [FakeNode, FakeNode];
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  #manager: { readonly stop: AbortController; readonly run: Promise<void> } | undefined;

  private constructor(server: FakeApiServer) {
    this.server = server;
    const client = server.client({ fieldManager: 'fake-node' });
    this.nodes = [
      new FakeNode({ client, name: 'node-a', imageID }),
      new FakeNode({ client, name: 'node-b', imageID }),
    ];
  }

  static async start(): Promise<SmallCluster> {
    const restores = (): readonly Restore[] => server.all<Restore>(RESOURCE_TYPES.restores);
    const admit = (object: JsonObject): JsonObject => admitReplica(object, restores());
    const kinds = KINDS.map((kind) => (kind.plural === 'pods' ? { ...kind, admit } : kind));
    const server = await FakeApiServer.start({ kinds });
    const cluster = new SmallCluster(server);
    try {
      cluster.#seed();
    } catch (error) {
      await cluster.server.close();
      throw error;
    }
    cluster.#running.push(...cluster.nodes.map((one) => one.run(cluster.#stop.signal)));
    cluster.startController();
    return cluster;
  }

  /** A controller that begins with nothing but what the API server tells. */
  startController(): void {
    const stop = new AbortController();
    const listener: Listener = {
      happened: (event) => this.events.push(event),
      checkpointEnded: ({ metadata }) => this.ended.push(metadata.name),
      restoreEnded: ({ metadata }) => this.ended.push(metadata.name),
      migrationEnded: ({ metadata }) => this.ended.push(metadata.name),
    };
    const client = this.server.client({ fieldManager: 'diapause-controller' });
    const manager = new Manager({ client, serverVersion: 'v1.37.2', listener });
    this.#manager = { stop, run: manager.run(stop.signal) };
  }

  /** Something else that runs as long as the cluster. */
  alsoRun(part: { run(signal: AbortSignal): Promise<void> }): void {
    this.#running.push(part.run(this.#stop.signal));
  }

  async stopController(): Promise<void> {
    this.#manager?.stop.abort();
    await this.#manager?.run;
    this.#manager = undefined;
  }

  createCheckpoint(spec: Partial<Checkpoint['spec']> = {}, name = 'redis-1'): void {
    const { metadata: _ours, ...rest } = checkpoint(spec);
    const metadata = { name, namespace: NAMESPACE };
    this.server.seed(RESOURCE_TYPES.checkpoints, { ...rest, metadata });
  }

  createRestore(spec: Partial<Restore['spec']> = {}): void {
    const { metadata: _ours, ...rest } = restore(spec);
    const metadata = { name: 'redis-back', namespace: NAMESPACE };
    this.server.seed(RESOURCE_TYPES.restores, { ...rest, metadata });
  }

  createMigration(spec: Partial<Migration['spec']> = {}, name = 'away'): void {
    const { metadata: _ours, ...rest } = migration(spec);
    const metadata = { name, namespace: NAMESPACE, creationTimestamp: formatTime(Date.now()) };
    this.server.seed(RESOURCE_TYPES.migrations, { ...rest, metadata });
  }

  checkpoint(name = 'redis-1'): Checkpoint | undefined {
    return this.#peek(RESOURCE_TYPES.checkpoints, name);
  }

  restore(name = 'redis-back'): Restore | undefined {
    return this.#peek(RESOURCE_TYPES.restores, name);
  }

  migration(name = 'away'): Migration | undefined {
    return this.#peek(RESOURCE_TYPES.migrations, name);
  }

  pods(): readonly Pod[] {
    return this.server.all<Pod>(RESOURCE_TYPES.pods);
  }

  pod(name: string): Pod | undefined {
    return this.#peek(RESOURCE_TYPES.pods, name);
  }

  tasks(): readonly NodeTask[] {
    return this.server.all(RESOURCE_TYPES.nodeTasks);
  }

  /** Waits until the Ready condition has this reason. */
  async untilReason(read: () => Conditioned | undefined, reason: string): Promise<void> {
    try {
      await until(`reason ${reason}`, () => reasonOf(read()) === reason, 30_000);
    } catch (error) {
      const tasks = this.tasks().map(({ metadata, status }) => [metadata.name, status]);
      const found = JSON.stringify({ status: read()?.status, tasks });
      throw new Error(`no reason ${reason}: ${found}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopController();
    this.#stop.abort();
    await Promise.all(this.#running);
    await this.server.close();
  }

  #peek<T extends TypedObject>(type: ResourceType, name: string): T | undefined {
    return this.server.peek<T>(type, { namespace: NAMESPACE, name });
  }

  #seed(): void {
    // Versions and uids are the server's to give.
    const seed = <T extends TypedObject>(type: ResourceType, object: T): void => {
      const { resourceVersion: _version, uid: _uid, ...metadata } = object.metadata;
      this.server.seed(type, { ...object, metadata });
    };
    seed(RESOURCE_TYPES.nodes, node('node-a'));
    seed(RESOURCE_TYPES.nodes, node('node-b'));
    seed(RESOURCE_TYPES.pods, agent('node-a'));
    seed(RESOURCE_TYPES.pods, agent('node-b'));
    seed(RESOURCE_TYPES.claims, claim());
    seed(RESOURCE_TYPES.checkpointStores, store());
    seed(RESOURCE_TYPES.namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE },
    });
    const source = pod();
    const [status] = source.status?.containerStatuses ?? [];
    const containerStatuses = status === undefined ? [] : [{ ...status, imageID: imageID() }];
    seed(RESOURCE_TYPES.pods, {
      ...source,
      status: { ...source.status, containerStatuses },
    });
  }
}

type Conditioned = Checkpoint | Restore | Migration;

export function reasonOf(object: Conditioned | undefined): string | undefined {
  return findCondition(object?.status?.conditions, 'Ready')?.reason;
}
