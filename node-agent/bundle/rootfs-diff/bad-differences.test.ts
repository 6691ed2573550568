// Differences that try to get out of the container's root, against real mounts.
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { END_OF_ARCHIVE, encodeHeader } from './pax-writer.ts';
import type { TarEntry } from './tar-entry.ts';
import { startOverlayContainer, whyNoOverlay } from './testing/overlay-container.ts';
import { snapshotTree } from './testing/snapshot-tree.ts';
import { applyTo, makeFolder, makeLayers } from './testing/workbench.ts';

const skip = whyNoOverlay() ?? false;

const HARD = { type: 'hardlink' } as const;
const LINK_TO_ETC = { path: 'link', type: 'symlink', linkPath: '/etc' } as const;

function writeArchive(
  folder: string,
  entries: readonly Partial<TarEntry>[],
  deleted: readonly string[],
): void {
  const headers = entries.map((entry) => encodeHeader({ ...EMPTY_FILE, ...entry }).bytes);
  fs.writeFileSync(`${folder}/rootfs-diff.tar`, Buffer.concat([...headers, END_OF_ARCHIVE]));
  fs.writeFileSync(`${folder}/deleted.files`, JSON.stringify(deleted));
}

const EMPTY_FILE: TarEntry = {
  path: '',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeNanos: 0n,
  sizeBytes: 0,
  xattrs: new Map(),
};

for (const [what, entries, deleted] of [
  ['climbs out', [{ path: '../outside' }], []],
  ['is absolute', [{ path: '/etc/passwd' }], []],
  ['goes through a link of the archive', [LINK_TO_ETC, { path: 'link/passwd' }], []],
  ['goes through a link of the image', [{ path: 'image-link/passwd' }], []],
  ['is a hard link that leads outside', [{ path: 'x', ...HARD, linkPath: '../etc/passwd' }], []],
  ['is a hard link to a link', [LINK_TO_ETC, { path: 'x', ...HARD, linkPath: 'link' }], []],
  ['is a hard link to the image', [{ path: 'x', ...HARD, linkPath: 'etc/passwd' }], []],
  ['comes twice', [{ path: 'x' }, { path: 'x' }], []],
  ['deletes outside', [], ['/../etc/passwd']],
  ['deletes everything', [], ['/']],
] as const satisfies readonly (readonly [
  string,
  readonly Partial<TarEntry>[],
  readonly string[],
])[]) {
  test(`refused before the first change: a difference that ${what}`, { skip }, async () => {
    await using folder = await makeFolder();
    const layers = makeLayers(folder);
    fs.symlinkSync('/etc', `${layers[0]}/image-link`);
    await using target = await startOverlayContainer(folder.make('target'), layers);
    const before = snapshotTree(target.root, ['old']);
    const bundle = folder.make('bundle');
    writeArchive(bundle, [{ path: 'first' }, ...entries], ['/data/untouched', ...deleted]);
    await assert.rejects(applyTo(target, bundle), { code: 'BundleInvalid' });
    assert.deepEqual(snapshotTree(target.root, ['old']), before);
  });
}

test('links of the image lead a deletion nowhere', { skip }, async () => {
  await using folder = await makeFolder();
  const layers = makeLayers(folder);
  const volume = folder.make('volume');
  fs.writeFileSync(`${volume}/precious`, '');
  fs.symlinkSync('/vol', `${layers[0]}/image-link`);
  fs.mkdirSync(`${layers[0]}/vol`);
  await using target = await startOverlayContainer(folder.make('target'), layers, {
    volume: { from: volume, at: '/vol' },
  });
  const bundle = folder.make('bundle');
  writeArchive(bundle, [], ['/image-link/precious', '/vol/precious', '/data/untouched']);
  await applyTo(target, bundle, { protect: ['/old', '/vol'] });
  assert.deepEqual(fs.readdirSync(volume), ['precious']);
  assert.ok(!fs.existsSync(`${target.root}/data/untouched`));
});
