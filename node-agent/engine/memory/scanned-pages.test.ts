// What a scan means, by tables: which pages are copied, which stay in older images, whatever order the kernel tells them in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mapping, parseSmaps } from '../linux/procfs/maps.ts';
import { RUN_IS } from '../linux/procfs/page-scan.ts';
import type { PageRange } from '../linux/procfs/pagemap.ts';
import type { Area, AreaKind } from './area.ts';
import { emptiedRuns, missingRuns, planScanned, suspectsOf, writtenRuns } from './scanned-pages.ts';

const PAGE = 4096;
const FIRST = 16;
const { WPALLOWED, WRITTEN, PRESENT, SWAPPED, PFNZERO, FILE, GUARD } = RUN_IS;
const CLEAN = WPALLOWED | PRESENT;
const DIRTY = CLEAN | WRITTEN;

function area(kind: AreaKind, first: number, end: number, flags = 'rd wr'): Area {
  const hex = (page: number): string => (page * PAGE).toString(16);
  const line = `${hex(first)}-${hex(end)} rw-p 00000000 00:00 0`;
  const [mapping] = parseSmaps(`${line}\nVmFlags: ${flags} \n`);
  return { mapping: mapping as Mapping, kind };
}

type Run = readonly [first: number, end: number, category: number];

function scanned(areas: readonly Area[], runs: readonly Run[], marks: readonly number[] = []) {
  const scan = {
    each: (visit: (start: number, end: number, category: number) => void) =>
      runs.forEach(([first, end, category]) => visit(first * PAGE, end * PAGE, category)),
  };
  return { areas, scan, marks: new Set(marks.map((page) => page * PAGE)) };
}

const pages = (flat: readonly number[]): number[] => flat.map((at) => at / PAGE);
const range = (first: number, end: number): PageRange => ({
  start: BigInt(first * PAGE),
  end: BigInt(end * PAGE),
});
const none = (): boolean => false;
const NOTHING = { changed: [], emptied: [] };

function placed(plan: ReturnType<typeof planScanned>) {
  return plan.runs.map(({ start, end, inParent }) => [
    Number(start) / PAGE,
    Number(end) / PAGE,
    inParent ? 'older' : 'here',
  ]);
}

const AREAS = [area('anonymous', FIRST, 32), area('file-private', 32, 48), area('vvar', 48, 52)];

test('written pages, cut at the borders of areas', () => {
  const seen = scanned(AREAS, [
    [10, 17, DIRTY],
    [17, 20, CLEAN],
    [20, 22, DIRTY | PFNZERO],
    [22, 24, WPALLOWED | WRITTEN | SWAPPED | GUARD],
    [30, 34, DIRTY],
    [34, 36, DIRTY | FILE],
    [44, 60, PRESENT],
  ]);
  assert.deepEqual(pages(writtenRuns(seen)), [16, 17, 30, 32, 32, 34, 44, 48]);
});

test('pages that are swapped and clean are copied when nobody has them', () => {
  const seen = scanned(AREAS, [
    [16, 18, DIRTY],
    [18, 26, WPALLOWED | SWAPPED],
  ]);
  const older = [17, 20, 24, 26].map((page) => page * PAGE);
  assert.deepEqual(pages(missingRuns(seen, older, none)), [
    ...[16, 18, 20, 21, 21, 22, 22, 23, 23, 24],
  ]);
  const isCopied = (page: number): boolean => page === 21 * PAGE || page === 16 * PAGE;
  assert.deepEqual(
    pages(missingRuns(seen, older, isCopied)),
    [16, 18, 20, 21, 22, 23, 23, 24],
    'a copy of a page that was written to again is worthless',
  );
});

test('what is not told of is as it was: in older images, or copied, or does not count', () => {
  const seen = scanned(AREAS, [
    [16, 18, DIRTY],
    [18, 19, 0],
    [26, 32, PRESENT | WRITTEN],
    [40, 48, 0],
  ]);
  const changed = [23, 20, 21, 40].map((page) => page * PAGE);
  const plan = planScanned(seen, { older: [range(17, 24), range(33, 50)], changed, emptied: [] });
  assert.deepEqual(placed(plan), [
    [16, 18, 'here'],
    [19, 20, 'older'],
    [20, 22, 'here'],
    [22, 23, 'older'],
    [23, 24, 'here'],
    [26, 32, 'here'],
    [33, 40, 'older'],
  ]);
  assert.equal(plan.bytes, 11 * PAGE);
});

test('zeros in the place of a page, of which an earlier round told, are not taken from older images', () => {
  const round = scanned(AREAS, [
    [16, 17, DIRTY],
    [20, 22, DIRTY | PFNZERO],
    [34, 35, DIRTY | FILE],
  ]);
  const emptied = emptiedRuns(round);
  assert.deepEqual(pages(emptied), [20, 22, 34, 35]);
  const plan = planScanned(scanned(AREAS, []), {
    older: [range(18, 24), range(33, 36)],
    changed: [],
    emptied: [20, 21, 34].map((page) => page * PAGE),
  });
  assert.deepEqual(placed(plan), [
    [18, 20, 'older'],
    [22, 24, 'older'],
    [33, 34, 'older'],
    [35, 36, 'older'],
  ]);
});

test('marks of the page table are no pages, guards are told apart, the vDSO is whole', () => {
  const marked: Run[] = [
    [16, 18, WPALLOWED | SWAPPED],
    [20, 21, WPALLOWED | SWAPPED | GUARD],
  ];
  const areas = [...AREAS, area('vdso', 60, 62)];
  const seen = scanned(areas, marked, [17]);
  assert.deepEqual(suspectsOf(seen), [range(16, 18)]);
  assert.deepEqual(pages(missingRuns(seen, [], none)), [60, 62, 16, 17]);
  const plan = planScanned(seen, { older: [range(17, 18)], ...NOTHING });
  assert.deepEqual(placed(plan), [
    [16, 17, 'here'],
    [60, 62, 'here'],
  ]);
  assert.deepEqual(plan.guards, [range(20, 21)]);
});
