// Retention as tables: rules, their union, budgets, what is needed, and that never everything goes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Kept, retention, type RetentionRules } from './retention.ts';

const NOON = Date.parse('2026-11-24T12:00:00Z');
const HOUR = 3_600_000;

/** One Checkpoint of one workload, saved so many hours before noon. */
function saved(hoursAgo: number, changes: Partial<Kept> = {}): Kept {
  return {
    name: `h${hoursAgo}`,
    workload: 'Pod/redis',
    run: `run-${hoursAgo}`,
    savedMillis: NOON - hoursAgo * HOUR,
    bytes: 100,
    ...changes,
  };
}

function range(count: number, stepHours = 1): readonly Kept[] {
  return Array.from({ length: count }, (_none, index) => saved(index * stepHours));
}

interface RetentionCase {
  readonly what: string;
  readonly all: readonly Kept[];
  readonly rules: Partial<RetentionRules>;
  readonly stay: readonly string[];
  readonly blocked?: readonly RegExp[];
}

const CASES: readonly RetentionCase[] = [
  { what: 'nothing there', all: [], rules: { keepLast: 1 }, stay: [] },
  { what: 'no rule keeps all', all: range(3), rules: {}, stay: ['h0', 'h1', 'h2'] },
  { what: 'the last two', all: range(4), rules: { keepLast: 2 }, stay: ['h0', 'h1'] },
  {
    what: 'the last of each of three days',
    all: range(10, 12),
    rules: { keepDaily: 3 },
    stay: ['h0', 'h24', 'h48'],
  },
  {
    what: 'days without any do not count',
    all: [saved(0), saved(1), saved(240), saved(241), saved(480)],
    rules: { keepDaily: 2 },
    stay: ['h0', 'h240'],
  },
  {
    what: 'days are those of the time zone',
    // Midnight in Kolkata is 18:30 UTC: 17 h before noon is the evening before, 18 h the day before that.
    all: [saved(0), saved(17), saved(18)],
    rules: { keepDaily: 9, timeZone: 'Asia/Kolkata' },
    stay: ['h0', 'h18'],
  },
  {
    what: 'the last of each hour',
    all: [saved(0), saved(0.5), saved(0.9), saved(1.5), saved(3)],
    rules: { keepHourly: 3 },
    stay: ['h0', 'h0.5', 'h1.5'],
  },
  {
    what: 'weeks begin on Monday',
    // 24 November 2026 is a Tuesday: 36 h ago is Monday 00:00, 37 h ago Sunday.
    all: [saved(0), saved(36), saved(37), saved(37 + 168)],
    rules: { keepWeekly: 2 },
    stay: ['h0', 'h37'],
  },
  {
    what: 'within some hours of the newest, however long ago that was',
    all: [saved(1000), saved(1002), saved(1003)],
    rules: { keepWithin: '2h' },
    stay: ['h1000', 'h1002'],
  },
  {
    what: 'what any rule keeps stays',
    all: range(60),
    rules: { keepLast: 3, keepDaily: 3 },
    stay: ['h0', 'h1', 'h13', 'h2', 'h37'],
  },
  {
    what: 'but no more runs than the limit of history',
    all: range(60),
    rules: { keepLast: 5, keepDaily: 3, successfulHistoryLimit: 2 },
    stay: ['h0', 'h1'],
  },
  {
    what: 'each workload counts for itself',
    all: [saved(0), saved(1), saved(2, { workload: 'Pod/b' }), saved(3, { workload: 'Pod/b' })],
    rules: { keepLast: 1 },
    stay: ['h0', 'h2'],
  },
  {
    what: 'replicas of one run count as one',
    all: [
      ...['a', 'b', 'c'].map((name) => saved(0, { name, run: 'new' })),
      ...['d', 'e'].map((name) => saved(1, { name, run: 'old' })),
      saved(2),
    ],
    rules: { keepLast: 2 },
    stay: ['a', 'b', 'c', 'd', 'e'],
  },
  {
    what: 'the oldest go until the sum is small enough',
    all: range(5),
    rules: { maxBytes: 250 },
    stay: ['h0', 'h1'],
  },
  {
    what: 'a quantity',
    all: range(3).map((one) => ({ ...one, bytes: 2 ** 30 })),
    rules: { maxBytes: '2Gi' },
    stay: ['h0', 'h1'],
  },
  {
    what: 'never all of them, whatever the budget',
    all: range(3),
    rules: { maxBytes: 1 },
    stay: ['h0'],
    blocked: [/100 bytes stay, more than spec\.retention\.maxBytes/],
  },
  {
    what: 'never the newest of a workload, whatever the budget',
    all: [saved(0), saved(1), saved(9, { workload: 'Pod/b' })],
    rules: { maxBytes: 200 },
    stay: ['h0', 'h9'],
  },
  {
    what: 'what is needed stays, and is told',
    all: [saved(0), saved(1, { needed: 'it is held' }), saved(2, { needed: 'Restore x uses it' })],
    rules: { keepLast: 1 },
    stay: ['h0', 'h1', 'h2'],
    blocked: [/h1: it is held/, /h2: Restore x uses it/],
  },
  {
    what: 'what is needed counts for the budget, others make room',
    all: [saved(0), saved(1), saved(2, { needed: 'it is held' })],
    rules: { maxBytes: 200 },
    stay: ['h0', 'h2'],
  },
  {
    what: 'what a kept one is built on stays, to the end of the chain',
    all: [saved(0, { parent: 'h1' }), saved(1, { parent: 'h2' }), saved(2), saved(3)],
    rules: { keepLast: 1 },
    stay: ['h0', 'h1', 'h2'],
    blocked: [/h1: h0 is built on it/, /h2: h1 is built on it/],
  },
  {
    what: 'what a held one is built on stays',
    all: [saved(0), saved(1, { parent: 'h2', needed: 'it is held' }), saved(2), saved(3)],
    rules: { keepLast: 1 },
    stay: ['h0', 'h1', 'h2'],
    blocked: [/h1: it is held/, /h2: h1 is built on it/],
  },
  {
    what: 'a budget takes the child first, then its parent',
    all: [saved(0), saved(1, { parent: 'h2' }), saved(2)],
    rules: { maxBytes: 100 },
    stay: ['h0'],
  },
  {
    what: 'a chain that goes nowhere or in a ring is no trouble',
    all: [saved(0, { parent: 'h1' }), saved(1, { parent: 'h0' }), saved(2, { parent: 'gone' })],
    rules: { keepLast: 1 },
    stay: ['h0', 'h1'],
    blocked: [/h1: h0 is built on it/],
  },
];

