// Moves of descriptors, run on a table in memory: whatever stands in the way, everybody arrives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spareNumbers } from './numbers.ts';
import { type Move, planMoves } from './placement.ts';

const SPARE = 1000;

/** What stands at each number after the steps. */
function run(moves: readonly Move[], others: readonly number[] = []): Map<number, string> {
  const table = new Map<number, string>();
  for (const fd of others) table.set(fd, 'other');
  for (const { from } of moves) table.set(from, `file ${from}`);
  for (const step of planMoves(moves, SPARE)) {
    if (step.kind === 'close') {
      assert.ok(table.delete(step.fd), `closes ${step.fd}, which is not open`);
      continue;
    }
    const file = table.get(step.from);
    assert.ok(file !== undefined, `copies ${step.from}, which is not open`);
    assert.notEqual(step.from, step.to, 'dup3 refuses equal numbers');
    table.set(step.to, file);
  }
  return table;
}

function expectPlaced(moves: readonly Move[], others: readonly number[] = []): void {
  const table = run(moves, others);
  const wanted = new Map(others.map((fd) => [fd, 'other']));
  for (const { from, to } of moves) wanted.set(to, `file ${from}`);
  assert.deepEqual(table, wanted, JSON.stringify(moves));
}

test('descriptors arrive where they are wanted', () => {
  expectPlaced([{ from: 3, to: 7 }]);
  expectPlaced([{ from: 3, to: 3 }]);
  expectPlaced([
    { from: 3, to: 4 },
    { from: 4, to: 3 },
  ]);
  expectPlaced([
    { from: 3, to: 4 },
    { from: 4, to: 5 },
    { from: 5, to: 3 },
    { from: 6, to: 9 },
  ]);
});

test('one file may be wanted at several numbers, also at the one it stands at', () => {
  expectPlaced([
    { from: 3, to: 0 },
    { from: 3, to: 3 },
    { from: 3, to: 9 },
  ]);
  expectPlaced([
    { from: 3, to: 4 },
    { from: 4, to: 3 },
    { from: 4, to: 8 },
  ]);
});

test('what the placeholder has at a wanted number gives way, the rest stays', () => {
  expectPlaced([{ from: 3, to: 1 }], [0, 1, 2]);
});

test('any permutation with duplicates works out', () => {
  // A small generator with a fixed seed: the same tables in every run.
  let seed = 12345;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  for (let round = 0; round < 2000; round++) {
    const received = Array.from({ length: 1 + random(8) }, (_, i) => 3 + i);
    const free = Array.from({ length: 16 }, (_, i) => i).sort(() => random(3) - 1);
    const moves = received.flatMap((from) =>
      free.splice(0, 1 + random(2)).map((to) => ({ from, to })),
    );
    expectPlaced(moves);
  }
});

test('our own numbers lie above all wanted ones, or between them at the limit', () => {
  assert.deepEqual(spareNumbers(new Set([0, 1, 2, 9]), 1024), {
    channel: 10,
    spare: 12,
    above: 13,
  });
  assert.deepEqual(spareNumbers(new Set(), 1024), { channel: 3, spare: 5, above: 6 });
  const between = { channel: 13, spare: 14, above: undefined };
  assert.deepEqual(spareNumbers(new Set([0, 1, 2, 15]), 16), between);
  assert.throws(() => spareNumbers(new Set([3, 4, 5]), 6), /all 6 descriptors/);
});
