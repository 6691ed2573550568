// Objects for tests: whole and ordinary, to be bent with `{ ...pod(), spec }`.
import type { Checkpoint, CheckpointSpec, CheckpointStatus } from '../../crds/checkpoint.ts';
import type { CheckpointStore } from '../../crds/checkpoint-store.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { ANNOTATIONS, INIT_IMAGE_CONTAINER, LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { Migration, MigrationSpec, MigrationStatus } from '../../crds/migration.ts';
import type { NodeTask, NodeTaskSpec, NodeTaskStatus } from '../../crds/node-task.ts';
import type { Restore, RestoreSpec } from '../../crds/restore.ts';
import type { Container, Pod, PodSpec, PodStatus } from '../cluster/pod.ts';
import type { Node, PersistentVolumeClaim } from '../cluster/types.ts';

/** The present of all tests. */
export const NOW = Date.parse('2026-11-24T12:00:00Z');
export const NAMESPACE = 'shop';
export const INIT_IMAGE = 'diapause.dev/init:test';

export function time(secondsFromNow: number): string {
  return new Date(NOW + secondsFromNow * 1000).toISOString().replace('.000Z', 'Z');
}

/** Some container's id: 64 hex digits made of two. */
export function containerID(digits: string): string {
  return `containerd://${digits.repeat(32)}`;
}

export function container(changes: Partial<Container> = {}): Container {
  return { name: 'main', image: 'redis:8', ...changes };
}

/** A running, ready pod on node-a. */
export function pod(changes: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  const spec: PodSpec = {
    restartPolicy: 'Always',
    nodeName: 'node-a',
    containers: [container()],
    ...changes,
  };
  const running = (c: Container, index: number) => ({
    name: c.name,
    ready: true,
    started: true,
    restartCount: 0,
    containerID: containerID(`a${index}`),
    imageID: `docker.io/library/redis@sha256:${'d1'.repeat(32)}`,
    state: { running: { startedAt: time(-3600) } },
  });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'redis',
      namespace: NAMESPACE,
      uid: 'pod-1',
      resourceVersion: '1',
      labels: { app: 'redis' },
      creationTimestamp: time(-3600),
      ...metadata,
    },
    spec,
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: spec.containers.map(running),
      ...(spec.initContainers && {
        initContainerStatuses: spec.initContainers.map((c, i) => running(c, i + 8)),
      }),
    },
  };
}

export function checkpoint(
  spec: Partial<CheckpointSpec> = {},
  status?: CheckpointStatus,
  metadata: Partial<Checkpoint['metadata']> = {},
): Checkpoint {
  return {
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: {
      name: 'redis-1',
      namespace: NAMESPACE,
      uid: 'chk-1',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: time(-1),
      finalizers: ['diapause.dev/bundle'],
      ...metadata,
    },
    spec: { source: { pod: { name: 'redis' } }, ...spec },
    ...(status && { status }),
  };
}

/** The status of a Checkpoint of `source` that went well. */
export function storedStatus(source: Pod, changes: CheckpointStatus = {}): CheckpointStatus {
  const { labels = {}, annotations = {} } = source.metadata;
  return {
    source: { podUID: source.metadata.uid ?? '', node: source.spec.nodeName ?? '' },
    store: { name: 'default', claimName: 'checkpoints' },
    podTemplate: { metadata: { labels, annotations }, spec: { ...source.spec } },
    attempts: 1,
    requirements: { arch: 'x86_64' },
    containers: (source.status?.containerStatuses ?? []).map(({ name, imageID = '' }) => ({
      name,
      imageID,
      processes: 1,
      threads: 5,
      memoryBytes: 1,
      rootfsDiffBytes: 0,
    })),
    bundle: {
      path: `${NAMESPACE}/redis-1-chk-1`,
      digest: `sha256:${'ee'.repeat(32)}`,
      bytes: 2 ** 20,
      size: '1Mi',
    },
    conditions: ['Accepted', 'Captured', 'Stored', 'Ready'].map((type) => ({
      type,
      status: 'True' as const,
      reason: 'Completed',
      message: 'done',
      lastTransitionTime: time(-1),
    })),
    ...changes,
  };
}

