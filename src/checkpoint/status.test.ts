// What a Checkpoint's status tells after each step.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointStatus } from '../../crds/checkpoint.ts';
import type { NodeTaskStatus } from '../../crds/node-task.ts';
import { findCondition } from '../../kube/conditions.ts';
import { formatMillis, reported } from '../cluster/status-builder.ts';
import { transitionEvents } from '../cluster/transitions.ts';
import { podTemplate } from '../placeholder/template.ts';
import { checkpoint, NOW, pod, time } from '../testing/builders.ts';
import { acceptedStatus, dump } from '../testing/checkpoint-facts.ts';
import { succeed } from '../testing/fake-node.ts';
import { checkpointStatus } from './status.ts';

const accepted = checkpoint({}, acceptedStatus());

function summary(status: CheckpointStatus): string {
  const ready = findCondition(status.conditions, 'Ready');
  const captured = findCondition(status.conditions, 'Captured')?.status ?? '-';
  return `${status.phase} ${ready?.status} ${ready?.reason} ${captured}`;
}

describe('checkpointStatus', () => {
  it('records pod, owner and store when the Checkpoint is accepted', () => {
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'redis-5f',
      uid: 'x',
      controller: true,
    };
    const source = pod({}, { ownerReferences: [owner] });
    const store = { name: 'default', claimName: 'checkpoints' };
    const containers = [{ name: 'main', imageID: 'sha256:d1' }];
    const template = podTemplate(source);
    const step = { do: 'accept', pod: source, template, store, containers } as const;
    const status = checkpointStatus(checkpoint(), step, NOW);
    assert.deepEqual(status.source, {
      podUID: 'pod-1',
      node: 'node-a',
      ownerKind: 'ReplicaSet',
      ownerName: 'redis-5f',
      containers,
    });
    assert.deepEqual(status.store, store);
    assert.equal(status.timing?.startTime, time(0));
    assert.equal(status.observedGeneration, 1);
    assert.equal(summary(status), 'Pending False Pending -');
  });

  for (const [stage, expected] of [
    ['finding-containers', 'Running False Dumping -'],
    ['preparing', 'Running False Freezing -'],
    ['frozen', 'Running False Freezing -'],
    ['thawed', 'Running False Storing True'],
    ['saving-pages', 'Running False Storing True'],
    ['something-new', 'Running False Dumping -'],
  ] as const) {
    it(`at stage ${stage}: ${expected}`, () => {
      const task = dump({ state: 'Running', stage, bytesDone: 1, bytesTotal: 2 });
      const status = checkpointStatus(accepted, { do: 'progress', task }, NOW);
      assert.equal(summary(status), expected);
      assert.deepEqual(status.progress, { stage, bytesDone: 1, bytesTotal: 2 });
    });
  }

  it('does not call a source captured that is still being written as it stands', () => {
    const stop = checkpoint({ afterDump: 'Stop' }, acceptedStatus());
    const task = dump({ state: 'Running', stage: 'saving-pages' }, stop);
    const status = checkpointStatus(stop, { do: 'progress', task }, NOW);
    assert.equal(summary(status), 'Running False Storing -');
  });

  it('tells what was stored', () => {
    const done: NodeTaskStatus | undefined = succeed(dump()).at(-1);
    const task = dump(done);
    const status = checkpointStatus(accepted, { do: 'store-result', task }, NOW);
    assert.equal(summary(status), 'Ready True Completed True');
    assert.equal(status.containers?.[0]?.imageID, pod().status?.containerStatuses?.[0]?.imageID);
    assert.deepEqual(status.requirements, { arch: 'x86_64' });
    assert.equal(
      findCondition(status.conditions, 'Ready')?.message,
      'stored 105Mi, frozen for 12.5ms',
    );
  });

  it('of a dry run tells the report and no bundle', () => {
    const dry = checkpoint({ mode: 'DryRun' }, acceptedStatus());
    const report = [
      { severity: 'note', code: 'X', container: 'main', pid: 1, message: '' },
    ] as const;
    const task = dump({ state: 'Succeeded', result: { report } }, dry);
    const status = checkpointStatus(dry, { do: 'store-result', task }, NOW);
    assert.equal(summary(status), 'Ready True DryRunPassed -');
    assert.equal(status.bundle, undefined);
    assert.deepEqual(status.report, report);
  });

  it('says the same again without a new transition time', () => {
    const step = { do: 'wait', reason: 'Queued', facts: 'x', againAfterMillis: 1 } as const;
    const first = checkpointStatus(accepted, step, NOW);
    const again = checkpointStatus({ ...accepted, status: first }, step, NOW + 60_000);
    assert.deepEqual(again, first);
  });

  it('stays as it is after steps that say nothing', () => {
    const steps = [
      { do: 'nothing' },
      { do: 'add-finalizer' },
      { do: 'delete-task', task: dump() },
    ] as const;
    for (const step of steps) {
      assert.equal(checkpointStatus(accepted, step, NOW), accepted.status);
    }
  });
});

describe('events', () => {
  const failing = (reason: 'StoreFull' | 'Queued') =>
    checkpointStatus(
      accepted,
      reason === 'Queued'
        ? { do: 'wait', reason, facts: 'x', againAfterMillis: 1 }
        : { do: 'fail', reason, facts: 'no room' },
      NOW,
    );
  const told = (reason: 'StoreFull' | 'Queued') =>
    transitionEvents({
      object: accepted,
      conditions: failing(reason).conditions,
      action: 'Wait',
      pod: pod(),
    }).map(({ regarding, type, reason: why }) => `${regarding.kind} ${type} ${why}`);

  it('tell of a failure at the object and at its pod', () => {
    assert.deepEqual(told('StoreFull'), ['Checkpoint Warning StoreFull', 'Pod Warning StoreFull']);
  });

  it('tell of waiting at the object only', () => {
    assert.deepEqual(told('Queued'), ['Checkpoint Warning Queued']);
  });

  it('are told once', () => {
    const status = failing('Queued');
    const object = { ...accepted, status };
    const { conditions } = status;
    assert.deepEqual(transitionEvents({ object, conditions, action: 'Wait', pod: pod() }), []);
  });
});

describe('what people read', () => {
  it('has refusals first and at most 32 entries', () => {
    const entry = (severity: 'refusal' | 'loss' | 'note') =>
      ({ severity, code: 'X', container: 'main', pid: 1, message: '' }) as const;
    const many = [
      ...Array.from({ length: 40 }, () => entry('note')),
      entry('loss'),
      entry('refusal'),
    ];
    const kept = reported(many).map(({ severity }) => severity);
    assert.deepEqual(kept.slice(0, 3), ['refusal', 'loss', 'note']);
    assert.equal(kept.length, 32);
  });

  for (const [millis, text] of [
    [12.53, '12.5ms'],
    [0.4321, '0.432ms'],
    [1500, '1.5s'],
    [61_234, '61.2s'],
  ] as const) {
    it(`${millis} ms are ${text}`, () => assert.equal(formatMillis(millis), text));
  }
});
