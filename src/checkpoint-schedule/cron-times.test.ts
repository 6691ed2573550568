// Times of cron expressions: zones, changes of clock, and what is no time.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CronTimes, cronTimes, isCronProblem, MAX_COUNTED } from './cron-times.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

function timesOf(schedule: string, timeZone = 'Etc/UTC'): CronTimes {
  const times = cronTimes(schedule, timeZone, NOW);
  assert.ok(!isCronProblem(times), JSON.stringify(times));
  return times;
}

/** The next times after one, as text. */
function next(schedule: string, timeZone: string, from: string, count: number): readonly string[] {
  const times = timesOf(schedule, timeZone);
  const found: string[] = [];
  let millis = Date.parse(from);
  for (let n = 0; n < count; n++) {
    millis = times.after(millis);
    found.push(new Date(millis).toISOString().slice(0, 16));
  }
  return found;
}

describe('times of a schedule', () => {
  it('are those of its zone', () => {
    const from = '2026-07-01T00:00Z';
    assert.deepEqual(next('0 3 * * *', 'Europe/Berlin', from, 1), ['2026-07-01T01:00']);
    assert.deepEqual(next('0 3 * * *', 'Asia/Kolkata', from, 1), ['2026-07-01T21:30']);
    assert.deepEqual(next('@daily', 'America/New_York', from, 1), ['2026-07-01T04:00']);
  });

  it('that the clock skips in spring come right after the gap, on one day only', () => {
    assert.deepEqual(next('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00Z', 3), [
      '2026-03-28T01:30',
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
  });

  it('that come twice in autumn count once', () => {
    assert.deepEqual(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T00:00Z', 3), [
      '2026-10-24T00:30',
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('that recur within the hour go on through both changes', () => {
    for (const from of ['2026-03-29T00:00Z', '2026-10-25T00:00Z']) {
      const found = next('*/30 * * * *', 'Europe/Berlin', from, 8).map((text) => `${text}Z`);
      const expected = found.map((_text, index) => Date.parse(from) + (index + 1) * 1_800_000);
      assert.deepEqual(found.map(Date.parse), expected);
    }
  });
});

describe('times between two moments', () => {
  const quarter = timesOf('*/15 * * * *');
  const at = (text: string): number => Date.parse(`2026-11-24T${text}Z`);

  it('leave the first out and take the last in', () => {
    const found = quarter.between(at('11:45:00'), at('12:00:00'));
    assert.deepEqual(found, { count: 1, last: at('12:00:00') });
    assert.deepEqual(quarter.between(at('11:45:00'), at('11:59:59')), { count: 0 });
    assert.deepEqual(quarter.between(at('12:00:00'), at('11:00:00')), { count: 0 });
  });

  it('know the last one even where there are too many to count', () => {
    const year = 365 * 86_400_000;
    const found = timesOf('* * * * *').between(NOW - year, NOW + 500);
    assert.deepEqual(found, { count: MAX_COUNTED + 1, last: NOW });
  });
});

describe('what is no time', () => {
  for (const [schedule, timeZone, reason, says] of [
    ['61 * * * *', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule "61 \* .*61/],
    ['0 0 30 2 *', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule .*never comes/],
    ['* * * * * *', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule .*five fields/],
    ['? * * * *', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule .*five fields/],
    ['2027-01-01T00:00:00', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule/],
    ['*/0 * * * *', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule/],
    ['0 0 * * xyz', 'Etc/UTC', 'InvalidSchedule', /spec\.schedule/],
    ['0 0 * * *', 'Mars/Base', 'InvalidTimeZone', /spec\.timeZone "Mars\/Base"/],
  ] as const) {
    it(`${schedule} in ${timeZone}: ${reason}`, () => {
      const problem = cronTimes(schedule, timeZone, NOW);
      assert.ok(isCronProblem(problem));
      assert.equal(problem.reason, reason);
      assert.match(problem.facts, says);
    });
  }
});
