// One container of a placeholder pod: the init instead of the application (pure).
import { INIT_BINARY, INIT_MOUNT_PATH, INIT_VOLUME } from '../../crds/names.ts';
import type { PodOverrides } from '../../crds/restore.ts';
import type { Container, Probe, VolumeMount } from '../cluster/pod.ts';

export interface ContainerRequest {
  /** image id of the saved container, to pin the image by */
  readonly imageID: string | undefined;
  readonly overrides: PodOverrides | undefined;
  /** how long the startup probe may fail: longer than the restore may take */
  readonly patienceSeconds: number;
  readonly neverRestart: boolean;
}

/** What the init stands in for; kept in an annotation. */
export interface ReplacedContainer {
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly startupProbe?: Probe;
  readonly postStart?: object;
}

/** The kubelet asks this until PID 1 is the restored application; liveness and readiness wait for it. */
function startedProbe(patienceSeconds: number): Probe {
  return {
    exec: { command: [INIT_BINARY, 'check'] },
    periodSeconds: 1,
    timeoutSeconds: 5,
    failureThreshold: patienceSeconds,
  };
}

export function placeholderContainer(container: Container, request: ContainerRequest): Container {
  const base = commonParts(container, request);
  return {
    ...base,
    startupProbe: startedProbe(request.patienceSeconds),
    ...(request.neverRestart && { restartPolicy: 'Never' }),
  };
}

/**
 * A sidecar holds back the containers after it until its startup probe passes, and nothing is restored before all of
 * them run: so it gets no startup probe, and its liveness probe starts late.
 */
export function placeholderSidecar(container: Container, request: ContainerRequest): Container {
  const { livenessProbe, readinessProbe } = container;
  const initialDelaySeconds = Math.max(
    livenessProbe?.initialDelaySeconds ?? 0,
    request.patienceSeconds,
  );
  return {
    ...commonParts(container, request),
    ...(livenessProbe && { livenessProbe: { ...livenessProbe, initialDelaySeconds } }),
    readinessProbe: readinessProbe ?? startedProbe(3),
  };
}

function commonParts(container: Container, request: ContainerRequest): Container {
  const { command: _c, args: _a, startupProbe: _s, lifecycle, env, resources, ...kept } = container;
  const { restartPolicyRules: _r, ...rest } = kept as Container & { restartPolicyRules?: unknown };
  const { name, image } = container;
  const { preStop, ...others } = lifecycle ?? {};
  const { postStart: _p, ...lifecycleKept } = { ...others, ...(preStop && { preStop }) };
  const newEnv = overriddenEnv(name, env, request.overrides);
  const newResources = overriddenResources(name, resources, request.overrides);
  const pinned = pinnedImage(image, request.imageID);
  return {
    ...rest,
    ...(pinned !== undefined && { image: pinned, imagePullPolicy: 'IfNotPresent' }),
    command: [INIT_BINARY],
    ...(newEnv && { env: newEnv }),
    ...(newResources && { resources: newResources }),
    ...(Object.keys(lifecycleKept).length > 0 && { lifecycle: lifecycleKept }),
    volumeMounts: [
      ...(container.volumeMounts ?? []).filter((mount) => !isReprojected(mount)),
      { name: INIT_VOLUME, mountPath: INIT_MOUNT_PATH, readOnly: true },
    ],
  };
}

export function replacedParts(container: Container): ReplacedContainer {
  const { command, args, startupProbe, lifecycle } = container;
  return {
    ...(command && { command }),
    ...(args && { args }),
    ...(startupProbe && { startupProbe }),
    ...(lifecycle?.postStart && { postStart: lifecycle.postStart }),
  };
}

/** Mounts that come anew: the service account token is bound to the old pod, the init's volume is ours. */
export function isReprojected(mount: Pick<VolumeMount, 'name'>): boolean {
  return mount.name.startsWith('kube-api-access-') || mount.name === INIT_VOLUME;
}

/**
 * The image by digest, where the runtime names a digest of the very repository the pod asks for. An image that was
 * never pulled has only a local id (`sha256:...`), which no registry knows.
 */
export function pinnedImage(
  image: string | undefined,
  imageID: string | undefined,
): string | undefined {
  const match = /^(?:[a-z-]+:\/\/)?([^@]+)@(sha256:[0-9a-f]{64})$/.exec(imageID ?? '');
  const [, repository, digest] = match ?? [];
  if (image === undefined || repository === undefined || digest === undefined) {
    return undefined;
  }
  return repositoryOf(image) === repositoryOf(repository) ? `${repository}@${digest}` : undefined;
}

/** `redis:8` is `docker.io/library/redis`. Source: the reference grammar of distribution. */
function repositoryOf(image: string): string {
  const withoutDigest = image.split('@')[0] ?? '';
  const slash = withoutDigest.lastIndexOf('/');
  const colon = withoutDigest.indexOf(':', slash + 1);
  const name = colon < 0 ? withoutDigest : withoutDigest.slice(0, colon);
  const [first = '', ...others] = name.split('/');
  const hasHost = others.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  if (hasHost) {
    return name;
  }
  return others.length > 0 ? `docker.io/${name}` : `docker.io/library/${name}`;
}

function overriddenEnv(
  container: string,
  env: Container['env'],
  overrides: PodOverrides | undefined,
): Container['env'] {
  const set = (overrides?.env ?? []).filter((e) => (e.container ?? container) === container);
  if (set.length === 0) {
    return env;
  }
  const values = new Map(set.map(({ name, value }) => [name, value]));
  const kept = (env ?? []).map((variable) => {
    const value = values.get(variable.name);
    values.delete(variable.name);
    return value === undefined ? variable : { name: variable.name, value };
  });
  return [...kept, ...[...values].map(([name, value]) => ({ name, value }))];
}

function overriddenResources(
  container: string,
  resources: Container['resources'],
  overrides: PodOverrides | undefined,
): Container['resources'] {
  return (overrides?.resources ?? [])
    .filter((override) => (override.container ?? container) === container)
    .reduce((merged, { requests, limits }) => {
      const newRequests = { ...merged?.requests, ...requests };
      const newLimits = { ...merged?.limits, ...limits };
      return {
        ...merged,
        ...(Object.keys(newRequests).length > 0 && { requests: newRequests }),
        ...(Object.keys(newLimits).length > 0 && { limits: newLimits }),
      };
    }, resources);
}
