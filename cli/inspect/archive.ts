// The archive of one container, as checkpointctl reads it: tar, plain or compressed. Only small images are unpacked, into
// a directory of ours alone that goes away again; memory, files and queues are passed over.
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { CONTAINER_FILES } from '../../node-agent/bundle/layout.ts';
import { CliError } from '../cli-error.ts';
import type { FileSize } from './facts.ts';

export interface UnpackedArchive extends AsyncDisposable {
  /** of the archive's file */
  readonly name: string;
  readonly imagesPath: string;
  readonly files: readonly FileSize[];
}

/** The images that are looked at, by the beginning of their names; never what holds content. */
const WANTED = /^(inventory|pstree|files|(core|ids|mm|fs|fdinfo|pagemap)-[0-9]+)\.img$/;
const MAX_IMAGE_BYTES = 256 << 20;
const MAX_TOTAL_BYTES = 1 << 30;
const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** @throws CliError when it is no such archive */
export async function unpackArchive(path: string): Promise<UnpackedArchive> {
  const imagesPath = await mkdtemp(join(tmpdir(), 'diapause-inspect-'));
  const remove = (): Promise<void> => rm(imagesPath, { recursive: true, force: true });
  try {
    const files = await unpackInto(imagesPath, path);
    if (!files.some(({ file }) => file === `${CONTAINER_FILES.images}/inventory.img`)) {
      throw new CliError(
        `${path} holds no ${CONTAINER_FILES.images}/inventory.img`,
        'name the archive of a container, as diapause exports it and checkpointctl reads it',
      );
    }
    return {
      name: basename(path).replace(/\.tar(\.\w+)?$/, ''),
      imagesPath,
      files,
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error instanceof CliError
      ? error
      : new CliError(
          `${path} is not a readable tar archive: ${error instanceof Error ? error.message : String(error)}`,
          'name the archive of a container, plain or compressed with gzip or zstd',
        );
  }
}

async function unpackInto(directory: string, path: string): Promise<readonly FileSize[]> {
  const files: FileSize[] = [];
  let unpackedBytes = 0;
  const archive = extract();
  const reading = pipeline(createReadStream(path), await decompressor(path), archive);
  const walking = (async () => {
    for await (const entry of archive) {
      const { name, size, type } = entry.header;
      if (type === 'file') {
        files.push({ file: name.replace(/^\.\//, ''), bytes: size });
      }
      const image = wantedImage(entry.header);
      if (image === undefined) {
        entry.resume();
        continue;
      }
      unpackedBytes += size;
      if (size > MAX_IMAGE_BYTES || unpackedBytes > MAX_TOTAL_BYTES) {
        throw new Error(`${name} has ${size} bytes, more than an image has`);
      }
      await writeFile(join(directory, image), entry as unknown as Readable, {
        flag: 'wx',
        mode: 0o600,
      });
    }
  })();
  await Promise.all([reading, walking]);
  return files;
}

/** Its plain name, if it is an image to be looked at. */
function wantedImage({ name, type }: Header): string | undefined {
  const prefix = `${CONTAINER_FILES.images}/`;
  const path = name.replace(/^\.\//, '');
  const image = path.startsWith(prefix) ? path.slice(prefix.length) : '';
  return type === 'file' && WANTED.test(image) ? image : undefined;
}

async function decompressor(path: string) {
  await using handle = await open(path);
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  if (buffer.subarray(0, 2).equals(GZIP)) {
    return zlib.createGunzip();
  }
  return buffer.equals(ZSTD) ? zlib.createZstdDecompress() : new PassThrough();
}
