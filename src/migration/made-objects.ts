// The Checkpoint and the Restore that a Migration makes, and the new pod's name (pure).
import type { Checkpoint, CheckpointSpec } from '../../crds/checkpoint.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { MIGRATION_DEFAULTS, type Migration } from '../../crds/migration.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import type { NewPod, Restore, RestoreSpec } from '../../crds/restore.ts';
import { longRunningContainers, type Pod } from '../cluster/pod.ts';
import type { Node } from '../cluster/types.ts';
import { ownerReference } from './facts.ts';

const MAX_NAME = 253;

/** Keeps the source frozen until the Migration says what next, and waits until the target is ready. */
export function madeCheckpoint(migration: Migration, source: Pod): Checkpoint {
  const { spec, metadata } = migration;
  const { maxDowntimeSeconds } = spec.limits ?? {};
  return {
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace ?? '',
      ownerReferences: [ownerReference(migration)],
    },
    spec: {
      source: {
        pod: {
          name: source.metadata.name,
          uid: source.metadata.uid ?? '',
          // All of them: one that is not running now could start anew on the other side.
          containers: longRunningContainers(source.spec).map(({ name }) => name),
        },
      },
      ...(spec.storeRef && { storeRef: spec.storeRef }),
      ...(spec.emptyDirContent === 'Discard' && { include: { emptyDirs: 'None' } }),
      ...transferOf(migration),
      afterDump: 'Stop',
      suspend: true,
      limits: {
        timeoutSeconds: timeoutSeconds(migration),
        ...(maxDowntimeSeconds !== undefined && { maxFreezeSeconds: maxDowntimeSeconds }),
      },
    },
  };
}

function transferOf({ spec }: Migration): Pick<CheckpointSpec, 'transfer'> {
  const { strategy, bandwidth } = spec;
  const preCopy = strategy === 'PreCopy';
  return strategy === 'Direct' || preCopy
    ? { transfer: { ...(bandwidth !== undefined && { bandwidth }), ...(preCopy && { preCopy }) } }
    : {};
}

export function madeRestore(
  migration: Migration,
  source: Pod,
  sourceNode: Node | undefined,
): Restore {
  const { metadata } = migration;
  return {
    apiVersion: API_VERSION,
    kind: 'Restore',
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace ?? '',
      ownerReferences: [ownerReference(migration)],
    },
    spec: {
      checkpointRef: { name: metadata.name },
      ...target(migration, source, sourceNode),
      timeoutSeconds: timeoutSeconds(migration),
    },
  };
}

/** Beside the source; or as its controller's next replica, which cannot come before the source is gone. */
function target(
  migration: Migration,
  source: Pod,
  sourceNode: Node | undefined,
): Pick<RestoreSpec, 'placement' | 'target'> {
  const name = migration.status?.target?.podName ?? '';
  const { overrides, ...where } = place(migration, source, sourceNode);
  const { ownerKind, ownerName = '' } = migration.status?.source ?? {};
  const kind = (['StatefulSet', 'Job'] as const).find((known) => known === ownerKind);
  if (kind === undefined) {
    const newPod = { name, ...where, ...(overrides && { overrides }) };
    return { placement: 'Ahead', target: { type: 'NewPod', newPod } };
  }
  const { nodeSelector } = overrides ?? {};
  const adopt = {
    ownerRef: { kind, name: ownerName },
    podName: name,
    ...where,
    ...(nodeSelector && { nodeSelector }),
  };
  return { placement: 'AfterCheckpoint', target: { type: 'Adopt', adopt } };
}

function place(
  { spec }: Migration,
  source: Pod,
  sourceNode: Node | undefined,
): Pick<NewPod, 'nodeName' | 'excludedNodeNames' | 'overrides'> {
  const { nodeName, nodeSelector } = spec.target;
  const annotations = { [ANNOTATIONS.firstName]: firstName(source) };
  if (nodeName !== undefined) {
    return { nodeName, overrides: { annotations } };
  }
  const arch = sourceNode?.status?.nodeInfo?.architecture;
  return {
    excludedNodeNames: [source.spec.nodeName ?? ''],
    overrides: {
      annotations,
      nodeSelector: { ...nodeSelector, ...(arch && { 'kubernetes.io/arch': arch }) },
    },
  };
}

/** The name asked for, or one like its siblings have: a pod that moves to and fro must not get longer and longer. */
export function newPodName({ metadata, spec }: Migration, source: Pod): string {
  if (spec.newPodName !== undefined) {
    return spec.newPodName;
  }
  const owner = source.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.kind === 'StatefulSet') {
    return source.metadata.name;
  }
  const suffix = `-${(metadata.uid ?? '').replaceAll('-', '').slice(0, 5)}`;
  return `${(owner?.name ?? firstName(source)).slice(0, MAX_NAME - suffix.length)}${suffix}`;
}

function firstName({ metadata }: Pod): string {
  return metadata.annotations?.[ANNOTATIONS.firstName] ?? metadata.name;
}

function timeoutSeconds({ spec }: Migration): number {
  return spec.limits?.completionTimeoutSeconds ?? MIGRATION_DEFAULTS.completionTimeoutSeconds;
}
