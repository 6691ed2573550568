// A Restore whose pod is to wait for the bundle, and one that is to keep away from nodes, as tables.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkpoint, restore, time } from '../testing/builders.ts';
import { acceptedStatus } from '../testing/checkpoint-facts.ts';
import {
  placedStatus,
  placeholder,
  restoreFacts,
  storedCheckpoint,
} from '../testing/restore-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideRestore } from './decide.ts';
import type { RestoreFacts } from './facts.ts';

function check(base: Partial<RestoreFacts>, cases: readonly StepCase<RestoreFacts>[]): void {
  checkSteps((changes) => decideRestore(restoreFacts({ ...base, ...changes })), cases);
}

describe('a Restore that goes ahead of its Checkpoint', () => {
  const spec = { placement: 'Ahead', target: { newPod: { nodeName: 'node-b' } } } as const;
  const containers = [
    { name: 'main', imageID: `docker.io/library/redis@sha256:${'d1'.repeat(32)}` },
  ];
  const status = acceptedStatus();
  const source = { podUID: 'pod-1', node: 'node-a', containers };
  const accepted = checkpoint({}, { ...status, source });
  const isPlaced = placedStatus({
    conditions: [
      {
        type: 'Placed',
        status: 'True',
        reason: 'PodRunning',
        message: '',
        lastTransitionTime: time(0),
      },
    ],
  });
  check({ restore: restore(spec), checkpoint: accepted }, [
    { what: 'not accepted', facts: { checkpoint: checkpoint() }, step: 'wait CheckpointNotReady' },
    { what: 'accepted', facts: {}, step: 'create-placeholder' },
    { what: 'the pod runs', facts: { pod: placeholder() }, step: 'placed' },
    {
      what: 'placed',
      facts: { pod: placeholder(), restore: { ...restore(spec), status: isPlaced } },
      step: 'wait CheckpointNotReady',
    },
    {
      what: 'stored',
      facts: {
        pod: placeholder(),
        restore: { ...restore(spec), status: isPlaced },
        checkpoint: storedCheckpoint(),
      },
      step: 'create-task',
    },
    {
      what: 'cancelled',
      facts: {
        pod: placeholder(),
        restore: { ...restore({ ...spec, cancel: true }), status: isPlaced },
      },
      step: 'fail Canceled',
    },
  ]);

  it('keeps away from nodes that it must not use', () => {
    const step = decideRestore(
      restoreFacts({
        restore: restore({
          placement: 'Ahead',
          target: { newPod: { excludedNodeNames: ['node-a', 'node-c'] } },
        }),
        checkpoint: accepted,
        node: undefined,
      }),
    );
    assert.ok(step.do === 'create-placeholder');
    const affinity = step.pod.spec.affinity?.nodeAffinity;
    const terms = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    assert.deepEqual(terms?.[0]?.matchFields, [
      { key: 'metadata.name', operator: 'NotIn', values: ['node-a'] },
      { key: 'metadata.name', operator: 'NotIn', values: ['node-c'] },
    ]);
  });
});
