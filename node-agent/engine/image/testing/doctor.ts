// Changes the records of one image: what a restore makes of images that were made elsewhere.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Image } from '../image-files.ts';
import { ImageReader } from '../reader.ts';
import { ImageWriter } from '../writer.ts';

/** @param image one without a head and without raw bytes behind its records */
export function doctor<Rec>(
  directory: string,
  image: Image<Rec, unknown>,
  change: (record: Rec) => Rec,
): void {
  using reader = new ImageReader(directory);
  const records = reader.records(image).map(change);
  rmSync(join(directory, image.file));
  using writer = new ImageWriter(directory);
  writer.write(image, records);
  writer.seal({ durable: false });
}
