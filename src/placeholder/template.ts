// What of a pod is kept in the Checkpoint's status, and what goes into the bundle (pure).
import type { Checkpoint, PodTemplate } from '../../crds/checkpoint.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import type { Container, Pod } from '../cluster/pod.ts';

/** Annotations that belong to one pod's life: a new pod gets its own. */
const PASSING_ANNOTATIONS = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'kubernetes.io/config.',
  'cni.projectcalico.org/',
  'k8s.ovn.org/',
  'k8s.v1.cni.cncf.io/network-status',
] as const;

/** The pod's labels, annotations and spec: what a Restore makes its new pod from. */
export function podTemplate(pod: Pod): PodTemplate {
  const annotations = Object.fromEntries(
    Object.entries(pod.metadata.annotations ?? {}).filter(
      ([name]) => !PASSING_ANNOTATIONS.some((prefix) => name.startsWith(prefix)),
    ),
  );
  return {
    metadata: { labels: pod.metadata.labels ?? {}, annotations },
    spec: pod.spec as unknown as PodTemplate['spec'],
  };
}

/** The containers that were saved, or will be as soon as the accepted Checkpoint is. */
export function savedContainers(
  checkpoint: Checkpoint | undefined,
): readonly { readonly name: string; readonly imageID: string }[] {
  const { containers, source } = checkpoint?.status ?? {};
  return containers ?? source?.containers ?? [];
}

/**
 * The pod for the bundle. It passes through a NodeTask, which every agent can read: values of environment variables
 * are often secrets and stay out.
 */
export function redactedManifest(pod: Pod): object {
  const { name, namespace, uid, labels, annotations, creationTimestamp } = pod.metadata;
  const { initContainers, containers } = pod.spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid,
      creationTimestamp,
      labels,
      annotations: {
        ...podTemplate({ ...pod, metadata: { name, ...(annotations && { annotations }) } }).metadata
          .annotations,
        [ANNOTATIONS.redacted]: 'env',
      },
    },
    spec: {
      ...pod.spec,
      ...(initContainers && { initContainers: initContainers.map(withoutValues) }),
      containers: containers.map(withoutValues),
    },
  };
}

function withoutValues(container: Container): Container {
  const { env, ...rest } = container;
  return env === undefined
    ? rest
    : { ...rest, env: env.map(({ value: _secret, ...variable }) => variable) };
}
