// Pagemaps are read once, as long as they are not too many to keep.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IMAGES } from '../image/image-files.ts';
import { PageFlag } from '../image/messages/enums.ts';
import { ImageReader } from '../image/reader.ts';
import { ScratchDirectory } from '../image/testing/scratch.ts';
import { ImageWriter } from '../image/writer.ts';
import { PageSets } from './page-set.ts';
import { PAGE } from './saved-pages.ts';

const PIDS = [1, 2, 3, 4] as const;
const RUNS = 5;

/** Counts what is opened. */
class CountingReader extends ImageReader {
  opened = 0;
  override open<Rec, Head>(...args: Parameters<ImageReader['open']>) {
    this.opened++;
    return super.open(...args) as ReturnType<typeof ImageReader.prototype.open<Rec, Head>>;
  }
}

function write(folder: string): void {
  const writer = new ImageWriter(folder);
  for (const pid of PIDS) {
    writer.head(IMAGES.pagemap(pid), { pagesId: pid });
    const runs = Array.from({ length: RUNS }, (_, i) => ({
      vaddr: BigInt(2 * i + pid) * PAGE,
      compatNrPages: 0,
      nrPages: 1n,
      flags: PageFlag.PRESENT,
    }));
    writer.write(IMAGES.pagemap(pid), runs);
  }
  writer.seal({ durable: false });
}

test('every pagemap is read once', () => {
  using scratch = new ScratchDirectory();
  write(scratch.path);
  using images = new CountingReader(scratch.path);
  const sets = new PageSets(images);
  for (const pid of [...PIDS, ...PIDS]) {
    assert.equal(sets.pagesOf(pid).runs[0]!.start, BigInt(pid) * PAGE);
  }
  assert.equal(images.opened, PIDS.length);
});

test('of very large ones the last two are kept', () => {
  using scratch = new ScratchDirectory();
  write(scratch.path);
  using images = new CountingReader(scratch.path);
  const sets = new PageSets(images, RUNS);
  for (const pid of [1, 2, 1, 2]) sets.pagesOf(pid);
  assert.equal(images.opened, 2);
  for (const pid of [3, 2, 3, 1]) sets.pagesOf(pid);
  assert.equal(images.opened, 4);
});
