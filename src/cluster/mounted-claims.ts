// Reads the claims that a pod mounts, the volumes behind them, and the nodes among which they leave a choice.
import type { Volume } from './pod.ts';
import type { ClusterResources, Node } from './types.ts';
import { isConfined, type MountedClaim } from './volume-reach.ts';

/** A claim that does not exist is left out: the scheduler tells of it. */
export async function mountedClaims(
  { claims, volumes }: ClusterResources,
  namespace: string | undefined,
  podVolumes: readonly Volume[],
  signal: AbortSignal,
): Promise<readonly MountedClaim[]> {
  const names = podVolumes.flatMap((one) => one.persistentVolumeClaim?.claimName ?? []);
  const found = await Promise.all(
    names.map(async (name): Promise<readonly MountedClaim[]> => {
      const claim = await claims.find({ namespace, name }, { signal });
      const volumeName = claim?.spec.volumeName;
      const volume =
        volumeName === undefined ? undefined : await volumes.find({ name: volumeName }, { signal });
      return claim === undefined ? [] : [{ claim, volume }];
    }),
  );
  return found.flat();
}

/** All nodes of the cluster where not every one of them can mount the claims and none was asked for, else none. */
export async function nodesToChoose(
  { nodes }: ClusterResources,
  mounts: readonly MountedClaim[],
  asked: string | undefined,
  signal: AbortSignal,
): Promise<readonly Node[]> {
  const isOpen = asked === undefined && mounts.some(isConfined);
  return isOpen ? (await nodes.list({ signal })).items : [];
}
