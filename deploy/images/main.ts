// `make images`: builds the images named on the command line, or all, into build/images/<name>.tar.
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { buildImage } from './build-image.ts';
import { images } from './images.ts';
import { inputsDigest } from './inputs.ts';
import { repository } from './kit.ts';

function say(line: string): void {
  process.stderr.write(`${line}\n`);
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
      say(await buildImage(image, directory));
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
