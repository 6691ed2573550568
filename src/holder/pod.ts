// The volume holder (design K4): an unprivileged pod that mounts a claim on one node and does nothing else. The agent
// enters the volume through it, so no host path, no CSI knowledge and no claim in the DaemonSet is needed.
import { createHash } from 'node:crypto';
import { ANNOTATIONS, INIT_IMAGE_BINARY, LABELS, STORE_MOUNT_PATH } from '../../crds/names.ts';
import { formatTime } from '../../kube/clock.ts';
import type { Pod } from '../cluster/pod.ts';

export interface HolderPlace {
  readonly namespace: string;
  readonly claimName: string;
  readonly claimUid: string;
  readonly nodeName: string;
}

/** The same for the same claim on the same node: the API server's own uniqueness makes it exactly one. */
export function holderName(place: HolderPlace): string {
  const digest = createHash('sha256').update(`${place.claimUid}\n${place.nodeName}`).digest('hex');
  return `diapause-holder-${digest.slice(0, 16)}`;
}

/** Passes the Pod Security level *restricted*. `image` is the one of the agent of that node: it is there already. */
export function holderPod(place: HolderPlace, image: string, nowMillis: number): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: holderName(place),
      namespace: place.namespace,
      labels: {
        'app.kubernetes.io/managed-by': 'diapause',
        'app.kubernetes.io/component': 'volume-holder',
        [LABELS.role]: 'holder',
        [LABELS.claimUid]: place.claimUid,
      },
      annotations: {
        [ANNOTATIONS.claim]: place.claimName,
        [ANNOTATIONS.node]: place.nodeName,
        [ANNOTATIONS.lastUsed]: formatTime(nowMillis),
      },
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Always',
      // On SIGTERM the holder waits for the agent to let go of the volume.
      terminationGracePeriodSeconds: 60,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      // By affinity, as DaemonSets do, not by nodeName: the scheduler binds claims that wait for their first
      // consumer. Taints of the pod's node do not matter, it runs there already.
      affinity: onNode(place.nodeName),
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'holder',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: [INIT_IMAGE_BINARY],
          volumeMounts: [{ name: 'store', mountPath: STORE_MOUNT_PATH }],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          resources: {
            requests: { cpu: '1m', memory: '8Mi' },
            limits: { cpu: '100m', memory: '16Mi' },
          },
        },
      ],
      volumes: [{ name: 'store', persistentVolumeClaim: { claimName: place.claimName } }],
    },
  };
}

function onNode(nodeName: string): NonNullable<Pod['spec']['affinity']> {
  return {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          { matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] },
        ],
      },
    },
  };
}
