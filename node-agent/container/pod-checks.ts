// Properties of a pod that stand in the way of saving it; told before anything is touched. Pure.
import type { Report } from '../../crds/meta.ts';

/** The fields of a core/v1 Pod that matter here. */
interface PodManifest {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly hostPID?: boolean;
    readonly hostIPC?: boolean;
    readonly hostUsers?: boolean;
    readonly shareProcessNamespace?: boolean;
    readonly runtimeClassName?: string;
    readonly os?: { readonly name?: string };
  };
  readonly status?: { readonly ephemeralContainerStatuses?: readonly EphemeralStatus[] };
}

interface EphemeralStatus {
  readonly name: string;
  readonly state?: { readonly running?: object };
}

const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const VIRTUAL_MACHINES = /kata|gvisor|runsc/i;

export function sharesProcessNamespace(manifest: unknown): boolean {
  return (manifest as PodManifest | null)?.spec?.shareProcessNamespace === true;
}

/** All reasons against saving this pod; empty: none that its manifest shows. */
export function refusalsOfPod(manifest: unknown): Report[] {
  const { metadata, spec, status } = (manifest ?? {}) as PodManifest;
  const debuggers = (status?.ephemeralContainerStatuses ?? []).filter((c) => c.state?.running);
  const checks: readonly (readonly [boolean, string, string])[] = [
    [
      spec?.hostPID === true,
      'HostPid',
      'the pod uses hostPID; run it in a pid namespace of its own',
    ],
    [
      spec?.hostIPC === true,
      'HostIpc',
      'the pod uses hostIPC; run it in an IPC namespace of its own',
    ],
    [
      spec?.hostUsers === false,
      'UserNamespace',
      'the pod uses hostUsers: false; user namespaces of pods are not supported yet',
    ],
    [
      VIRTUAL_MACHINES.test(spec?.runtimeClassName ?? ''),
      'RuntimeClass',
      `the pod's runtime class ${spec?.runtimeClassName} keeps its processes away from the node's kernel; use runc or crun`,
    ],
    [spec?.os?.name === 'windows', 'Windows', 'only Linux pods can be saved'],
    [
      metadata?.annotations?.[MIRROR_ANNOTATION] !== undefined,
      'MirrorPod',
      'the pod is a static one, which only its kubelet can recreate; run it through the API server',
    ],
    ...debuggers.map(
      ({ name }) =>
        [
          true,
          'EphemeralContainer',
          `the ephemeral container ${name} is attached; end it, then try again`,
        ] as const,
    ),
  ];
  return checks
    .filter(([applies]) => applies)
    .map(([, code, message]) => ({ severity: 'refusal', code, container: '', pid: 0, message }));
}
