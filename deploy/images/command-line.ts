// The command line as one executable file that needs nothing but Node: `node command-line.ts FILE`.
import { chmod } from 'node:fs/promises';
import process from 'node:process';
import { build } from 'esbuild';
import { ONE_MODULE } from './programs.ts';

/** kubectl looks for plugins by this name. */
export const COMMAND_LINE = 'kubectl-diapause';

/** Writes `file`, executable. The directory comes to be with it. */
export async function buildCommandLine(file: string): Promise<void> {
  await build({
    ...ONE_MODULE,
    entryPoints: ['cli/main.ts'],
    outfile: file,
    // Runs on the Node that users have.
    target: 'node22',
  });
  await chmod(file, 0o755);
}

if (import.meta.main) {
  const [file] = process.argv.slice(2);
  if (file === undefined) {
    throw new Error(`where to? node deploy/images/command-line.ts build/${COMMAND_LINE}`);
  }
  await buildCommandLine(file);
}
