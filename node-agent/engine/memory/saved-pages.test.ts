// Pagemaps of an incremental chain: every run leads to the directory that has its pages, or nothing is restored.
import assert from 'node:assert/strict';
import { mkdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ImageError } from '../image/image-error.ts';
import { IMAGES, RAW_FILES } from '../image/image-files.ts';
import { PageFlag } from '../image/messages/enums.ts';
import { ImageReader } from '../image/reader.ts';
import { ScratchDirectory } from '../image/testing/scratch.ts';
import { ImageWriter } from '../image/writer.ts';
import { PAGE, PagesReader, readPagemap } from './saved-pages.ts';

const PID = 7;
type Run = readonly [first: number, end: number, where: 'here' | 'older'];

/** A directory with pages that say their own number and the directory's. */
function write(folder: string, name: string, runs: readonly Run[], parent?: string): void {
  mkdirSync(join(folder, name));
  const writer = new ImageWriter(join(folder, name));
  if (parent !== undefined) writer.linkParent(`../${parent}`);
  writer.head(IMAGES.pagemap(PID), { pagesId: 1 });
  writer.write(
    IMAGES.pagemap(PID),
    runs.map(([first, end, where]) => ({
      vaddr: BigInt(first) * PAGE,
      compatNrPages: 0,
      nrPages: BigInt(end - first),
      flags: where === 'here' ? PageFlag.PRESENT : PageFlag.PARENT,
    })),
  );
  const pages = writer.openRaw(RAW_FILES.pages(1));
  for (const [first, end, where] of runs) {
    for (let page = first; where === 'here' && page < end; page++) {
      const bytes = Buffer.alloc(Number(PAGE));
      bytes.write(`${name} ${page}`);
      writeSync(pages, bytes);
    }
  }
  writer.seal({ durable: false });
}

function contents(folder: string, name: string): string[] {
  using images = new ImageReader(join(folder, name));
  using reader = new PagesReader();
  return readPagemap(images, IMAGES.pagemap(PID)).runs.flatMap(({ start, end, source, offset }) => {
    const bytes = reader.read(source, offset, Number(end - start));
    const pages: string[] = [];
    for (let at = 0; at < bytes.length; at += Number(PAGE)) {
      pages.push(bytes.toString('latin1', at, bytes.indexOf(0, at)));
    }
    return pages;
  });
}

test('pages come from the newest directory that has them', () => {
  using scratch = new ScratchDirectory();
  write(scratch.path, 'a', [[1, 8, 'here']]);
  write(
    scratch.path,
    'b',
    [
      [2, 3, 'older'],
      [3, 5, 'here'],
      [5, 7, 'older'],
    ],
    'a',
  );
  write(
    scratch.path,
    'c',
    [
      [2, 4, 'older'],
      [4, 5, 'here'],
      [5, 6, 'older'],
      [9, 10, 'here'],
    ],
    'b',
  );
  assert.deepEqual(contents(scratch.path, 'c'), ['a 2', 'b 3', 'c 4', 'a 5', 'c 9']);
});

test('a chain that does not hold what it says is refused', () => {
  using scratch = new ScratchDirectory();
  write(scratch.path, 'a', [[1, 3, 'here']]);
  write(scratch.path, 'gap', [[1, 4, 'older']], 'a');
  write(scratch.path, 'orphan', [[1, 2, 'older']]);
  write(scratch.path, 'circle', [[1, 2, 'older']], 'circle');
  for (const [name, reason] of [
    ['gap', /at 0x3000/],
    ['orphan', /missing/],
    ['circle', /circle/],
  ] as const) {
    assert.throws(
      () => contents(scratch.path, name),
      (error) => error instanceof ImageError && reason.test(error.message),
      name,
    );
  }
});
