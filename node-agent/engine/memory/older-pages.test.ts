// Which pages stay in an older directory: as runs of page numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intersect, mergeRuns, type PlacedRun, splitByParent } from './older-pages.ts';

const PAGE = 4096n;
type Pages = readonly [first: number, end: number];
const range = ([first, end]: Pages) => ({ start: BigInt(first) * PAGE, end: BigInt(end) * PAGE });
const run = (pages: Pages, more: Partial<PlacedRun> = {}): PlacedRun => ({
  ...range(pages),
  giveable: true,
  lazy: true,
  inParent: false,
  ...more,
});
const picture = (runs: readonly PlacedRun[]) =>
  runs.map(({ start, end, inParent }) => [
    Number(start / PAGE),
    Number(end / PAGE),
    inParent ? 'older' : 'here',
  ]);

test('what is clean and was saved stays where it is', () => {
  const runs = [run([10, 20]), run([30, 40]), run([50, 52])];
  const clean: Pages[] = [
    [5, 12],
    [14, 35],
    [50, 60],
  ];
  const older: Pages[] = [
    [11, 16],
    [18, 33],
    [51, 52],
  ];
  assert.deepEqual(picture(splitByParent(runs, clean.map(range), older.map(range))), [
    [10, 11, 'here'],
    [11, 12, 'older'],
    [12, 14, 'here'],
    [14, 16, 'older'],
    [16, 18, 'here'],
    [18, 20, 'older'],
    [30, 33, 'older'],
    [33, 40, 'here'],
    [50, 51, 'here'],
    [51, 52, 'older'],
  ]);
  assert.deepEqual(picture(splitByParent(runs, [], older.map(range))), picture(runs));
  assert.deepEqual(picture(splitByParent(runs, clean.map(range), [])), picture(runs));
});

test('two lists of ranges', () => {
  const common = intersect([range([1, 4]), range([6, 9])], [range([0, 2]), range([3, 8])]);
  assert.deepEqual(common, [range([1, 2]), range([3, 4]), range([6, 8])]);
});

test('neighbours of one kind are one run of the pagemap', () => {
  const merged = mergeRuns([
    run([1, 3]),
    run([3, 4], { giveable: false }),
    run([4, 5], { lazy: false }),
    run([5, 6], { lazy: false, inParent: true }),
    run([7, 8]),
  ]);
  assert.deepEqual(picture(merged), [
    [1, 4, 'here'],
    [4, 5, 'here'],
    [5, 6, 'older'],
    [7, 8, 'here'],
  ]);
});
