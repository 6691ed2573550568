// The placeholder pod (design K5): the saved pod's template with a tiny init in place of the application, waiting to
// become it. Nothing is added that the saved pod was not allowed to have, so it passes the same admission.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import {
  ANNOTATIONS,
  INIT_BINARY,
  INIT_IMAGE_BINARY,
  INIT_MOUNT_PATH,
  INIT_VOLUME,
  RESTORED_POD_CONDITION,
} from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { RESTORE_DEFAULTS } from '../../crds/restore.ts';
import {
  type Affinity,
  type Container,
  isSidecar,
  longRunningContainers,
  type NodeSelectorTerm,
  type Pod,
  type PodSpec,
  type Volume,
} from '../cluster/pod.ts';
import {
  type ContainerRequest,
  isReprojected,
  placeholderContainer,
  placeholderSidecar,
  replacedParts,
} from './container.ts';
import type { PlaceholderFeatures } from './features.ts';
import { placeholderMetadata } from './metadata.ts';
import { savedContainers } from './template.ts';
import { wantedPod } from './wanted-pod.ts';

const INSTALLER = 'diapause-init';
/** The startup probe must outlive the restore, else the kubelet kills what is being restored. */
const SPARE_PATIENCE_SECONDS = 120;
/** A pod that names more would get too large; the agents of the others refuse it. */
const MAX_UNFIT_NODES = 1_000;
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  x64: 'amd64',
  amd64: 'amd64',
  aarch64: 'arm64',
  arm64: 'arm64',
};

export interface PlaceholderRequest {
  readonly restore: Restore;
  /** a ready one: with `podTemplate`, `source` and `containers` in its status */
  readonly checkpoint: Checkpoint;
  readonly features: PlaceholderFeatures;
  readonly initImage: string;
  /** nodes that cannot take it, besides those that the Restore names */
  readonly unfitNodeNames?: readonly string[];
}

/** @throws Error when the Checkpoint has no template, which a ready one always has */
export function placeholderPod(request: PlaceholderRequest): Pod {
  const { restore, checkpoint, features } = request;
  const template = templateSpec(checkpoint);
  const saved = new Map(savedContainers(checkpoint).map((c) => [c.name, c.imageID]));
  const { overrides } = wantedPod(restore);
  const restarts = (template.restartPolicy ?? 'Always') !== 'Never';
  const containerRequest = (name: string): ContainerRequest => ({
    imageID: saved.get(name),
    overrides,
    patienceSeconds: patienceSeconds(restore),
    neverRestart: restarts && features.containerRestartPolicy,
  });
  const replace = (container: Container, make: typeof placeholderContainer): Container =>
    saved.has(container.name)
      ? make(container, containerRequest(container.name))
      : freshContainer(container);
  const sidecars = (template.initContainers ?? []).filter(isSidecar);
  const initContainers = [
    ...(features.imageVolume ? [] : [installer(request.initImage)]),
    ...sidecars.map((container) => replace(container, placeholderSidecar)),
  ];
  const { initContainers: _run, ...kept } = withoutPlacement(template);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: placeholderMetadata(restore, checkpoint, replacedAnnotation(checkpoint)),
    spec: {
      ...kept,
      ...(initContainers.length > 0 && { initContainers }),
      containers: template.containers.map((container) => replace(container, placeholderContainer)),
      volumes: [
        ...(template.volumes ?? []).filter((volume) => !isReprojected(volume)),
        initVolume(request),
      ],
      ...hostname(template, checkpoint),
      ...placement(template, request),
      readinessGates: [
        ...(template.readinessGates ?? []).filter(
          (g) => g.conditionType !== RESTORED_POD_CONDITION,
        ),
        { conditionType: RESTORED_POD_CONDITION },
      ],
      ...(restarts && !features.containerRestartPolicy && { restartPolicy: 'Never' }),
    },
  };
}

/** What the init stands in for, by container. A restored pod that was saved again knows it from its earlier life. */
function replacedAnnotation(checkpoint: Checkpoint): string {
  const template = templateSpec(checkpoint);
  const saved = new Set(savedContainers(checkpoint).map((container) => container.name));
  const earlier = checkpoint.status?.podTemplate?.metadata.annotations?.[ANNOTATIONS.replaced];
  const now = longRunningContainers(template)
    .filter((container) => saved.has(container.name))
    .map((container) => [container.name, replacedParts(container)] as const);
  return JSON.stringify({
    ...Object.fromEntries(now),
    ...(earlier === undefined ? {} : (JSON.parse(earlier) as Record<string, unknown>)),
  });
}

/** Names in the overrides that the saved pod does not have, and mounts that are in our way. */
export function placeholderObjections(checkpoint: Checkpoint, restore: Restore): readonly string[] {
  const template = templateSpec(checkpoint);
  const saved = new Set(savedContainers(checkpoint).map((container) => container.name));
  const { overrides } = wantedPod(restore);
  const named = [...(overrides?.env ?? []), ...(overrides?.resources ?? [])];
  const strangers = named
    .flatMap(({ container }) => (container === undefined || saved.has(container) ? [] : container))
    .map((name) => `overrides name the container ${name}, which the Checkpoint does not have`);
  const inOurWay = longRunningContainers(template)
    .filter((container) => saved.has(container.name))
    .filter((container) =>
      container.volumeMounts?.some(
        (mount) => mount.mountPath === INIT_MOUNT_PATH && mount.name !== INIT_VOLUME,
      ),
    )
    .map(
      ({ name }) =>
        `container ${name} mounts a volume at ${INIT_MOUNT_PATH}, where the init must be`,
    );
  return [...strangers, ...inOurWay];
}

