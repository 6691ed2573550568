// A Checkpoint whose bundle is streamed to the node of its Restore: how the two agents get to know each other (pure).
import type { NodeTask } from '../../crds/node-task.ts';
import { parseBytes } from '../../kube/quantity.ts';
import { failedVerdict } from '../node-task/outcome.ts';
import { isFinished } from '../node-task/task.ts';
import { type DumpRequest, dumpTask } from './dump-task.ts';
import { type CheckpointFacts, type CheckpointStep, isOfMigration } from './facts.ts';

const POLL_MILLIS = 1_000;

/** Everything but the other node is ready. */
export function startTransfer(
  { checkpoint, receive }: CheckpointFacts,
  request: Omit<DumpRequest, 'holder' | 'transfer'>,
): CheckpointStep {
  if (!isOfMigration(checkpoint)) {
    const facts = 'spec.transfer: only a Migration can have a bundle streamed to another node';
    return { do: 'fail', reason: 'StoreNotFound', facts };
  }
  if (checkpoint.spec.suspend === true) {
    return wait('Prepared', 'everything is prepared');
  }
  if (receive !== undefined && isFinished(receive)) {
    return { do: 'fail', ...failedVerdict(receive) };
  }
  const { address, port, fingerprint } = receive?.status?.transfer ?? {};
  if (address === undefined || port === undefined || fingerprint === undefined) {
    return wait('AgentUnavailable', "the target's agent does not listen yet");
  }
  const { bandwidth } = checkpoint.spec.transfer ?? {};
  const bandwidthBytes = bandwidth === undefined ? 0 : parseBytes(String(bandwidth));
  const transfer = {
    address,
    port,
    fingerprint,
    ...(bandwidthBytes > 0 && { bandwidthBytes }),
  };
  return { do: 'create-task', task: dumpTask({ ...request, transfer }) };
}

/** The source's agent has a certificate, and the target's does not know it yet. */
export function introduction(
  { receive }: CheckpointFacts,
  dump: NodeTask,
): CheckpointStep | undefined {
  const fingerprint = dump.status?.transfer?.fingerprint;
  const unknown =
    receive?.spec.type === 'Receive' && receive.spec.receive.senderFingerprint === undefined;
  return fingerprint !== undefined && unknown && !isFinished(receive)
    ? { do: 'introduce', task: receive, fingerprint }
    : undefined;
}

function wait(
  reason: 'Prepared' | 'AgentUnavailable',
  facts: string,
): Extract<CheckpointStep, { do: 'wait' }> {
  return { do: 'wait', reason, facts, againAfterMillis: POLL_MILLIS };
}
