// A root that went on after its difference was collected becomes again what it was, on real mounts. Needs root.
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { startOverlayContainer, whyNoOverlay } from './testing/overlay-container.ts';
import { assertSameTree, change } from './testing/changes.ts';
import { snapshotTree } from './testing/snapshot-tree.ts';
import { applyTo, collectFrom, EXCLUDE, makeFolder, makeLayers } from './testing/workbench.ts';

const skip = whyNoOverlay() ?? false;

/** What an application does after `change`, when it has been saved. */
function goOn(root: string): void {
  const at = (name: string): string => `${root}/${name}`;
  fs.writeFileSync(at('data/changed'), 'newer content');
  fs.rmSync(at('data/untouched'));
  fs.writeFileSync(at('data/deleted'), 'made anew');
  fs.writeFileSync(at('etc/passwd'), 'changed');
  fs.writeFileSync(at('made-later'), 'x');
  fs.mkdirSync(at('dir-made-later/deep'), { recursive: true });
  fs.writeFileSync(at('dir-made-later/deep/x'), 'x');
  fs.rmSync(at('new'), { recursive: true });
  fs.rmSync(at('replaced-by-file'));
  fs.mkdirSync(at('replaced-by-file'));
  fs.writeFileSync(at('replaced-by-file/later'), 'x');
  fs.rmSync(at('opaque/kept'), { recursive: true });
  fs.writeFileSync(at('opaque/kept'), 'now a file');
  fs.writeFileSync(at('usr/later'), 'x');
  fs.chmodSync(at('usr'), 0o700);
  fs.rmSync(at('data/deep'), { recursive: true });
  fs.mkdirSync(at('data/deep'));
  fs.symlinkSync('/old', at('data/deep/link-to-a-mount'));
}

/** As it is without any change: deletes and rebuilds every part of the image. */
function tearDown(root: string): void {
  const at = (name: string): string => `${root}/${name}`;
  for (const name of ['data', 'opaque', 'gone-dir', 'replaced-by-file', 'replaced-by-dir', 'usr']) {
    fs.rmSync(at(name), { recursive: true });
  }
  fs.mkdirSync(at('data/deep'), { recursive: true });
  fs.writeFileSync(at('data/deep/x'), 'x');
  fs.mkdirSync(at('replaced-by-dir/x'), { recursive: true });
  fs.symlinkSync('/', at('usr'));
}

for (const [name, early, late] of [
  ['saved after changes, and changed again', change, goOn],
  ['saved untouched, and then torn down', (): void => {}, tearDown],
  ['saved after changes, and then left alone', change, (): void => {}],
] as const) {
  test(name, { skip }, async () => {
    await using folder = await makeFolder();
    const layers = makeLayers(folder);
    await using container = await startOverlayContainer(folder.make('container'), layers);
    early(container.root);
    const bundle = folder.make('bundle');
    await collectFrom(container, bundle);
    await using reference = await startOverlayContainer(folder.make('reference'), layers);
    await applyTo(reference, bundle);
    late(container.root);
    const { upper, lowers } = container;
    for (const attempt of [1, 2]) {
      const { findings } = await applyTo(container, bundle, {
        undo: { upper, lowers, exclude: EXCLUDE },
      });
      assert.deepEqual(findings, []);
      assertSameTree(container.root, reference.root, `attempt ${attempt}`);
    }
  });
}

test('mounts of the pod stay, and so does what lies behind them', { skip }, async () => {
  await using folder = await makeFolder();
  const volume = folder.make('volume');
  const layers = makeLayers(folder);
  await using container = await startOverlayContainer(folder.make('container'), layers, {
    volume: { from: volume, at: '/usr' },
  });
  const bundle = folder.make('bundle');
  await collectFrom(container, bundle, { exclude: [...EXCLUDE, '/usr'] });
  fs.writeFileSync(`${container.root}/usr/in-the-volume`, 'x');
  fs.writeFileSync(`${container.root}/etc/hosts`, 'of the pod');
  const before = snapshotTree(volume, []);
  const { upper, lowers } = container;
  await applyTo(container, bundle, {
    protect: ['/old', '/etc/hosts', '/usr'],
    undo: { upper, lowers, exclude: [...EXCLUDE, '/usr'] },
  });
  assert.deepEqual(snapshotTree(volume, []), before);
  assert.equal(fs.readFileSync(`${container.root}/etc/hosts`, 'utf8'), 'of the pod');
});
