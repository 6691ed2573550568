// Damages images at random and reads them: the answer must be a value or an ImageError.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError } from '../image-error.ts';
import type { AnyImage } from '../image-files.ts';
import { ImageReader } from '../reader.ts';
import { below, type Random } from './random.ts';
import { ScratchDirectory } from './scratch.ts';

/** Cut off, or with bits and bytes changed. */
export function damage(random: Random, sound: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(sound);
  const kind = below(random, 4);
  if (kind === 0) return copy.subarray(0, below(random, copy.length));
  const flips = kind === 1 ? 1 : 1 + below(random, 8);
  for (let flip = 0; flip < flips; flip++) {
    const at = below(random, copy.length);
    copy[at] = kind === 3 ? below(random, 256) : copy[at]! ^ (1 << below(random, 8));
  }
  return copy;
}

function readAll(reader: ImageReader, image: AnyImage): void {
  for (const { read } of reader.payloads(image)) read();
}

/** How many of the damaged images were refused and how many still had a meaning. */
export interface FuzzResult {
  readonly refused: number;
  readonly read: number;
}

export function fuzz(
  random: Random,
  directory: string,
  images: readonly AnyImage[],
  rounds: number,
): FuzzResult {
  using scratch = new ScratchDirectory();
  using reader = new ImageReader(scratch.path);
  const result = { refused: 0, read: 0 };
  for (const image of images) {
    const sound = readFileSync(join(directory, image.file));
    for (let round = 0; round < rounds; round++) {
      const damaged = damage(random, sound);
      writeFileSync(join(scratch.path, image.file), damaged);
      try {
        readAll(reader, image);
        result.read += 1;
      } catch (error) {
        const content = Buffer.from(damaged.subarray(0, 4096)).toString('hex');
        assert.ok(error instanceof ImageError, `${image.file} ${content}: ${String(error)}`);
        assert.equal(error.file, image.file);
        result.refused += 1;
      }
    }
  }
  return result;
}
