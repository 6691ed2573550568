// The demo's own programs (deploy/demo/apps) on their way into images.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FileTree } from './file-tree.ts';
import { repository } from './kit.ts';

const run = promisify(execFile);

export const DEMO_APP_DIRECTORY = '/app';

const COMPILER_FLAGS = ['-std=c17', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-s'];
const COMPILE_TIMEOUT_MILLIS = 60_000;

function source(name: string): string {
  return join(repository(), 'deploy/demo/apps', name);
}

/** A script, executable, under its own name. */
export async function addAppFile(layer: FileTree, name: string): Promise<void> {
  layer.addFile(`${DEMO_APP_DIRECTORY}/${name}`, await readFile(source(name)), 0o755);
}

/** A C program, compiled by the machine's compiler: `futex` from `futex/*.c`. */
export async function addCompiledApp(layer: FileTree, name: string): Promise<void> {
  const sources = (await readdir(source(name))).filter((file) => file.endsWith('.c')).toSorted();
  const scratch = await mkdtemp(join(tmpdir(), 'diapause-image-'));
  try {
    const program = join(scratch, name);
    await run('gcc', [...COMPILER_FLAGS, '-o', program, ...sources], {
      cwd: source(name),
      timeout: COMPILE_TIMEOUT_MILLIS,
    });
    layer.addFile(`${DEMO_APP_DIRECTORY}/${name}`, await readFile(program), 0o755);
  } finally {
    await rm(scratch, { recursive: true });
  }
}