export function restore(
  spec: Partial<RestoreSpec> = {},
  metadata: Partial<Restore['metadata']> = {},
): Restore {
  return {
    apiVersion: API_VERSION,
    kind: 'Restore',
    metadata: {
      name: 'redis-back',
      namespace: NAMESPACE,
      uid: 'rst-1',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: time(-1),
      finalizers: ['diapause.dev/placeholder'],
      ...metadata,
    },
    spec: { checkpointRef: { name: 'redis-1' }, ...spec },
  };
}

export function migration(
  spec: Partial<MigrationSpec> = {},
  status?: MigrationStatus,
  metadata: Partial<Migration['metadata']> = {},
): Migration {
  return {
    apiVersion: API_VERSION,
    kind: 'Migration',
    metadata: {
      name: 'away',
      namespace: NAMESPACE,
      uid: 'ab12cd34-mig',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: time(-1),
      finalizers: ['diapause.dev/exactly-one'],
      ...metadata,
    },
    spec: { podRef: { name: 'redis' }, target: { nodeName: 'node-b' }, ...spec },
    ...(status && { status }),
  };
}

export function node(name = 'node-a', ready = true): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}` },
    status: {
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }],
      nodeInfo: {
        architecture: 'amd64',
        kubeletVersion: 'v1.37.2',
        containerRuntimeVersion: 'containerd://2.4.2',
      },
    },
  };
}

export function claim(changes: Partial<PersistentVolumeClaim> = {}): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'checkpoints', namespace: NAMESPACE, uid: 'pvc-1' },
    spec: { accessModes: ['ReadWriteMany'] },
    status: { phase: 'Bound', accessModes: ['ReadWriteMany'], capacity: { storage: '10Gi' } },
    ...changes,
  };
}

export function store(metadata: Partial<CheckpointStore['metadata']> = {}): CheckpointStore {
  return {
    apiVersion: API_VERSION,
    kind: 'CheckpointStore',
    metadata: {
      name: 'default',
      namespace: NAMESPACE,
      uid: 'chkst-1',
      creationTimestamp: time(-7200),
      annotations: { [ANNOTATIONS.isDefaultStore]: 'true' },
      ...metadata,
    },
    spec: { persistentVolumeClaim: { claimName: 'checkpoints' } },
  };
}

/**
 * The agent's pod of a node.
 * @param ownContainerID without one nobody asks it about its node
 */
export function agent(nodeName = 'node-a', ready = true, ownContainerID?: string): Pod {
  const base = pod(
    {
      nodeName,
      containers: [container({ name: 'agent', image: 'diapause.dev/agent:test' })],
      initContainers: [container({ name: INIT_IMAGE_CONTAINER, image: INIT_IMAGE })],
    },
    {
      name: `diapause-agent-${nodeName}`,
      namespace: OPERATOR_NAMESPACE,
      uid: `agent-${nodeName}`,
      labels: { [LABELS.role]: 'agent' },
    },
  );
  const status: PodStatus = {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    ...(ownContainerID !== undefined && {
      containerStatuses: [{ name: 'agent', containerID: ownContainerID }],
    }),
  };
  return { ...base, status };
}

export function nodeTask(
  spec: NodeTaskSpec,
  status?: NodeTaskStatus,
  metadata: Partial<NodeTask['metadata']> = {},
): NodeTask {
  return {
    apiVersion: API_VERSION,
    kind: 'NodeTask',
    metadata: {
      name: `${spec.type.toLowerCase()}-pod-1`,
      namespace: OPERATOR_NAMESPACE,
      uid: 'task-1',
      resourceVersion: '1',
      creationTimestamp: time(-1),
      ...metadata,
    },
    spec,
    ...(status && { status }),
  };
}
