// The Receive task of a Restore whose bundle comes straight from the other node (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { NodeTask, NodeTaskSpec, TaskPod } from '../../crds/node-task.ts';
import { formatTime } from '../../kube/clock.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import type { Pod } from '../cluster/pod.ts';
import { failedVerdict, lostVerdict } from '../node-task/outcome.ts';
import { newTask, taskHealth } from '../node-task/task.ts';
import { deadlineMillis, fail, type RestoreFacts, type RestoreStep, wait } from './facts.ts';

/** Why the bundle is not here, or will never be. */
export function receiveObjection(facts: RestoreFacts, receive: NodeTask): RestoreStep | undefined {
  switch (taskHealth(receive, facts.nowMillis)) {
    case 'lost':
      return { do: 'fail', ...lostVerdict(receive, facts.node) };
    case 'unclaimed':
    case 'running':
      return listening(facts, receive);
    case 'finished':
      return receive.status?.state === 'Succeeded'
        ? another(facts, receive)
        : { do: 'fail', ...failedVerdict(receive) };
  }
}

function listening({ checkpoint }: RestoreFacts, { status }: NodeTask): RestoreStep | undefined {
  if (status?.transfer?.port === undefined) {
    const facts = "the node's agent is getting ready to receive the bundle";
    return wait('StartingPlaceholder', facts, 1_000);
  }
  // The source says that all has arrived: this side is about to.
  return isReady(checkpoint)
    ? wait('Restoring', 'waiting for the agent to tell what it received', 1_000)
    : undefined;
}

function another({ checkpoint }: RestoreFacts, { status }: NodeTask): RestoreStep | undefined {
  const arrived = status?.result?.bundleDigest;
  const { digest } = checkpoint?.status?.bundle ?? {};
  return isReady(checkpoint) && digest !== arrived
    ? fail('BundleCorrupt', `${arrived} arrived, the Checkpoint is ${digest}`)
    : undefined;
}

export function isReady(checkpoint: Checkpoint | undefined): boolean {
  return isConditionTrue(checkpoint?.status?.conditions, 'Ready');
}

export function receiveTask(facts: RestoreFacts, pod: Pod): NodeTask {
  const { checkpoint } = facts;
  return newTask(checkpoint?.metadata.uid ?? '', {
    ...sharedSpec(facts, pod),
    type: 'Receive',
    receive: { pod: podOf(pod) },
  });
}

export function podOf({ metadata }: Pod): TaskPod {
  const { namespace = '', name, uid = '' } = metadata;
  return { namespace, name, uid };
}

/** What every task of this Restore has in common. */
export function sharedSpec(
  { restore }: RestoreFacts,
  { spec }: Pod,
): Pick<NodeTaskSpec, 'nodeName' | 'owner' | 'deadline'> {
  const { namespace = '', name, uid = '' } = restore.metadata;
  return {
    nodeName: spec.nodeName ?? '',
    owner: { kind: restore.kind, namespace, name, uid },
    deadline: formatTime(deadlineMillis(restore)),
  };
}
