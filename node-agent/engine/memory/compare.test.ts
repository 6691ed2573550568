// A sample of rebuilt memory against its image: which pages, and that a difference is seen.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMaps } from '../linux/procfs/maps.ts';
import { readMemory, writeMemory } from '../linux/process-memory.ts';
import { compareSample, MemoryDiffersError, pagesToCompare, samplePages } from './compare.ts';
import type { PagesSource, SavedRun } from './saved-pages.ts';

const PAGE_BYTES = 4096;
const NOWHERE: PagesSource = { images: { openRaw: () => undefined }, file: '', bytes: 0 };
const run = (
  start: bigint,
  pages: number,
  offset: number,
  source: PagesSource = NOWHERE,
): SavedRun => ({
  start,
  end: start + BigInt(pages * PAGE_BYTES),
  offset: offset * PAGE_BYTES,
  source,
});

describe('the sample', () => {
  it('is everything of a small process', () => {
    const runs = [run(0x1000n, 2, 0), run(0x9000n, 1, 2)];
    assert.deepEqual(samplePages(runs), [
      { address: 0x1000n, source: NOWHERE, offset: 0 },
      { address: 0x2000n, source: NOWHERE, offset: 4096 },
      { address: 0x9000n, source: NOWHERE, offset: 8192 },
    ]);
  });

  it('is spread evenly over a large one', () => {
    const runs = [run(0x10_0000n, 10, 0), run(0x1000_0000n, 990, 10)];
    const sampled = samplePages(runs, 10);
    assert.equal(sampled.length, 10);
    const numbers = sampled.map(({ offset }) => offset / PAGE_BYTES);
    assert.deepEqual(numbers, [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]);
    for (const { address, offset } of sampled) {
      assert.equal(address - 0x1000_0000n, BigInt(offset - 10 * PAGE_BYTES));
    }
  });

  it('is nothing where nothing was saved', () => {
    assert.deepEqual(samplePages([]), []);
  });
});

it('a page that differs is told by its address', async () => {
  const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const folder = mkdtempSync(join(tmpdir(), 'diapause-compare-'));
  try {
    const pid = child.pid ?? 0;
    await untilAsleep(pid);
    const heap = readMaps(pid).find(({ name }) => name === '[heap]');
    assert.ok(heap);
    const pages = Number(heap.end - heap.start) / PAGE_BYTES;
    const file = join(folder, 'pages-1.img');
    writeFileSync(file, readMemory(pid, heap.start, pages * PAGE_BYTES));
    const images = { openRaw: () => ({ fd: openSync(file, 'r'), bytes: pages * PAGE_BYTES }) };
    const source = { images, file: 'pages-1.img', bytes: pages * PAGE_BYTES };
    const runs = [run(heap.start, pages, 0, source)];
    const set = { all: runs, runs };
    assert.deepEqual(compareSample(7, pid, set), {
      comparedPages: Math.min(pages, 64),
      savedPages: pages,
    });
    const at = heap.start + 5n;
    writeMemory(pid, at, Uint8Array.of(readMemory(pid, at, 1)[0]! ^ 1));
    assert.throws(
      () => compareSample(7, pid, set),
      (error) => error instanceof MemoryDiffersError && error.address === heap.start,
    );
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});

/** Asleep, so that its memory stays as it is. */
async function untilAsleep(pid: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (readFileSync(`/proc/${pid}/wchan`, 'latin1').includes('nanosleep')) return;
    await sleep(10);
  }
  throw new Error('it does not fall asleep');
}

test('a tree of many processes has fewer pages of each compared, yet some of every one', () => {
  assert.deepEqual([1, 32, 200, 10_000].map(pagesToCompare), [64, 64, 10, 8]);
});
