// What the MutatingAdmissionPolicy of deploy/base/adoption.yaml does, for the test server. The real one is tried on the
// real cluster.
import { LABELS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import type { JsonObject } from '../../kube/testing/json.ts';
import type { Pod } from '../cluster/pod.ts';

/** The object, or what a waiting Restore makes of it. */
export function admitReplica(object: JsonObject, restores: readonly Restore[]): JsonObject {
  const pod = object as unknown as Pod;
  const found = restores.find((restore) => isWaitingFor(restore, pod));
  const { adoption } = found?.status ?? {};
  if (adoption === undefined) {
    return object;
  }
  const { metadata } = pod;
  return {
    ...object,
    metadata: {
      ...metadata,
      name: adoption.podName,
      labels: { ...metadata.labels, ...adoption.labels },
      annotations: { ...metadata.annotations, ...adoption.annotations },
    },
    spec: structuredClone(adoption.spec),
  } as unknown as JsonObject;
}

function isWaitingFor({ metadata, status }: Restore, pod: Pod): boolean {
  const { adoption } = status ?? {};
  const { name, labels = {}, ownerReferences = [], namespace } = pod.metadata;
  return (
    adoption !== undefined &&
    metadata.labels?.[LABELS.waiting] === 'true' &&
    (namespace === undefined || namespace === metadata.namespace) &&
    ownerReferences.some(({ controller, uid }) => controller && uid === adoption.ownerUID) &&
    ((name as string | undefined) === undefined || name === adoption.podName) &&
    Object.entries(adoption.selector).every(([key, value]) => labels[key] === value) &&
    labels[LABELS.restoreUid] === undefined
  );
}
