// The NodeTask that saves a pod (pure).
import { CHECKPOINT_DEFAULTS, type Checkpoint } from '../../crds/checkpoint.ts';
import type {
  DumpPayload,
  NodeTask,
  NodeTaskSpec,
  TaskContainer,
  TaskHooks,
  TaskPod,
  TaskStore,
  TaskTransfer,
} from '../../crds/node-task.ts';
import { formatTime } from '../../kube/clock.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { parseBytes } from '../../kube/quantity.ts';
import { type HookTarget, taskHooks } from '../cluster/hooks.ts';
import { type Pod, statusOfContainer } from '../cluster/pod.ts';
import { bundlePath, newTask } from '../node-task/task.ts';
import { redactedManifest } from '../placeholder/template.ts';
import { deadlineMillis } from './facts.ts';

export interface DumpRequest {
  readonly checkpoint: Checkpoint;
  readonly pod: Pod;
  readonly containers: readonly string[];
  /** of the volume that the bundle goes to; this or `transfer` */
  readonly holder?: Omit<TaskStore, 'bundlePath'>;
  readonly transfer?: TaskTransfer;
  readonly freezeLimitMillis: number;
}

export function dumpTask(request: DumpRequest): NodeTask {
  const { checkpoint, pod, freezeLimitMillis } = request;
  const { spec } = checkpoint;
  const target = { pod, containers: request.containers };
  const hooks = isDryRun(checkpoint) ? undefined : taskHooks(spec.hooks, target);
  const maxBytes = spec.limits?.maxBytes ?? 0;
  const maxEmbedded = spec.openResources?.maxEmbeddedBytes ?? CHECKPOINT_DEFAULTS.maxEmbeddedBytes;
  return newTask(
    podOf(pod).uid,
    {
      nodeName: pod.spec.nodeName ?? '',
      owner: ownerOf(checkpoint),
      deadline: formatTime(deadlineMillis(checkpoint)),
      type: 'Dump',
      dump: {
        pod: podOf(pod),
        containers: request.containers.map((name) => taskContainer(pod, name)),
        ...destinationOf(request),
        afterDump: keepsFrozen(checkpoint) ? 'KeepFrozen' : 'Resume',
        freezeLimitMillis,
        established: spec.sockets?.established ?? CHECKPOINT_DEFAULTS.established,
        ...included(checkpoint),
        maxEmbeddedBytes: parseBytes(String(maxEmbedded)),
        maxBytes: parseBytes(String(maxBytes)),
        dryRun: isDryRun(checkpoint),
        podManifest: redactedManifest(pod),
        ...(hooks && { hooks }),
      },
    },
    checkpoint.status?.attempts ?? 1,
  );
}

function included({ spec }: Checkpoint): Pick<DumpPayload, 'rootfsDiff' | 'emptyDirs'> {
  const { rootfsDiff, emptyDirs } = CHECKPOINT_DEFAULTS;
  return { rootfsDiff, emptyDirs, ...spec.include };
}

function destinationOf({
  checkpoint,
  holder,
  transfer,
}: DumpRequest): Pick<DumpPayload, 'store' | 'transfer' | 'preCopy'> {
  const { limits, transfer: asked } = checkpoint.spec;
  const { maxFreezeSeconds } = limits ?? {};
  return {
    ...(holder && { store: { ...holder, bundlePath: bundlePathOf(checkpoint) } }),
    ...(transfer && { transfer }),
    ...(asked?.preCopy === true && {
      preCopy: {
        ...(maxFreezeSeconds !== undefined && { maxDowntimeMillis: maxFreezeSeconds * 1000 }),
      },
    }),
  };
}

/** Undoes the freeze of a kept-frozen source; does nothing where nothing is frozen. */
export function thawTask(checkpoint: Checkpoint, pod: Pod, nowMillis: number): NodeTask {
  const saved = checkpoint.status?.containers?.map(({ name }) => name);
  const asked = checkpoint.spec.source.pod.containers;
  const names = saved ?? (asked?.length ? asked : pod.spec.containers.map(({ name }) => name));
  const post = owedHooks(checkpoint, { pod, containers: names });
  return newTask(podOf(pod).uid, {
    nodeName: pod.spec.nodeName ?? '',
    owner: ownerOf(checkpoint),
    deadline: formatTime(nowMillis + THAW_MILLIS),
    type: 'Thaw',
    thaw: {
      pod: podOf(pod),
      containers: names
        .map((name) => taskContainer(pod, name))
        .filter(({ containerID }) => containerID !== ''),
      ...(post && post.length > 0 && { post }),
    },
  });
}

/** Once the bundle is stored the Dump task has ended. Until then its agent owes them, and knows by its journal. */
function owedHooks(
  { spec, status }: Checkpoint,
  target: HookTarget,
): TaskHooks['post'] | undefined {
  return isConditionTrue(status?.conditions, 'Stored')
    ? taskHooks(spec.hooks, target)?.post
    : undefined;
}

const THAW_MILLIS = 600_000;

export function keepsFrozen(checkpoint: Checkpoint): boolean {
  return (checkpoint.spec.afterDump ?? CHECKPOINT_DEFAULTS.afterDump) !== 'Resume';
}

export function isDryRun(checkpoint: Checkpoint): boolean {
  return (checkpoint.spec.mode ?? CHECKPOINT_DEFAULTS.mode) === 'DryRun';
}

export function ownerOf(checkpoint: Checkpoint): NodeTaskSpec['owner'] {
  const { namespace = '', name, uid = '' } = checkpoint.metadata;
  return { kind: checkpoint.kind, namespace, name, uid };
}

export function bundlePathOf(checkpoint: Checkpoint): string {
  const { namespace = '', name, uid = '' } = checkpoint.metadata;
  return bundlePath(namespace, name, uid);
}

function podOf(pod: Pod): TaskPod {
  const { namespace = '', name, uid = '' } = pod.metadata;
  return { namespace, name, uid };
}

function taskContainer(pod: Pod, name: string): TaskContainer {
  const { containerID = '', imageID = '' } = statusOfContainer(pod, name) ?? {};
  return { name, containerID, imageID };
}