describe('retention', () => {
  for (const { what, all, rules, stay, blocked = [] } of CASES) {
    it(what, () => {
      // The order in which the API server lists them must not matter.
      for (const order of [all, all.toReversed()]) {
        const verdict = retention(order, { timeZone: 'Etc/UTC', ...rules });
        const staying = order.map(({ name }) => name).filter((n) => !verdict.remove.includes(n));
        assert.deepEqual(staying.toSorted(), stay);
        const told = verdict.blocked.toSorted();
        assert.equal(told.length, blocked.length, told.join('; '));
        blocked.forEach((says, index) => assert.match(told[index] ?? '', says));
      }
    });
  }

  it('keeps two hours of the night when clocks are put back', () => {
    const at = (text: string) => ({ savedMillis: Date.parse(text), run: text, name: text });
    const all = ['2026-10-25T00:30Z', '2026-10-25T01:30Z'].map((text) => saved(0, at(text)));
    const verdict = retention(all, { timeZone: 'Europe/Berlin', keepHourly: 5 });
    assert.deepEqual(verdict.remove, []);
  });

  it('never removes everything, whatever the rules', () => {
    const all = range(12, 7);
    for (const rules of [
      { keepLast: 1 },
      { keepHourly: 1 },
      { keepDaily: 1 },
      { keepWeekly: 1 },
      { keepWithin: '1s' },
      { maxBytes: 1 },
      { keepLast: 0 },
      { successfulHistoryLimit: 0 },
    ]) {
      const { remove } = retention(all, { timeZone: 'Etc/UTC', ...rules });
      assert.ok(!remove.includes('h0'), JSON.stringify(rules));
    }
  });
});
