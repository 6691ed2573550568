// The Checkpoints that a schedule makes: names, labels, template.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointScheduleSpec } from '../../crds/checkpoint-schedule.ts';
import { LABELS } from '../../crds/names.ts';
import { namedPod, schedule, scheduleFacts, watchedSince } from '../testing/schedule-facts.ts';
import { decideSchedule } from './decide.ts';

function due(spec: Partial<CheckpointScheduleSpec>) {
  return { schedule: schedule(spec, watchedSince(1_800)) };
}

describe('a schedule', () => {
  it('names its Checkpoints after itself, the pod and the time, and owns none of them', () => {
    const [made] = decideSchedule(scheduleFacts()).create;
    assert.equal(made?.metadata.name, 'hourly-redis-20261124120000');
    assert.equal(made.metadata.labels?.[LABELS.schedule], 'hourly');
    assert.equal(made.metadata.labels[LABELS.run], 'at-20261124120000');
    assert.equal(made.metadata.ownerReferences, undefined);
    assert.deepEqual(made.spec, { source: { pod: { name: 'redis', uid: 'pod-1' } } });
  });

  it('makes them as its template says', () => {
    const template = {
      metadata: { labels: { team: 'shop' }, annotations: { note: 'x' } },
      spec: {
        containers: ['main'],
        storeRef: { name: 'fast' },
        limits: { timeoutSeconds: 60 },
        hooks: { pre: [{ exec: { command: ['flush'] } }] },
      },
    };
    const [made] = decideSchedule(scheduleFacts(due({ template }))).create;
    assert.equal(made?.metadata.labels?.['team'], 'shop');
    assert.deepEqual(made?.metadata.annotations, { note: 'x' });
    const source = { pod: { name: 'redis', uid: 'pod-1', containers: ['main'] } };
    assert.deepEqual(made?.spec, {
      source,
      storeRef: { name: 'fast' },
      limits: { timeoutSeconds: 60 },
      hooks: { pre: [{ exec: { command: ['flush'] } }] },
    });
  });

  it('keeps names of long names apart, and short enough', () => {
    const long = `${'p'.repeat(240)}`;
    const pods = [namedPod(`${long}-1`), namedPod(`${long}-2`)];
    const names = decideSchedule(scheduleFacts({ pods })).create.map((c) => c.metadata.name);
    assert.equal(new Set(names).size, 2);
    assert.ok(
      names.every((name) => name.length <= 200 && /^[a-z0-9.-]+-20261124120000$/.test(name)),
    );
  });
});
