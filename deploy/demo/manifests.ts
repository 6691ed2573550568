// What the demo applies, as a user would write it.
import { stringify } from 'yaml';
import type { PodOverrides } from '../../crds/restore.ts';
import { NAMESPACE } from './target.ts';

/** Several objects as one YAML file, as kubectl reads it: there an unquoted `yes` is no text. */
export function toYaml(...objects: readonly object[]): string {
  return objects
    .map((object) => stringify(object, { lineWidth: 110, version: '1.1' }))
    .join('---\n');
}

/** Restored pods must pass the strictest Pod Security level, so the namespace enforces it. */
export const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: NAMESPACE,
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
  },
};

export function storeWithClaim(shared: boolean): readonly object[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'checkpoints' },
      spec: {
        accessModes: [shared ? 'ReadWriteMany' : 'ReadWriteOnce'],
        resources: { requests: { storage: '2Gi' } },
      },
    },
    {
      apiVersion: 'diapause.dev/v1alpha1',
      kind: 'CheckpointStore',
      metadata: {
        name: 'default',
        annotations: { 'diapause.dev/is-default-store': 'true' },
      },
      spec: { persistentVolumeClaim: { claimName: 'checkpoints' } },
    },
  ];
}

export interface PodSketch {
  readonly name: string;
  readonly image: string;
  readonly nodeName: string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly readinessProbe?: object;
}

export function pod(sketch: PodSketch): object {
  const { name, image, nodeName, command, env = {}, readinessProbe } = sketch;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'main',
          image,
          imagePullPolicy: 'IfNotPresent',
          ...(command === undefined ? {} : { command }),
          env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
          ...(readinessProbe === undefined ? {} : { readinessProbe }),
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  };
}

export function checkpoint(name: string, podName: string): object {
  return {
    apiVersion: 'diapause.dev/v1alpha1',
    kind: 'Checkpoint',
    metadata: { name },
    spec: { source: { pod: { name: podName } } },
  };
}

export interface RestoreSketch {
  readonly name: string;
  readonly checkpointName: string;
  readonly podName: string;
  readonly nodeName: string;
  readonly overrides?: PodOverrides;
}

export function restore(sketch: RestoreSketch): object {
  const { name, checkpointName, podName, nodeName, overrides } = sketch;
  return {
    apiVersion: 'diapause.dev/v1alpha1',
    kind: 'Restore',
    metadata: { name },
    spec: {
      checkpointRef: { name: checkpointName },
      target: {
        newPod: { name: podName, nodeName, ...(overrides === undefined ? {} : { overrides }) },
      },
    },
  };
}
