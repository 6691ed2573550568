// One image layer on disk: a tar archive that is the same for the same files, whoever makes it and when.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { Entry, FileTree } from './file-tree.ts';

export interface Layer {
  readonly file: string;
  /** hex */
  readonly sha256: string;
  readonly sizeBytes: number;
}

const EPOCH = new Date(0);

/** Writes the tree as an uncompressed tar archive to `file`. */
export async function writeLayer(tree: FileTree, file: string): Promise<Layer> {
  await mkdir(dirname(file), { recursive: true });
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  const archive = pack();
  const written = pipeline(archive, meter, createWriteStream(file));
  for (const [path, entry] of tree.sorted()) {
    await addEntry(archive, path.slice(1), entry);
  }
  archive.finalize();
  await written;
  return { file, sha256: hash.digest('hex'), sizeBytes };
}

function addEntry(archive: Pack, name: string, entry: Entry): Promise<void> {
  const common = { name, uid: 0, gid: 0, mtime: EPOCH };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const done = (error?: Error | null): void => {
    if (error) {
      reject(error);
    } else {
      resolve();
    }
  };
  switch (entry.type) {
    case 'file':
      archive.entry({ ...common, mode: entry.mode, type: 'file' }, entry.data, done);
      break;
    case 'directory':
      archive.entry({ ...common, name: `${name}/`, mode: entry.mode, type: 'directory' }, done);
      break;
    case 'symlink':
      archive.entry({ ...common, mode: 0o777, type: 'symlink', linkname: entry.target }, done);
      break;
  }
  return promise;
}