function patienceSeconds(restore: Restore): number {
  return (restore.spec.timeoutSeconds ?? RESTORE_DEFAULTS.timeoutSeconds) + SPARE_PATIENCE_SECONDS;
}

function templateSpec(checkpoint: Checkpoint): PodSpec {
  const spec = checkpoint.status?.podTemplate?.spec;
  if (spec === undefined) {
    throw new Error(`Checkpoint ${checkpoint.metadata.name} has no pod template`);
  }
  return spec as unknown as PodSpec;
}

/** What was decided for the saved pod by scheduler and admission is decided anew. */
function withoutPlacement(template: PodSpec): PodSpec {
  const dropped = [
    'nodeName',
    'priority',
    'preemptionPolicy',
    'overhead',
    'ephemeralContainers',
    'schedulingGates',
  ];
  return Object.fromEntries(
    Object.entries(template).filter(([field]) => !dropped.includes(field)),
  ) as unknown as PodSpec;
}

/** A container that was not saved starts as it always does. */
function freshContainer(container: Container): Container {
  const { volumeMounts } = container;
  return volumeMounts === undefined
    ? container
    : { ...container, volumeMounts: volumeMounts.filter((mount) => !isReprojected(mount)) };
}

function initVolume({ features, initImage }: PlaceholderRequest): Volume {
  return features.imageVolume
    ? { name: INIT_VOLUME, image: { reference: initImage, pullPolicy: 'IfNotPresent' } }
    : { name: INIT_VOLUME, emptyDir: { sizeLimit: '1Mi' } };
}

function installer(image: string): Container {
  return {
    name: INSTALLER,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: [INIT_IMAGE_BINARY, 'install', INIT_BINARY],
    volumeMounts: [{ name: INIT_VOLUME, mountPath: INIT_MOUNT_PATH }],
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    resources: {
      requests: { cpu: '1m', memory: '8Mi' },
      limits: { cpu: '100m', memory: '16Mi' },
    },
  };
}

/** The application has seen its host name; without `spec.hostname` it was the pod's name, cut to 63 characters. */
function hostname(template: PodSpec, checkpoint: Checkpoint): { readonly hostname?: string } {
  if (template.hostname !== undefined || 'hostNetwork' in template) {
    return template.hostname === undefined ? {} : { hostname: template.hostname };
  }
  const name = checkpoint.spec.source.pod.name.slice(0, 63).replace(/[-.]+$/, '');
  // A name with dots is no host name that one may ask for.
  return name.includes('.') ? {} : { hostname: name };
}

function placement(
  template: PodSpec,
  { restore, checkpoint, unfitNodeNames = [] }: PlaceholderRequest,
): { readonly affinity?: Affinity; readonly nodeSelector?: Readonly<Record<string, string>> } {
  const { nodeName, excludedNodeNames = [], overrides } = wantedPod(restore);
  const unfit = nodeName === undefined ? unfitNodeNames.slice(0, MAX_UNFIT_NODES) : [];
  const excluded = [...new Set([...excludedNodeNames, ...unfit])];
  const arch = goArchitecture(checkpoint.status?.requirements);
  const nodeSelector = {
    ...template.nodeSelector,
    ...(arch !== undefined && { 'kubernetes.io/arch': arch }),
    ...overrides?.nodeSelector,
  };
  return {
    ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
    ...((nodeName !== undefined || excluded.length > 0) && {
      affinity: confinedTo(nodeName, excluded, template.affinity),
    }),
  };
}

/** GOARCH of the node that the Checkpoint was made on, as nodes carry it in a label. */
export function goArchitecture(
  requirements: Readonly<Record<string, unknown>> = {},
): string | undefined {
  const { arch } = requirements;
  return typeof arch === 'string' ? ARCHITECTURES[arch] : undefined;
}

/** Through the scheduler and not by nodeName, so that resources, taints and volumes are still seen to. */
function confinedTo(
  nodeName: string | undefined,
  excluded: readonly string[],
  affinity: Affinity | undefined,
): Affinity {
  const key = 'metadata.name';
  // The API server takes one value for each.
  const fields = [
    ...(nodeName === undefined ? [] : [{ key, operator: 'In', values: [nodeName] }]),
    ...excluded.map((name) => ({ key, operator: 'NotIn', values: [name] })),
  ];
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  // Terms are alternatives: each must name the node. One of an earlier restore gives way.
  const terms: readonly NodeSelectorTerm[] = required?.nodeSelectorTerms ?? [{}];
  const nodeSelectorTerms = terms.map((term) => ({
    ...term,
    matchFields: [...(term.matchFields ?? []).filter((f) => f.key !== key), ...fields],
  }));
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { ...required, nodeSelectorTerms },
    },
  };
}
