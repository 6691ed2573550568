// A Checkpoint that is streamed to another node, as tables.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { API_VERSION } from '../../crds/meta.ts';
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import { newTask } from '../node-task/task.ts';
import { checkpoint, NAMESPACE, NOW, time } from '../testing/builders.ts';
import { acceptedStatus, checkpointFacts, dump, existing } from '../testing/checkpoint-facts.ts';
import { checkSteps } from '../testing/step-table.ts';
import { formatTime } from '../../kube/clock.ts';
import { decideCheckpoint } from './decide.ts';
import type { CheckpointFacts } from './facts.ts';

const FINGERPRINT = `sha256:${'ab'.repeat(32)}`;
const ENDPOINT = { address: '10.0.0.2', port: 40_001, fingerprint: FINGERPRINT };
const MIGRATION = {
  apiVersion: API_VERSION,
  kind: 'Migration',
  name: 'away',
  uid: 'mig-1',
  controller: true,
};

const streamed = (suspend = false, ownerReferences = [MIGRATION]) =>
  checkpoint({ transfer: { bandwidth: '1Mi' }, afterDump: 'Stop', suspend }, acceptedStatus(), {
    ownerReferences,
  });

function receive(status: NodeTaskStatus, senderFingerprint?: string): NodeTask {
  const task = newTask('chk-1', {
    nodeName: 'node-b',
    owner: { kind: 'Restore', namespace: NAMESPACE, name: 'away', uid: 'res-1' },
    deadline: time(60),
    type: 'Receive',
    receive: {
      pod: { namespace: NAMESPACE, name: 'redis-2', uid: 'pod-2' },
      ...(senderFingerprint !== undefined && { senderFingerprint }),
    },
  });
  return existing(task, { heartbeatTime: formatTime(NOW), ...status });
}

const listening = receive({ state: 'Running', transfer: ENDPOINT });
const failure = { code: 'NodeSpaceFull', message: 'no room', retryable: true };
const decide = (changes: Partial<CheckpointFacts>) =>
  decideCheckpoint(
    checkpointFacts({
      checkpoint: streamed(),
      store: undefined,
      claim: undefined,
      holders: [],
      ...changes,
    }),
  );

describe('a Checkpoint that is streamed', () => {
  const atWork = { state: 'Running', transfer: { fingerprint: FINGERPRINT } } as const;
  checkSteps(decide, [
    {
      what: 'without a Migration',
      facts: { checkpoint: streamed(false, []) },
      step: 'fail StoreNotFound',
      says: /spec\.transfer/,
    },
    { what: 'not yet wanted', facts: { checkpoint: streamed(true) }, step: 'wait Prepared' },
    { what: 'nobody receives', facts: {}, step: 'wait AgentUnavailable' },
    {
      what: 'the target does not listen',
      facts: { receive: receive({ state: 'Accepted' }) },
      step: 'wait AgentUnavailable',
    },
    { what: 'the target listens', facts: { receive: listening }, step: 'create-task' },
    {
      what: 'the target has failed',
      facts: { receive: receive({ state: 'Failed', error: failure }) },
      step: 'fail NodeSpaceFull',
    },
    {
      what: 'the source has no certificate yet',
      facts: { receive: listening, dump: dump({ state: 'Running' }) },
      step: 'progress',
    },
    {
      what: 'the source has one',
      facts: { receive: listening, dump: dump(atWork) },
      step: 'introduce',
    },
    {
      what: 'both know each other',
      facts: {
        receive: receive({ state: 'Running', transfer: ENDPOINT }, FINGERPRINT),
        dump: dump(atWork),
      },
      step: 'progress',
    },
    {
      what: 'the target is done',
      facts: { receive: receive({ state: 'Succeeded' }), dump: dump(atWork) },
      step: 'progress',
    },
    {
      what: 'a passing failure',
      facts: { receive: listening, dump: dump({ state: 'Failed', error: failure }) },
      step: 'fail NodeSpaceFull',
    },
  ]);

  it('is sent to the one who listens, below the bandwidth', () => {
    const step = decide({ receive: listening });
    assert.ok(step.do === 'create-task' && step.task.spec.type === 'Dump');
    const { transfer, store, afterDump } = step.task.spec.dump;
    assert.deepEqual(transfer, { ...ENDPOINT, bandwidthBytes: 1 << 20 });
    assert.equal(store, undefined);
    assert.equal(afterDump, 'KeepFrozen');
  });
});
