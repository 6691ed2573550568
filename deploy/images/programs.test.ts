// Bundles as shipped: native code is found from a directory that holds nothing but the layer.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import test from 'node:test';
import { SYS } from '../../node-agent/engine/arch/x86-64.ts';
import { FileTree } from './file-tree.ts';
import { addKoffi, bundle } from './programs.ts';

function unpack(tree: FileTree, directory: string): void {
  for (const [path, entry] of tree.sorted()) {
    if (entry.type === 'file') {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), entry.data);
    }
  }
}

test('a bundle of the engine calls the kernel through the shipped koffi', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'diapause-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const layer = new FileTree();
  await bundle(layer, 'ffi.js', 'node-agent/engine/linux/ffi.ts');
  await addKoffi(layer);
  unpack(layer, directory);
  const script = `const { syscall } = await import('${directory}/app/ffi.js');
    console.log(Number(syscall(${SYS.getpid})) === process.pid);`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: '/',
    env: {},
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(said.trim(), 'true');
});

test('an entry point that does not exist is named', async () => {
  await assert.rejects(bundle(new FileTree(), 'x.js', 'src/no-such-file.ts'), /no-such-file/);
});
