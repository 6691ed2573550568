// For the Dockerfiles: writes our bundled programs into a directory, `node bundle.ts OUT agent.js engine.js`.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { FileTree } from './file-tree.ts';
import { init } from '../../shim/shim.generated.ts';
import { addKoffi, addProgram, ENTRY_POINTS, type Program } from './programs.ts';

function isProgram(name: string): name is Program {
  return name in ENTRY_POINTS;
}

const [directory = '', ...names] = process.argv.slice(2);
const layer = new FileTree();
for (const name of names) {
  if (name === 'init') {
    layer.addFile('/init', Buffer.from(init.bytesBase64, 'base64'), 0o755);
  } else if (name === 'koffi') {
    await addKoffi(layer);
  } else if (isProgram(name)) {
    await addProgram(layer, name);
  } else {
    throw new Error(`no program ${name}: ${Object.keys(ENTRY_POINTS).join(', ')}, koffi or init`);
  }
}
for (const [path, entry] of layer.sorted()) {
  if (entry.type === 'file') {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), entry.data, { mode: entry.mode });
  }
}
