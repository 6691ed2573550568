// Builds images for tests and loads them into the nodes, where they are not yet as they would be.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImage } from '../../../deploy/images/build-image.ts';
import type { ImageDefinition } from '../../../deploy/images/images.ts';
import { inputsDigest } from '../../../deploy/images/inputs.ts';
import { CHECKOUT, clusterScript } from './cluster.ts';

const DIRECTORY = join(CHECKOUT, 'build/images');

/** What they are made from. */
const SOURCES = [
  'deploy/images',
  'package-lock.json',
  'test/victims/servers',
  'test/victims/programs',
  'test/e2e/testing/server-images.ts',
];

/** @returns a line for each image that had to be built */
export async function loadImages(images: readonly ImageDefinition[]): Promise<readonly string[]> {
  const inputs = inputsDigest(CHECKOUT, SOURCES);
  const said: string[] = [];
  for (const image of images) {
    const archive = join(DIRECTORY, `${image.name}.tar`);
    const mark = `${archive}.inputs`;
    if (!existsSync(archive) || !existsSync(mark) || readFileSync(mark, 'utf8') !== inputs) {
      said.push(await buildImage(image, DIRECTORY));
      writeFileSync(mark, inputs);
    }
  }
  await clusterScript('load', ...images.map(({ name }) => join(DIRECTORY, `${name}.tar`)));
  return said;
}
