// What the cluster can do for a placeholder, told by versions (pure).
import type { Node } from '../cluster/types.ts';

export interface PlaceholderFeatures {
  /** the init comes by an image volume: 1.1 s sooner than by an init container */
  readonly imageVolume: boolean;
  /** a container may say `restartPolicy: Never` inside a pod that restarts */
  readonly containerRestartPolicy: boolean;
}

/** KEP-4639: stable. */
const IMAGE_VOLUME_MINOR = 36;
/** KEP-5307 ContainerRestartRules: beta and on. */
const CONTAINER_RESTART_MINOR = 35;
/** Other runtimes mount image volumes noexec, and the init has to be executed. */
const IMAGE_VOLUME_RUNTIME = /^containerd:\/\/(\d+)\.(\d+)/;

/**
 * @param serverVersion `major.minor` as in `v1.37.2`
 * @param nodes all nodes that may get the pod; each must be able to
 */
export function placeholderFeatures(
  serverVersion: string,
  nodes: readonly Node[],
): PlaceholderFeatures {
  const server = minorVersion(serverVersion);
  const kubelets = nodes.map((node) => minorVersion(node.status?.nodeInfo?.kubeletVersion ?? ''));
  const oldest = Math.min(server, ...kubelets);
  return {
    imageVolume: nodes.length > 0 && oldest >= IMAGE_VOLUME_MINOR && nodes.every(mountsImages),
    containerRestartPolicy: nodes.length > 0 && oldest >= CONTAINER_RESTART_MINOR,
  };
}

/** 0 for what is no version. */
export function minorVersion(version: string): number {
  return Number(/^v?1\.(\d+)/.exec(version)?.[1] ?? 0);
}

function mountsImages(node: Node): boolean {
  const match = IMAGE_VOLUME_RUNTIME.exec(node.status?.nodeInfo?.containerRuntimeVersion ?? '');
  const [major, minor] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
  return major > 2 || (major === 2 && minor >= 1);
}
