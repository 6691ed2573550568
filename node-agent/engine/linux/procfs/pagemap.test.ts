import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { SYS } from '../../arch/x86-64.ts';
import { allocate, release, syscall } from '../ffi.ts';
import { SCAN } from './page-scan.ts';
import { matches, PAGE_IS, Pagemap } from './pagemap.ts';

const MADV_NOHUGEPAGE = 15;
const BYTES = 32 << 20;
const PAGE = 4096;
/** As Ruby's heap lies: the kernel has to tell of more runs than it gathers at once. */
const STEP = 8 * PAGE;

test('many small runs come once each, in order', () => {
  const memory = allocate(BYTES);
  syscall(SYS.madvise, memory.address, BYTES, MADV_NOHUGEPAGE);
  for (let at = 0; at < BYTES; at += STEP) memory.bytes[at] = 1;
  using pagemap = new Pagemap(process.pid);
  const query = { inverted: 0n, mask: 0n, anyOf: PAGE_IS.PRESENT | PAGE_IS.SWAPPED };
  const runs = pagemap.ranges(memory.address, memory.address + BigInt(BYTES), query);
  release(memory);
  assert.deepEqual(
    runs.map(({ start, end }) => [Number(start - memory.address), Number(end - start)]),
    Array.from({ length: BYTES / STEP }, (_, i) => [i * STEP, PAGE]),
  );
});

test('nothing is told of pages that are there, watched and not written to, and of those only', () => {
  const { WPALLOWED, WRITTEN, PRESENT, SWAPPED } = PAGE_IS;
  const isTold = (category: bigint): boolean => matches(category, SCAN.notAsBefore.query);
  assert.equal(isTold(WPALLOWED | PRESENT), false);
  const others = [0n, WPALLOWED, PRESENT, WPALLOWED | SWAPPED, WPALLOWED | PRESENT | WRITTEN];
  for (const category of others) assert.equal(isTold(category), true, String(category));
});
