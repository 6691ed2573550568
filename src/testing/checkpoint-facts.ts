// Facts about a Checkpoint that can be saved right now, to be bent by tests.
import type { Checkpoint, CheckpointStatus } from '../../crds/checkpoint.ts';
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import { agentsOf } from '../cluster/agents.ts';
import { dumpTask, thawTask } from '../checkpoint/dump-task.ts';
import type { CheckpointFacts } from '../checkpoint/facts.ts';
import { podTemplate } from '../placeholder/template.ts';
import { agent, checkpoint, claim, containerID, node, NOW, pod, store, time } from './builders.ts';
import { holder } from './holders.ts';

export function acceptedStatus(changes: CheckpointStatus = {}): CheckpointStatus {
  return {
    source: { podUID: 'pod-1', node: 'node-a' },
    store: { name: 'default', claimName: 'checkpoints' },
    podTemplate: podTemplate(pod()),
    conditions: [
      {
        type: 'Accepted',
        status: 'True',
        reason: 'Validated',
        message: '',
        lastTransitionTime: time(-1),
      },
    ],
    ...changes,
  };
}

/** Everything in order, and nothing done but accepted. */
export function checkpointFacts(changes: Partial<CheckpointFacts> = {}): CheckpointFacts {
  return {
    nowMillis: NOW,
    checkpoint: checkpoint({}, acceptedStatus()),
    pod: pod(),
    node: node(),
    nodes: [],
    mounts: [],
    agents: agentsOf([agent('node-a'), agent('node-b')]),
    probeEvents: [],
    store: store(),
    claim: { claimName: 'checkpoints', claim: claim(), storageClass: undefined },
    holders: [holder()],
    tasks: [],
    dump: undefined,
    thaw: undefined,
    deletion: undefined,
    receive: undefined,
    rivals: [],
    namespaceEnding: false,
    migrating: false,
    ...changes,
  };
}

const STORE = {
  holder: { namespace: 'shop', name: 'diapause-holder-1', uid: 'holder-node-a' },
  holderContainerID: containerID('cc'),
  mountPath: '/store',
};

/** The Dump task of a Checkpoint as its agent reports it. */
export function dump(status?: NodeTaskStatus, owner: Checkpoint = checkpoint()): NodeTask {
  const task = dumpTask({
    checkpoint: owner,
    pod: pod(),
    containers: ['main'],
    holder: STORE,
    freezeLimitMillis: 10_000,
  });
  return existing(task, status);
}

export function thaw(status?: NodeTaskStatus, owner: Checkpoint = checkpoint()): NodeTask {
  return existing(thawTask(owner, pod(), NOW), status);
}

/** A task as it comes back from the API server. */
export function existing(task: NodeTask, status?: NodeTaskStatus): NodeTask {
  const metadata = {
    ...task.metadata,
    uid: `uid-${task.metadata.name}`,
    creationTimestamp: time(-20),
  };
  return { ...task, metadata, ...(status && { status: { ...ACCEPTED, ...status } }) };
}

const ACCEPTED: NodeTaskStatus = {
  acceptedBy: { agentPod: 'diapause-agent-node-a', uid: 'agent-node-a' },
  heartbeatTime: time(-5),
};
