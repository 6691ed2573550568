// Name, labels and annotations of a placeholder pod (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { ObjectMeta } from '../../crds/meta.ts';
import { ANNOTATIONS, LABELS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { newPodName, wantedPod } from './wanted-pod.ts';

/** Set by controllers on their pods; a pod that has them would be taken for one of theirs. */
const CONTROLLER_LABELS = new Set([
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'controller-uid',
  'job-name',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-name',
  'batch.kubernetes.io/job-completion-index',
]);

/** These select by labels that users choose: they would adopt a pod with them, and then delete one too many. */
const ADOPTING_OWNERS = new Set(['ReplicationController', 'StatefulSet', 'DaemonSet']);

/** @param replaced JSON for the annotation of that name */
export function placeholderMetadata(
  restore: Restore,
  checkpoint: Checkpoint,
  replaced: string,
): ObjectMeta {
  const template = checkpoint.status?.podTemplate?.metadata;
  const { overrides } = wantedPod(restore);
  const { namespace = '', uid = '' } = restore.metadata;
  return {
    name: newPodName(restore, checkpoint),
    namespace,
    labels: {
      ...keptLabels(checkpoint),
      ...overrides?.labels,
      [LABELS.role]: 'restored',
      [LABELS.restoreUid]: uid,
    },
    annotations: {
      ...withoutOurs(template?.annotations),
      ...overrides?.annotations,
      [ANNOTATIONS.restore]: restore.metadata.name,
      [ANNOTATIONS.checkpoint]: checkpoint.metadata.name,
      [ANNOTATIONS.replaced]: replaced,
    },
  };
}

/** Labels of the saved pod, as far as no controller takes the new pod for its own because of them. */
export function keptLabels(checkpoint: Checkpoint): Readonly<Record<string, string>> {
  const labels = checkpoint.status?.podTemplate?.metadata.labels ?? {};
  const owner = checkpoint.status?.source?.ownerKind ?? '';
  const hashProtects = owner !== 'ReplicaSet' || labels['pod-template-hash'] !== undefined;
  if (ADOPTING_OWNERS.has(owner) || !hashProtects) {
    return {};
  }
  return Object.fromEntries(
    Object.entries(withoutOurs(labels)).filter(([name]) => !CONTROLLER_LABELS.has(name)),
  );
}

/** A restored pod that is saved again carries names of its earlier life. */
function withoutOurs(
  entries: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const ours: readonly string[] = [...Object.values(LABELS), ...Object.values(ANNOTATIONS)];
  return Object.fromEntries(Object.entries(entries ?? {}).filter(([name]) => !ours.includes(name)));
}
