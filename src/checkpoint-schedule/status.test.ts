// What a schedule tells: its status, its events, when it looks again.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointScheduleSpec } from '../../crds/checkpoint-schedule.ts';
import { findCondition } from '../../kube/conditions.ts';
import { NOW, time } from '../testing/builders.ts';
import { child, schedule, scheduleFacts, watchedSince } from '../testing/schedule-facts.ts';
import { decideSchedule } from './decide.ts';

/** The run of 12:00 was dealt with, an hour to go. */
const DONE = watchedSince(3_600, { lastScheduleTime: time(0) });
const busy = child('hourly-redis-1', 900);

function idle(spec: Partial<CheckpointScheduleSpec>, status = {}) {
  return { schedule: schedule(spec, { ...DONE, ...status }) };
}

describe('a schedule', () => {
  it('says what it did and when it goes on', () => {
    const { status, news, againAfterMillis } = decideSchedule(scheduleFacts());
    assert.deepEqual(status.lastRun, { time: time(0), trigger: 'Schedule', pods: 1 });
    assert.equal(status.lastScheduleTime, time(0));
    assert.equal(status.nextScheduleTime, time(3600));
    assert.equal(status.active, 1);
    assert.deepEqual(status.activeCheckpoints, ['hourly-redis-20261124120000']);
    assert.deepEqual(
      news.map(({ reason }) => reason),
      ['RunStarted'],
    );
    assert.ok(againAfterMillis <= 60_000);
  });

  it('wakes up for its next time', () => {
    const facts = { ...idle({}), nowMillis: NOW + 3_590_000 };
    const { againAfterMillis } = decideSchedule(scheduleFacts(facts));
    assert.ok(againAfterMillis >= 10_000 && againAfterMillis < 10_100, `${againAfterMillis}`);
  });

  it('that shares a pod with an older one names both', () => {
    const older = schedule({}, undefined, { name: 'older', creationTimestamp: time(-99_999) });
    const { status } = decideSchedule(scheduleFacts({ others: [older] }));
    const exclusive = findCondition(status.conditions, 'Exclusive');
    assert.equal(exclusive?.status, 'False');
    assert.match(exclusive.message, /spec\.selector selects pod redis.*CheckpointSchedule older/);
  });

  it('lets a token wait for Checkpoints under way, and forgets it only then', () => {
    const waiting = decideSchedule(
      scheduleFacts({ ...idle({ runNow: 'now' }), checkpoints: [busy] }),
    );
    assert.deepEqual([waiting.create.length, waiting.status.lastRunToken], [0, undefined]);
    const done = decideSchedule(scheduleFacts(idle({ runNow: 'now' })));
    assert.deepEqual([done.create.length, done.status.lastRunToken], [1, 'now']);
  });

  it('forgets nodes that take pods again, and requests of pods that are gone', () => {
    const status = { drainedNodes: ['node-a'], requests: [{ podUID: 'gone', token: '1' }] };
    const decided = decideSchedule(
      scheduleFacts(idle({ triggers: { onNodeDrain: true, onAnnotation: true } }, status)),
    );
    assert.equal(decided.status.drainedNodes, undefined);
    assert.equal(decided.status.requests, undefined);
  });
});
