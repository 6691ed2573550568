// Which areas may be brought later, and that nothing is brought twice or forgotten.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmaStatus } from '../image/messages/enums.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { MADV, MAP, PROT } from './area.ts';
import { lazyAreas, runsOutside } from './lazy-choice.ts';
import type { SavedRun } from './saved-pages.ts';
import { area, memory } from './testing/saved-process.ts';

const source = { images: { openRaw: () => undefined }, file: 'pages-1.img', bytes: 0 };
const LARGE = 512;
const page = (address: bigint): number => Number(address >> 12n);

/** Runs of pages, one after the other in their file. */
function saved(...spans: readonly (readonly [number, number])[]): SavedRun[] {
  let offset = 0;
  return spans.map(([first, end]) => {
    const run = { start: BigInt(first) << 12n, end: BigInt(end) << 12n, source, offset };
    offset += (end - first) * 4096;
    return run;
  });
}

const flags = (more: number): Partial<VmaEntry> => ({ flags: MAP.PRIVATE | MAP.ANONYMOUS | more });
const FILE = {
  status: VmaStatus.REGULAR | VmaStatus.FILE_PRIVATE,
  flags: MAP.PRIVATE,
  shmid: 5n,
  fdflags: 0,
};
const guard = (first: number, end: number): VmaEntry =>
  area(first, end, { status: VmaStatus.REGULAR | VmaStatus.GUARD });

// what it is, areas, runs, first pages of the areas that may come later
const CASES: readonly [string, VmaEntry[], SavedRun[], number[]][] = [
  ['large', [area(16, 16 + LARGE)], saved([16, 16 + LARGE]), [16]],
  ['large, hardly used', [area(16, 16 + LARGE)], saved([16, 17], [300, 400]), []],
  ['used in pieces', [area(16, 16 + LARGE)], saved([16, 216], [300, 400]), [16]],
  ['nobody may touch it now', [area(16, 16 + LARGE, { prot: 0 })], saved([16, 16 + LARGE]), [16]],
  ['small', [area(16, 80)], saved([16, 80]), []],
  ['of a file', [area(16, 16 + LARGE, FILE)], saved([16, 16 + LARGE]), []],
  ['locked', [area(16, 16 + LARGE, flags(MAP.LOCKED))], saved([16, 16 + LARGE]), []],
  ['a main stack', [area(16, 16 + LARGE, flags(MAP.GROWSDOWN))], saved([16, 16 + LARGE]), []],
  ['huge pages', [area(16, 16 + LARGE, flags(MAP.HUGETLB))], saved([16, 16 + LARGE]), []],
  [
    'emptied for children',
    [area(16, 16 + LARGE, { madv: 1n << BigInt(MADV.WIPEONFORK) })],
    saved([16, 16 + LARGE]),
    [],
  ],
  ['with a guard', [area(16, 16 + LARGE), guard(20, 21)], saved([16, 20], [21, 16 + LARGE]), []],
  ['a guard beside it', [area(16, 16 + LARGE), guard(600, 601)], saved([16, 16 + LARGE]), [16]],
];

describe('areas whose pages may come later', () => {
  for (const [name, areas, runs, want] of CASES) {
    test(name, () => {
      const found = lazyAreas(memory(areas), runs).map((one) => page(one.area.start));
      assert.deepEqual(found, want);
    });
  }
});

test('each run is either there before or comes later', () => {
  const areas = [
    area(10, 20),
    area(100, 100 + LARGE, { prot: PROT.READ }),
    area(700, 710),
    area(1000, 1000 + LARGE),
    area(2000, 2001),
  ];
  const mm = memory(areas);
  const runs = saved([10, 12], [15, 20], [100, 612], [700, 701], [1000, 1300], [2000, 2001]);
  const later = lazyAreas(mm, runs);
  const now = runsOutside(mm, runs, later);
  const all = [...now, ...later.flatMap((one) => one.runs)];
  assert.deepEqual(
    all.toSorted((a, b) => a.offset - b.offset),
    runs,
  );
  assert.deepEqual(
    now.map(({ start }) => page(start)),
    [10, 15, 700, 2000],
  );
  assert.equal(runsOutside(mm, runs, []), runs);
});
