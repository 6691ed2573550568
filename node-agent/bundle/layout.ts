// Names inside a bundle. Those of a container's folder are what checkpointctl, CRI-O and containerd read.

export const MANIFEST_FILE = 'manifest.json';
/** the pod's manifest as checkpointed */
export const POD_FILE = 'pod.dump';
export const POD_OPTIONS_FILE = 'pod.options';
/** who wrote it: lets an agent recognise what it left behind */
export const ORIGIN_FILE = 'origin.json';

export const CONTAINER_FILES = {
  config: 'config.dump',
  spec: 'spec.dump',
  status: 'status.dump',
  /** containerd's own record; checkpointctl takes the times from it */
  runtimeStatus: 'status',
  images: 'checkpoint',
  rootfsDiff: 'rootfs-diff.tar',
  deleted: 'deleted.files',
  bindMounts: 'bind.mounts',
  stats: 'stats-dump',
} as const;

/** Inside a container's folder; holds a difference to an empty volume. */
export const emptyDirFolder = (index: number): string => `empty-dir.${index}`;
export const isEmptyDirFolder = (name: string): boolean => /^empty-dir\.\d{1,4}$/.test(name);

export const STAGING_PREFIX = '.staging-';
export const DELETING_PREFIX = '.deleting-';

export const stagingName = (taskUid: string): string => `${STAGING_PREFIX}${taskUid}`;
export const deletingName = (bundleName: string): string => `${DELETING_PREFIX}${bundleName}`;

/**
 * Names in a bundle's root are taken by these files, so no container may be called so. Kubernetes allows
 * containers only DNS labels, which hold no dot: a clash is impossible.
 */
export const isContainerFolder = (name: string): boolean =>
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name);
