// Facts about a Restore that can be started right now, to be bent by tests.
import { LABELS } from '../../crds/names.ts';
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import type { RestoreStatus } from '../../crds/restore.ts';
import { agentsOf } from '../cluster/agents.ts';
import type { Pod, PodStatus } from '../cluster/pod.ts';
import { placeholderPod } from '../placeholder/pod.ts';
import { podTemplate } from '../placeholder/template.ts';
import { newTask } from '../node-task/task.ts';
import type { RestoreFacts } from '../restore/facts.ts';
import {
  agent,
  checkpoint,
  claim,
  containerID,
  INIT_IMAGE,
  node,
  NOW,
  pod,
  restore,
  storedStatus,
  time,
} from './builders.ts';
import { existing } from './checkpoint-facts.ts';
import { holder } from './holders.ts';

const FEATURES = { imageVolume: true, containerRestartPolicy: true };

export function storedCheckpoint(): ReturnType<typeof checkpoint> {
  return checkpoint({}, storedStatus(pod(), { podTemplate: podTemplate(pod()) }));
}

/** Everything in order, and nothing done yet. */
export function restoreFacts(changes: Partial<RestoreFacts> = {}): RestoreFacts {
  return {
    nowMillis: NOW,
    restore: restore({ target: { newPod: { nodeName: 'node-b' } } }),
    checkpoint: storedCheckpoint(),
    pod: undefined,
    node: node('node-b'),
    agents: agentsOf([agent('node-a'), agent('node-b')]),
    claim: { claimName: 'checkpoints', claim: claim(), storageClass: undefined },
    holders: [holder('node-b')],
    tasks: [],
    task: undefined,
    receive: undefined,
    features: FEATURES,
    mounts: [],
    nodes: [],
    adoption: undefined,
    ...changes,
  };
}

/** The placeholder on node-b with its containers running. */
export function placeholder(status: PodStatus = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  const made = placeholderPod({
    restore: restore(),
    checkpoint: storedCheckpoint(),
    features: FEATURES,
    initImage: INIT_IMAGE,
  });
  return {
    ...made,
    metadata: {
      ...made.metadata,
      uid: 'pod-b',
      labels: { ...made.metadata.labels, [LABELS.attempt]: '1' },
      ...metadata,
    },
    spec: { ...made.spec, nodeName: 'node-b' },
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'main',
          containerID: containerID('bb'),
          imageID: `docker.io/library/redis@sha256:${'d1'.repeat(32)}`,
          state: { running: {} },
        },
      ],
      ...status,
    },
  };
}

export function restoreTask(status?: NodeTaskStatus): NodeTask {
  const holderPod = { namespace: 'shop', name: 'diapause-holder-1', uid: 'holder-node-b' };
  const task = newTask('pod-b', {
    nodeName: 'node-b',
    owner: { kind: 'Restore', namespace: 'shop', name: 'redis-back', uid: 'rst-1' },
    deadline: time(599),
    type: 'Restore',
    restore: {
      pod: { namespace: 'shop', name: 'redis-back', uid: 'pod-b' },
      containers: [{ name: 'main', containerID: containerID('bb'), imageID: '' }],
      store: {
        holder: holderPod,
        holderContainerID: containerID('cc'),
        mountPath: '/store',
        bundlePath: 'shop/redis-1-chk-1',
      },
      bundleDigest: `sha256:${'ee'.repeat(32)}`,
    },
  });
  return existing(task, status);
}

/** What the status says once the placeholder is known. */
export function placedStatus(changes: RestoreStatus = {}): RestoreStatus {
  return { pod: { name: 'redis-back', uid: 'pod-b', node: 'node-b' }, attempts: 1, ...changes };
}
