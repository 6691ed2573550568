// Pods that cannot be saved whatever their processes do (pure).
import type { Pod } from './pod.ts';

interface Special {
  readonly shareProcessNamespace?: boolean;
  readonly hostUsers?: boolean;
}

/** The property that stands in the way, as a sentence; undefined if there is none. */
export function unsupportedPod(pod: Pod): string | undefined {
  const spec = pod.spec as typeof pod.spec & Special;
  const source = pod.metadata.annotations?.['kubernetes.io/config.source'] ?? 'api';
  const debugging = pod.status?.ephemeralContainerStatuses?.find(({ state }) => state?.running);
  const objections: readonly (readonly [boolean, string])[] = [
    [spec.hostPID === true, 'it uses the process ids of its node (hostPID)'],
    [spec.hostIPC === true, 'it uses the IPC objects of its node (hostIPC)'],
    [
      source !== 'api' || pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined,
      'it is a static pod: the kubelet made it from a file of the node',
    ],
    [spec.os?.name === 'windows', 'it runs Windows'],
    [
      spec.shareProcessNamespace === true,
      'its containers share one process namespace (shareProcessNamespace)',
    ],
    [spec.hostUsers === false, 'it has a user namespace of its own (hostUsers: false)'],
    [
      debugging !== undefined,
      `the ephemeral container ${debugging?.name ?? ''} is attached; end it first`,
    ],
  ];
  return objections.find(([applies]) => applies)?.[1];
}
