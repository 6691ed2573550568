// Holes and rests of address spaces, and the way of the vDSO through them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { USER_SPACE_END } from '../arch/x86-64.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { complement, findHole, overlaps, type Span } from './address-space.ts';
import { fitsSaved, homeMoves, parkingMoves, type Vdso } from './vdso.ts';

const span = (start: bigint, end: bigint): Span => ({ start, end });

test('a hole touches nobody and keeps its distance', () => {
  const occupied = [
    span(0x40_0000n, 0x50_0000n),
    span(0x2000_0000n, 0x2100_0000n),
    span(0x2140_0000n, 0x3000_0000n),
    span(0x7f00_0000_0000n, 0x7fff_0000_0000n),
  ];
  const at = findHole(occupied, 0x10_0000n);
  const hole = span(at, at + 0x10_0000n);
  assert.ok(occupied.every((one) => !overlaps(one, hole)));
  assert.equal(at, 0x3020_0000n, 'the gap of 4 MiB is too narrow with its margins');
  assert.equal(findHole([], 0x1000n), 0x2000_0000n);
  assert.throws(() => findHole([span(0n, USER_SPACE_END)], 0x1000n), /no hole/);
});

test('what is not kept goes, from the first page to the end', () => {
  const keep = [span(0x5000n, 0x7000n), span(0x9000n, 0xa000n), span(0x6000n, 0x8000n)];
  assert.deepEqual(complement(keep), [
    span(0x1000n, 0x5000n),
    span(0x8000n, 0x9000n),
    span(0xa000n, USER_SPACE_END),
  ]);
  assert.deepEqual(complement([]), [span(0x1000n, USER_SPACE_END)]);
  assert.deepEqual(complement([span(0n, USER_SPACE_END)]), []);
});

const area = (start: bigint, end: bigint, status: number): VmaEntry => ({
  start,
  end,
  pgoff: 0n,
  shmid: 0n,
  prot: 5,
  flags: 0x22,
  status,
  fd: -1n,
});
const saved = (...vmas: VmaEntry[]): MmEntry => ({ vmas }) as unknown as MmEntry;

const here: Vdso = {
  data: [span(0x10000n, 0x14000n), span(0x14000n, 0x16000n)],
  code: span(0x16000n, 0x18000n),
};
const there = saved(
  area(0x70000n, 0x76000n, VmaStatus.VVAR),
  area(0x76000n, 0x78000n, VmaStatus.VDSO),
);

test('the vDSO goes to its parking place and home in one piece', () => {
  const parked = parkingMoves(here, 0x30000n);
  assert.deepEqual(
    parked.map((move) => move.to),
    [0x30000n, 0x34000n, 0x36000n],
  );
  assert.deepEqual(homeMoves(parked, there), [
    { from: 0x30000n, to: 0x70000n, bytes: 0x4000n },
    { from: 0x34000n, to: 0x74000n, bytes: 0x2000n },
    { from: 0x36000n, to: 0x76000n, bytes: 0x2000n },
  ]);
  assert.deepEqual(homeMoves(parked, saved()), []);
});

test('a vDSO fits only with the same sizes and the same distance to its data', () => {
  assert.equal(fitsSaved(here, there), true);
  assert.equal(fitsSaved(here, saved()), true, 'the saved process had none');
  const code = area(0x76000n, 0x78000n, VmaStatus.VDSO);
  assert.equal(fitsSaved(here, saved(code)), false, 'without data');
  assert.equal(fitsSaved(here, saved(area(0x70000n, 0x74000n, VmaStatus.VVAR), code)), false);
  assert.equal(fitsSaved(here, saved(area(0x60000n, 0x66000n, VmaStatus.VVAR), code)), false);
  const larger = area(0x76000n, 0x79000n, VmaStatus.VDSO);
  assert.equal(fitsSaved(here, saved(area(0x70000n, 0x76000n, VmaStatus.VVAR), larger)), false);
});
