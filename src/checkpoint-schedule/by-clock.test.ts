// Which time is due: made up for, missed, too late, held back, and when clocks or schedules change.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  CheckpointScheduleSpec,
  CheckpointScheduleStatus,
} from '../../crds/checkpoint-schedule.ts';
import { NOW, time } from '../testing/builders.ts';
import { schedule, watchedSince } from '../testing/schedule-facts.ts';
import { byClock, jitterMillis } from './by-clock.ts';
import { cronTimes, isCronProblem } from './cron-times.ts';

interface ClockCase {
  readonly what: string;
  readonly spec?: Partial<CheckpointScheduleSpec>;
  readonly status?: CheckpointScheduleStatus;
  /** seconds after 12:00 */
  readonly at?: number;
  /** seconds after 12:00 */
  readonly due?: number;
  readonly next?: number;
  readonly missed?: number;
  readonly skipped?: string;
  readonly news?: readonly string[];
}

const CASES: readonly ClockCase[] = [
  { what: 'seen for the first time at the very moment: not due', at: 0, next: 3600 },
  { what: 'before its time', status: watchedSince(600), at: -1, next: 0 },
  { what: 'at its time', status: watchedSince(600), due: 0, next: 3600 },
  { what: 'some seconds later', status: watchedSince(600), at: 7, due: 0, next: 3600 },
  {
    what: 'dealt with already',
    status: watchedSince(86_400, { lastScheduleTime: time(0) }),
    at: 7,
    next: 3600,
  },
  {
    what: 'after three hours without a controller: one run, two missed',
    status: watchedSince(86_400, { lastScheduleTime: time(-3 * 3600) }),
    at: 60,
    due: 0,
    next: 3600,
    missed: 2,
    news: ['MissedRuns'],
  },
  {
    what: 'after a year without a controller: a hundred are counted, one is run',
    status: watchedSince(365 * 86_400),
    due: 0,
    next: 3600,
    missed: 100,
    news: ['MissedRuns'],
  },
  {
    what: 'within its starting deadline',
    spec: { startingDeadlineSeconds: 30 },
    status: watchedSince(600),
    at: 30,
    due: 0,
    next: 3600,
  },
  {
    what: 'past its starting deadline',
    spec: { startingDeadlineSeconds: 30 },
    status: watchedSince(600),
    at: 31,
    next: 3600,
    missed: 1,
    skipped: 'StartingDeadlinePassed',
    news: ['MissedRuns'],
  },
  { what: 'suspended', spec: { suspend: true }, status: watchedSince(86_400) },
  {
    what: 'resumed: what passed meanwhile is nobody’s',
    status: { lastScheduleTime: time(-86_400) },
    at: 10,
    next: 3600,
  },
  {
    what: 'changed: times of the new expression count from now',
    spec: { schedule: '*/5 * * * *' },
    status: watchedSince(86_400, { lastScheduleTime: time(-3600) }),
    at: 10,
    next: 300,
  },
  {
    what: 'moved to another zone: the same',
    spec: { timeZone: 'Asia/Kolkata' },
    status: watchedSince(86_400, { lastScheduleTime: time(-3600) }),
    at: 10,
    next: 1800,
  },
  {
    what: 'the clock was put back by a year: it counts from now instead of waiting a year',
    status: watchedSince(-365 * 86_400, { lastScheduleTime: time(365 * 86_400) }),
    at: 10,
    next: 3600,
    news: ['ClockJumped'],
  },
  {
    what: 'the clock was put back by seconds: nothing runs twice',
    status: watchedSince(86_400, { lastScheduleTime: time(0) }),
    at: -5,
    next: 3600,
  },
];

describe('by the clock', () => {
  for (const { what, spec = {}, status, at = 0, due, next, missed = 0, ...told } of CASES) {
    it(what, () => {
      const nowMillis = NOW + at * 1000;
      const subject = schedule(spec, status);
      const found = byClock(subject, timesOf(subject.spec, nowMillis), nowMillis);
      const seconds = (millis: number | undefined) =>
        millis === undefined ? undefined : (millis - NOW) / 1000;
      assert.equal(seconds(found.dueMillis), due, 'due');
      assert.equal(seconds(found.nextMillis), next, 'next');
      assert.equal(found.missed, missed, 'missed');
      assert.equal(found.skipped?.reason, told.skipped, 'skipped');
      assert.deepEqual(
        found.news.map(({ reason }) => reason),
        told.news ?? [],
      );
    });
  }

  it('without an expression never', () => {
    const { schedule: _none, ...spec } = schedule().spec;
    const found = byClock({ ...schedule(), spec }, undefined, NOW);
    assert.deepEqual(
      [found.dueMillis, found.nextMillis, found.cron],
      [undefined, undefined, undefined],
    );
  });

  it('puts every run off by the same time, within the jitter, other schedules by another', () => {
    const subject = schedule({ jitterSeconds: 600 }, watchedSince(600));
    const delay = jitterMillis(subject);
    assert.ok(delay > 0 && delay < 600_000);
    assert.equal(jitterMillis(subject), delay);
    assert.notEqual(jitterMillis(schedule({ jitterSeconds: 600 }, undefined, { uid: 'b' })), delay);
    const times = timesOf(subject.spec, NOW);
    const early = byClock(subject, times, NOW + delay - 1);
    assert.deepEqual([early.dueMillis, early.nextMillis], [undefined, NOW + delay]);
    const due = byClock(subject, times, NOW + delay);
    assert.deepEqual([due.dueMillis, due.nextMillis], [NOW, NOW + 3_600_000 + delay]);
  });
});

function timesOf(spec: CheckpointScheduleSpec, nowMillis: number) {
  const times = cronTimes(spec.schedule ?? '', spec.timeZone ?? 'Etc/UTC', nowMillis);
  assert.ok(!isCronProblem(times));
  return times;
}
