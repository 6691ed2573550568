// Images that no demo needs: programs that cannot be saved, and one name that stands for two different images.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKOUT, CLUSTER_FOLDER, clusterScript } from './cluster.ts';

/** `/unsupported KIND` holds an open file that cannot be saved, `/compat` is a 32-bit program. */
export const ODD_IMAGE = 'e2e/odd:1';
export const CHANGING_IMAGE = 'e2e/changing:1';

/** Builds both programs without any library of the node, and loads their image. */
export async function loadOddImage(): Promise<void> {
  await withFolder(async (folder) => {
    const compile = (name: string, ...options: readonly string[]): void => {
      const source = join(CHECKOUT, `test/victims/${name}.c`);
      execFileSync('gcc', ['-O2', '-static', ...options, '-o', join(folder, name), source]);
    };
    compile('unsupported', '-pthread');
    compile('compat', '-m32', '-nostdlib', '-ffreestanding', '-no-pie');
    await clusterScript('image', ODD_IMAGE, folder, '/unsupported', 'io_uring');
  });
}

/** The same program each time; `edition` makes another image of it. */
export async function loadChangingImage(edition: number): Promise<void> {
  await withFolder(async (folder) => {
    copyFileSync(join(CLUSTER_FOLDER, 'run/pause/pause'), join(folder, 'pause'));
    writeFileSync(join(folder, 'edition'), `${edition}\n`);
    await clusterScript('image', CHANGING_IMAGE, folder, '/pause');
  });
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'diapause-e2e-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
