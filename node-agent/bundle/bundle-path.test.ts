import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { test } from 'node:test';
import { openBundle, openFolder, parseBundlePath } from './bundle-path.ts';
import { makeVolume } from './testing/volume.ts';

test('a path of the own namespace is taken apart', () => {
  const place = parseBundlePath('prefix/team/chk-1', 'team');
  assert.deepEqual(place.folders, ['prefix', 'team']);
  assert.equal(place.name, 'chk-1');
});

for (const [path, why] of [
  ['/team/chk-1', 'absolute'],
  ['team/../other/chk-1', 'climbs'],
  ['../team/chk-1', 'climbs at once'],
  ['team//chk-1', 'empty component'],
  ['team/chk-1/', 'ends with a slash'],
  ['other/chk-1', 'another namespace'],
  ['team/sub/chk-1', 'deeper than the namespace'],
  ['chk-1', 'no namespace'],
  ['team/.staging-1', 'a name of ours'],
  ['team/a\0b', 'a NUL'],
  [`team/${'x'.repeat(2000)}`, 'too long'],
  ['', 'empty'],
] as const) {
  test(`refused: ${why}`, () => {
    assert.throws(() => parseBundlePath(path, 'team'), { code: 'BundleInvalid' });
  });
}

test('folders are made on demand only', async () => {
  await using volume = await makeVolume();
  const place = parseBundlePath('p/team/chk-1', 'team');
  assert.equal(await openFolder(volume.root, place, false), undefined);
  const folder = await openFolder(volume.root, place, true);
  assert.equal(folder?.label, 'volume/p/team');
  assert.equal(await openBundle(folder!, place), undefined);
});

test('a link on the way is refused, whatever it points to', async () => {
  await using volume = await makeVolume();
  await mkdir(`${volume.path}/other`);
  await symlink('other', `${volume.path}/team`);
  const place = parseBundlePath('team/chk-1', 'team');
  for (const create of [true, false]) {
    await assert.rejects(openFolder(volume.root, place, create), {
      code: 'BundleInvalid',
      message: /team is a link/,
    });
  }
});

test('a bundle that is a link is refused', async () => {
  await using volume = await makeVolume();
  await mkdir(`${volume.path}/team/real`, { recursive: true });
  await symlink('real', `${volume.path}/team/chk-1`);
  const place = parseBundlePath('team/chk-1', 'team');
  const folder = await openFolder(volume.root, place, false);
  await assert.rejects(openBundle(folder!, place), { code: 'BundleInvalid' });
});
