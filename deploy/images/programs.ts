// Our own programs as they are shipped: one ES module each, and beside them the one package with native code.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { build, type BuildOptions } from 'esbuild';
import type { FileTree } from './file-tree.ts';
import { repository } from './kit.ts';

export const APP_DIRECTORY = '/app';

/** Shipped name and source of every program. */
export const ENTRY_POINTS = {
  'controller.js': 'src/main.ts',
  'agent.js': 'node-agent/main.ts',
  'engine.js': 'node-agent/engine/main.ts',
  'rootfs.js': 'node-agent/bundle/rootfs-diff/worker.ts',
} as const;

export type Program = keyof typeof ENTRY_POINTS;

/** Packages in CommonJS call `require` for Node's own modules, which an ES module does not have. */
const REQUIRE = `import { createRequire as createRequireOfBundle } from 'node:module';
const require = createRequireOfBundle(import.meta.url);`;

/** How every program of ours becomes one ES module. */
export const ONE_MODULE = {
  absWorkingDir: repository(),
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  banner: { js: REQUIRE },
  external: ['koffi'],
  legalComments: 'eof',
  logLevel: 'error',
} as const satisfies BuildOptions;

/** Adds a program as `/app/<name>`. */
export function addProgram(layer: FileTree, name: Program): Promise<void> {
  return bundle(layer, name, ENTRY_POINTS[name]);
}

/**
 * Bundles `source`, a path in the checkout, into `/app/<name>`.
 * @throws Error when it does not exist or does not compile
 */
export async function bundle(layer: FileTree, name: string, source: string): Promise<void> {
  if (!existsSync(join(repository(), source))) {
    throw new Error(`${source}, the entry point of ${name}, does not exist in this checkout`);
  }
  const result = await build({ ...ONE_MODULE, entryPoints: [source], write: false });
  for (const output of result.outputFiles) {
    layer.addFile(`${APP_DIRECTORY}/${name}`, Buffer.from(output.contents));
  }
  layer.addFile(`${APP_DIRECTORY}/package.json`, '{"type":"module"}\n');
}

/** koffi finds its native addon through package names, so it stays a package beside the bundle. */
export async function addKoffi(layer: FileTree): Promise<void> {
  const platform = `@koromix/koffi-linux-${process.arch}`;
  const addon = `linux_${process.arch}/koffi.node`;
  await addPackageFiles(
    layer,
    'koffi',
    /^(package\.json|LICENSE\.txt|(index|indirect)\.c?js|src\/koffi\/.*\.c?js)$/,
  );
  await addPackageFiles(layer, platform, new RegExp(`^(package\\.json|index\\.js|${addon})$`));
  const there = layer.get(`${APP_DIRECTORY}/node_modules/${platform}/${addon}`);
  if (there === undefined) {
    throw new Error(`node_modules/${platform}/${addon} is missing: run npm ci on this machine`);
  }
}

async function addPackageFiles(layer: FileTree, name: string, wanted: RegExp): Promise<void> {
  const root = join(repository(), 'node_modules', name);
  for (const path of await readdir(root, { recursive: true })) {
    if (wanted.test(path)) {
      layer.addFile(
        `${APP_DIRECTORY}/node_modules/${name}/${path}`,
        await readFile(join(root, path)),
      );
    }
  }
}
