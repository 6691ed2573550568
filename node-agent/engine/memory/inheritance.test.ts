// Which areas a child keeps from its parent, and when it is worth being forked of its memory.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmaStatus } from '../image/messages/enums.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { MADV, MAP, PROT } from './area.ts';
import { inheritedAreas, inheritsMemory, surplusGuards } from './inheritance.ts';
import type { PageSet } from './page-set.ts';
import type { SavedRun } from './saved-pages.ts';
import { area, memory, savedProcess } from './testing/saved-process.ts';

const sameFile = (a: number, b: number): boolean => a === b;
const page = (address: bigint): number => Number(address >> 12n);

/** Pages of the child's areas that are kept, as `first-end`; `-` for an area that is mapped anew. */
function kept(parent: readonly VmaEntry[], child: readonly VmaEntry[]): string[] {
  const inherited = inheritedAreas(memory(parent), memory(child), sameFile);
  return child.map((one) => {
    const found = inherited.get(one);
    return found ? `${page(found.kept.start)}-${page(found.kept.end)}` : '-';
  });
}

const FILE = {
  status: VmaStatus.REGULAR | VmaStatus.FILE_PRIVATE,
  flags: MAP.PRIVATE,
  shmid: 5n,
  fdflags: 0,
};
const SHARED = { ...FILE, status: VmaStatus.REGULAR | VmaStatus.FILE_SHARED, flags: MAP.SHARED };
const advised = (advice: number): Partial<VmaEntry> => ({ madv: 1n << BigInt(advice) });
const offset = (pages: number): Partial<VmaEntry> => ({ pgoff: BigInt(pages) << 12n });

const CASES: readonly [string, VmaEntry[], VmaEntry[], string[]][] = [
  ['the same', [area(10, 20)], [area(10, 20)], ['10-20']],
  ['a heap that grew', [area(10, 20)], [area(10, 30)], ['10-20']],
  ['a heap that grew in the parent only', [area(10, 30)], [area(10, 20)], ['10-20']],
  ['a hole', [area(10, 30)], [area(10, 15), area(20, 30)], ['10-15', '20-30']],
  ['a part with another protection', [area(10, 20)], [area(12, 14, { prot: 0 })], ['12-14']],
  ['two that became one', [area(10, 20), area(20, 30, { prot: 1 })], [area(10, 30)], ['10-20']],
  ['one that begins earlier', [area(10, 20)], [area(5, 20)], ['-']],
  ['none there', [area(10, 20)], [area(20, 30)], ['-']],
  ['a lock, which fork takes away', [area(1, 2, { flags: 0x2022 })], [area(1, 2)], ['1-2']],
  ['a stack that shrank', [area(10, 20, grows())], [area(12, 20, grows())], ['12-20']],
  ['a stack with a longer end', [area(10, 20, grows())], [area(10, 21, grows())], ['-']],
  ['one that fork left out', [area(1, 2, advised(MADV.DONTFORK))], [area(1, 2)], ['-']],
  [
    'one that fork emptied',
    [area(1, 2, advised(MADV.WIPEONFORK))],
    [area(1, 2, advised(MADV.WIPEONFORK))],
    ['-'],
  ],
  ['other advice', [area(1, 2)], [area(1, 2, advised(MADV.HUGEPAGE))], ['-']],
  ['the same file', [area(1, 9, FILE)], [area(3, 9, { ...FILE, ...offset(2) })], ['3-9']],
  ['another place in it', [area(1, 9, FILE)], [area(3, 9, FILE)], ['-']],
  ['another file', [area(1, 9, FILE)], [area(1, 9, { ...FILE, shmid: 6n })], ['-']],
  ['a file in the place of none', [area(1, 9)], [area(1, 9, FILE)], ['-']],
  ['a shared file', [area(1, 9, SHARED)], [area(1, 8, SHARED)], ['1-8']],
  ['a shared file, more of it', [area(1, 8, SHARED)], [area(1, 9, SHARED)], ['-']],
  ['opened otherwise', [area(1, 9, SHARED)], [area(1, 9, { ...SHARED, fdflags: 2 })], ['-']],
];

function grows(): Partial<VmaEntry> {
  return { flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.GROWSDOWN };
}

describe('areas of a child', () => {
  for (const [name, parent, child, want] of CASES) {
    test(name, () => assert.deepEqual(kept(parent, child), want));
  }

  test('are born with the protection of the parent', () => {
    const own = area(12, 14, { prot: 0 });
    const born = inheritedAreas(memory([area(10, 20)]), memory([own]), sameFile).get(own);
    assert.equal(born?.prot, PROT.READ | PROT.WRITE);
  });
});

test('guards are taken away where the child kept the area and not the guard', () => {
  const guard = (first: number, end: number): VmaEntry =>
    area(first, end, { status: VmaStatus.GUARD, flags: 0, prot: 0 });
  const parent = memory([area(10, 20), area(30, 40), guard(11, 14), guard(35, 36)]);
  const child = memory([area(10, 20), guard(12, 13)]);
  const gone = surplusGuards(parent, child, [area(10, 20)]);
  assert.deepEqual(
    gone.map(({ start, end }) => [page(start), page(end)]),
    [
      [11, 12],
      [13, 14],
    ],
  );
});

describe('a child is forked of its parent’s memory', () => {
  const runs = (first: number, end: number): PageSet => {
    const span = area(first, end);
    const source = { images: { openRaw: () => undefined }, file: 'pages-1.img', bytes: 0 };
    const run: SavedRun = { start: span.start, end: span.end, offset: 0, source };
    return { all: [run], runs: [run] };
  };
  const vdso = (at: number): VmaEntry => area(at, at + 2, { status: VmaStatus.VDSO });
  const parent = savedProcess(1, 0, 1, memory([area(100, 200), vdso(900)]));
  const decide = (mm = parent.mm, own = runs(100, 120), theirs = runs(100, 120)): boolean => {
    const child = savedProcess(2, 1, 1, mm);
    return inheritsMemory(
      { parent, child, pagesOf: (saved) => (saved === child ? own : theirs) },
      sameFile,
    );
  };

  test('when they have pages in common', () => assert.equal(decide(), true));
  test('not when they have few', () => {
    assert.equal(decide(parent.mm, runs(100, 120), runs(115, 130)), true);
    assert.equal(decide(parent.mm, runs(100, 120), runs(116, 130)), false);
    assert.equal(decide(parent.mm, runs(100, 120), runs(150, 160)), false);
  });
  test('not when it executed something', () => {
    assert.equal(decide(memory([area(100, 200), vdso(900)], 2)), false);
    assert.equal(decide(memory([area(100, 200), vdso(904)])), false);
  });
  test('not when it has ended', () => {
    const child = savedProcess(2, 1, 1);
    const relatives = { parent, child, pagesOf: () => runs(100, 120) };
    assert.equal(inheritsMemory(relatives, sameFile), false);
  });
});
