// One image, from its definition to its archive.
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeArchive } from './archive.ts';
import { debianArchitecture } from './debian.ts';
import type { ImageDefinition } from './images.ts';
import { type Layer, writeLayer } from './layer.ts';

/**
 * Writes `<name>.tar` in `directory`.
 *
 * @returns a line for people: its size, how long it took
 */
export async function buildImage(image: ImageDefinition, directory: string): Promise<string> {
  const began = performance.now();
  const layers: Layer[] = [];
  for (const [index, tree] of (await image.layers()).entries()) {
    layers.push(await writeLayer(tree, join(directory, `.${image.name}-layer-${index}`)));
  }
  const file = join(directory, `${image.name}.tar`);
  await writeArchive(file, image.reference, layers, image.config, debianArchitecture().name);
  await Promise.all(layers.map((layer) => rm(layer.file)));
  const megabytes = ((await stat(file)).size / 1e6).toFixed(1).padStart(6);
  const seconds = ((performance.now() - began) / 1e3).toFixed(1);
  return `${image.name.padEnd(12)} ${megabytes} MB  ${image.reference.padEnd(28)} ${seconds} s`;
}
