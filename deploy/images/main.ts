// `make images`: builds the images named on the command line, or all, into build/images/<name>.tar.
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { writeArchive } from './archive.ts';
import { debianArchitecture } from './debian.ts';
import { type ImageDefinition, images } from './images.ts';
import { inputsDigest } from './inputs.ts';
import { repository } from './kit.ts';
import { type Layer, writeLayer } from './layer.ts';

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function buildImage(image: ImageDefinition, directory: string): Promise<void> {
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
  say(`${image.name.padEnd(12)} ${megabytes} MB  ${image.reference.padEnd(28)} ${seconds} s`);
}

/** Beside each archive lies the digest of what it was made from. */
const inputsFile = (archive: string): string => `${archive}.inputs`;

async function isUpToDate(archive: string, inputs: string): Promise<boolean> {
  try {
    await stat(archive);
    return (await readFile(inputsFile(archive), 'utf8')) === inputs;
  } catch {
    return false;
  }
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !images.some((image) => image.name === name));
  if (unknown.length > 0) {
    say(
      `no image ${unknown.join(', ')}; there are: ${images.map((image) => image.name).join(', ')}`,
    );
    return 2;
  }
  const directory = join(repository(), 'build/images');
  const inputs = inputsDigest(repository());
  let failures = 0;
  for (const image of images) {
    const archive = join(directory, `${image.name}.tar`);
    if (names.length > 0 && !names.includes(image.name)) {
      continue;
    }
    if (await isUpToDate(archive, inputs)) {
      say(`${image.name.padEnd(12)} is up to date`);
      continue;
    }
    try {
      await rm(inputsFile(archive), { force: true });
      await buildImage(image, directory);
      await writeFile(inputsFile(archive), inputs);
    } catch (error) {
      failures += 1;
      say(
        `${image.name.padEnd(12)} FAILED: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
