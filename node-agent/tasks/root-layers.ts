// The layers of a container's root as the rootfs worker reaches them, and what in it is none of the application's.
import { INIT_MOUNT_PATH } from '../../crds/names.ts';
import type { UndoRequest } from '../bundle/rootfs-diff/protocol.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { mountPoints, POD_FILES, RUNTIME_FOLDERS } from '../container/mounts.ts';

/** @returns undefined where the root is no overlay with a writable layer: changes cannot be told from the image */
export function rootLayers(
  { root, mounts }: FoundContainer,
  nodeRoot: string,
): UndoRequest | undefined {
  const { layers } = root;
  return (
    layers && {
      upper: `${nodeRoot}${layers.upper}`,
      lowers: layers.lowers.map((path) => `${nodeRoot}${path}`),
      exclude: [...RUNTIME_FOLDERS, ...POD_FILES, INIT_MOUNT_PATH, ...mountPoints(mounts)],
    }
  );
}
