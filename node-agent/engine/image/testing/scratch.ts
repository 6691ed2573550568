// A directory for one test, and the smallest image to put there.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ImageError } from '../image-error.ts';

export class ScratchDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'diapause-images-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** An `fs_entry`, and its record as it stands in an image. */
export const FS = { cwdId: 1, rootId: 2, umask: 0o22 };
export const FS_RECORD = '06000000080110021812';
/** Both magics of fs-PID.img. */
export const FS_MAGIC = '1943565412394051';

export function writeHex(directory: string, file: string, hex: string): void {
  writeFileSync(join(directory, file), Buffer.from(hex, 'hex'));
}

/** The ImageError that `body` ends with. */
export function refusal(body: () => unknown): ImageError {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof ImageError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was refused' });
}
