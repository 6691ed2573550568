// The content of a volume, collected from one container and put into another's, on real mounts.
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { writeSparse } from './testing/changes.ts';
import { startOverlayContainer, whyNoOverlay } from './testing/overlay-container.ts';
import { snapshotTree } from './testing/snapshot-tree.ts';
import { makeFolder, makeLayers, signal, worker } from './testing/workbench.ts';

const skip = whyNoOverlay() ?? false;

test('a volume by itself: all of it, nothing around it, also where it is mounted read-only', {
  skip,
}, async () => {
  await using folder = await makeFolder();
  const layers = makeLayers(folder);
  const [from, to] = [folder.make('volume-a'), folder.make('volume-b')];
  fs.mkdirSync(`${from}/deep/er`, { recursive: true });
  fs.writeFileSync(`${from}/deep/er/file`, 'content');
  fs.linkSync(`${from}/deep/er/file`, `${from}/second`);
  fs.symlinkSync('/etc/passwd', `${from}/link`);
  fs.chownSync(`${from}/deep`, 70_000, 3_000_000);
  writeSparse(`${from}/sparse`);
  fs.writeFileSync(`${to}/second`, 'in the way');
  fs.mkdirSync(`${to}/later/on`, { recursive: true });
  const start = (name: string, volume: string, readOnly: boolean) =>
    startOverlayContainer(folder.make(name), layers, {
      readOnly,
      volume: { from: volume, at: '/data' },
    });
  await using source = await start('source', from, false);
  const outputDirectory = folder.make('bundle');
  const request = { mountNamespace: source.mountNamespace, mountPoint: '/data', outputDirectory };
  const late = { frozenAtMillis: Date.now() + 60_000, maxBytes: 0 };
  await worker.run({ type: 'collect-volume', ...request, ...late }, { signal });
  await using target = await start('target', to, true);
  const { mountNamespace } = target;
  const apply = {
    mountNamespace,
    mountPoint: '/data',
    inputDirectory: outputDirectory,
    protect: [],
    clear: true,
  };
  await worker.run({ type: 'apply', ...apply }, { signal });
  assert.deepEqual(snapshotTree(to, []), snapshotTree(from, []));
  assert.ok(!fs.existsSync(`${target.upper}/deep`), 'nothing beside the volume');
  // A name that leads elsewhere is not followed.
  fs.symlinkSync('/data', `${target.upper}/elsewhere`);
  const through = { ...apply, mountPoint: '/elsewhere' };
  await assert.rejects(worker.run({ type: 'apply', ...through }, { signal }), /open_tree/);
});
