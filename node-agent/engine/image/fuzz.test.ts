// Damaged images of every kind; the same with images that CRIU wrote is in interop.test.ts.
import assert from 'node:assert/strict';
import test from 'node:test';
import { writeEveryImage } from './testing/fill.ts';
import { fuzz } from './testing/fuzz.ts';
import { seeded } from './testing/random.ts';
import { ScratchDirectory } from './testing/scratch.ts';
import { ImageWriter } from './writer.ts';

test('a damaged image is an ImageError or still has a meaning', () => {
  using scratch = new ScratchDirectory();
  const random = seeded(11);
  const writer = new ImageWriter(scratch.path);
  const written = writeEveryImage(writer, random, { records: 3 });
  writer.seal();
  const images = written.map(({ image }) => image);
  const { refused, read } = fuzz(random, scratch.path, images, 150);
  assert.ok(refused > 1000 && read > 1000, `${refused} refused, ${read} read`);
});
