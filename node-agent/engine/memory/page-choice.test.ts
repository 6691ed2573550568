// Which pages are saved, by tables of what the kernel says of each page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mapping, parseSmaps } from '../linux/procfs/maps.ts';
import { matches, PAGE_IS, type PageRange } from '../linux/procfs/pagemap.ts';
import type { Area, AreaKind } from './area.ts';
import { choosePages, type PageRun, type PageTable } from './page-choice.ts';
import { groupsOf, splitAt } from './page-pump.ts';
import { firstMissing } from './save-pages.ts';

const PAGE = 0x1000n;
const { PRESENT, SWAPPED, PFNZERO, FILE, GUARD, HUGE } = PAGE_IS;

/** One category word for each page from address 0x10000 on. */
function table(...categories: bigint[]): PageTable {
  return {
    markers: () => [],
    ranges(start, end, query) {
      const found: PageRange[] = [];
      for (let at = start; at < end; at += PAGE) {
        const category = categories[Number((at - 0x10000n) / PAGE)] ?? 0n;
        if (matches(category, query)) found.push({ start: at, end: at + PAGE });
      }
      return found;
    },
  };
}

function area(kind: AreaKind, pages: number, flags = 'rd wr', from = 0x10000n): Area {
  const end = from + BigInt(pages) * PAGE;
  const line = `${from.toString(16)}-${end.toString(16)} rw-p 00000000 00:00 0`;
  const [mapping] = parseSmaps(`${line}\nVmFlags: ${flags} \n`);
  return { mapping: mapping as Mapping, kind };
}

const numbers = (runs: readonly PageRange[]): number[] =>
  runs.flatMap(({ start, end }) =>
    Array.from(
      { length: Number((end - start) / PAGE) },
      (_, i) => Number((start - 0x10000n) / PAGE) + i,
    ),
  );

// hole, page, swapped, zero page read, huge, guard, page of the file, zero page of the file
const ALL = [
  0n,
  PRESENT,
  SWAPPED,
  PRESENT | PFNZERO,
  PRESENT | HUGE,
  SWAPPED | GUARD,
  PRESENT | FILE,
];

test('anonymous memory: all that exists but the zero page and guards', () => {
  const { runs, guards, bytes } = choosePages(table(...ALL), [area('anonymous', 7)], true);
  assert.deepEqual(numbers(runs), [1, 2, 4, 6]);
  assert.deepEqual(numbers(guards), [5]);
  assert.equal(bytes, 4 * 4096);
  assert.ok(runs.every((run) => run.lazy && run.giveable));
});

test('a private file: only what the process changed', () => {
  const { runs } = choosePages(table(...ALL), [area('file-private', 7)], true);
  assert.deepEqual(numbers(runs), [1, 2, 4]);
  assert.ok(runs.every((run) => !run.lazy));
});

test('before Linux 6.15 guards cannot be told from swapped pages', () => {
  const { runs, guards } = choosePages(table(...ALL), [area('anonymous', 7)], false);
  assert.deepEqual(numbers(runs), [1, 2, 4, 5, 6]);
  assert.deepEqual(guards, []);
});

test('shared, droppable and kernel memory has no pages of its own, the vDSO is always whole', () => {
  const none = table(...ALL);
  for (const kind of ['file-shared', 'shared-memory', 'vvar', 'vsyscall'] as const) {
    assert.deepEqual(choosePages(none, [area(kind, 7)], true).runs, [], kind);
  }
  assert.deepEqual(choosePages(none, [area('anonymous', 7, 'rd wr wf dd dp')], true).runs, []);
  const { runs } = choosePages(none, [area('vdso', 2)], true);
  assert.deepEqual(numbers(runs), [0, 1]);
  assert.ok(
    runs.every(({ giveable }) => !giveable),
    'the vDSO is copied',
  );
});

const run = (start: number, pages: number, more: Partial<PageRun> = {}): PageRun => ({
  start: BigInt(start) * PAGE,
  end: BigInt(start + pages) * PAGE,
  giveable: true,
  lazy: true,
  ...more,
});

test('runs that cannot be read are copied, in their place', () => {
  const groups = groupsOf([run(1, 1), run(3, 1), run(5, 1, { giveable: false }), run(7, 1)]);
  assert.deepEqual(
    groups.map((group) => group.length),
    [2, 1, 1],
  );
});

test('a pump that stopped in the middle goes on behind the run it could not read', () => {
  const runs = [run(1, 2), run(5, 4), run(20, 1)];
  const { rest, following } = splitAt(runs, 3 * 4096);
  assert.deepEqual([rest.start / PAGE, rest.end / PAGE], [6n, 9n]);
  assert.deepEqual(following, [runs[2]]);
  assert.throws(() => splitAt(runs, 7 * 4096), /behind the end/);
});

test('a child that lacks an area, or has it wiped, is no snapshot', () => {
  const wanted = [area('anonymous', 4), area('anonymous', 4, 'rd wr', 0x20000n)];
  const [first, second] = wanted.map((one) => one.mapping) as [Mapping, Mapping];
  const all = { ...first, end: second.end };
  assert.equal(firstMissing(wanted, [first, second]), undefined);
  assert.equal(firstMissing(wanted, [all]), undefined, 'merged');
  assert.equal(firstMissing(wanted, [first]), second);
  assert.equal(firstMissing(wanted, [{ ...first, end: first.end - PAGE }, second]), first);
  assert.equal(firstMissing(wanted, [first, { ...second, flags: new Set(['wf']) }]), second);
});
