import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Condition } from '../crds/meta.ts';
import {
  type ConditionUpdate,
  conditionStatus,
  findCondition,
  isConditionTrue,
  removeCondition,
  sameConditions,
  setCondition,
} from './conditions.ts';

const NOW = Date.UTC(2030, 0, 2, 3, 4, 5, 678);
const BEFORE = '2029-12-31T00:00:00Z';

const ready: Condition = {
  type: 'Ready',
  status: 'False',
  reason: 'Waiting',
  message: 'for the node',
  lastTransitionTime: BEFORE,
  observedGeneration: 1,
};
const other: Condition = { ...ready, type: 'Other' };

function update(change: Partial<ConditionUpdate>): ConditionUpdate {
  const { lastTransitionTime: _time, ...rest } = ready;
  return { ...rest, ...change };
}

describe('setCondition', () => {
  it('adds a condition, with the time in whole seconds', () => {
    const [added] = setCondition(undefined, update({}), NOW);
    assert.deepEqual(added, { ...ready, lastTransitionTime: '2030-01-02T03:04:05Z' });
  });

  it('gives back the very same list when nothing changes', () => {
    const list = [other, ready];
    assert.equal(setCondition(list, update({}), NOW), list);
  });

  it('keeps the time unless the status changes', () => {
    const changed = setCondition([other, ready], update({ reason: 'Slow', message: 'x' }), NOW);
    assert.deepEqual(changed, [other, { ...ready, reason: 'Slow', message: 'x' }]);
    const flipped = setCondition([other, ready], update({ status: 'True' }), NOW);
    assert.equal(flipped[1]?.lastTransitionTime, '2030-01-02T03:04:05Z');
    assert.equal(flipped[0], other);
  });

  it('notes a new generation, even alone', () => {
    const changed = setCondition([ready], update({ observedGeneration: 2 }), NOW);
    assert.deepEqual(changed, [{ ...ready, observedGeneration: 2 }]);
  });

  it('refuses reasons that the API server would refuse', () => {
    for (const reason of ['', 'not camel', '1st', 'Ends,']) {
      assert.throws(() => setCondition([], update({ reason }), NOW), /no CamelCase reason/);
    }
  });
});

describe('looking', () => {
  it('absent is Unknown', () => {
    assert.equal(conditionStatus(undefined, 'Ready'), 'Unknown');
    assert.equal(conditionStatus([ready], 'Ready'), 'False');
    assert.ok(!isConditionTrue([ready], 'Ready'));
    assert.ok(isConditionTrue([{ ...ready, status: 'True' }], 'Ready'));
    assert.equal(findCondition([other], 'Ready'), undefined);
  });

  it('removes one', () => {
    const list = [ready];
    assert.equal(removeCondition(list, 'Other'), list);
    assert.deepEqual(removeCondition([ready, other], 'Ready'), [other]);
  });

  it('compares in any order, every field', () => {
    assert.ok(sameConditions([ready, other], [{ ...other }, { ...ready }]));
    assert.ok(sameConditions(undefined, []));
    assert.ok(!sameConditions([ready], [ready, other]));
    for (const change of [
      { status: 'True' },
      { reason: 'X' },
      { message: 'x' },
      { lastTransitionTime: 'x' },
      { observedGeneration: 9 },
    ] as const) {
      assert.ok(!sameConditions([ready], [{ ...ready, ...change }]), JSON.stringify(change));
    }
  });
});
