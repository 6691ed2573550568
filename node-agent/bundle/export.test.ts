// A container's archive, listed and compared by GNU tar.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { exportContainer } from './export.ts';
import { makeVolume } from './testing/volume.ts';

function writeContainer(path: string): void {
  mkdirSync(`${path}/bundle/app/checkpoint/parent`, { recursive: true });
  writeFileSync(`${path}/bundle/app/config.dump`, '{"id":"x"}');
  writeFileSync(`${path}/bundle/app/rootfs-diff.tar`, '');
  writeFileSync(`${path}/bundle/app/checkpoint/inventory.img`, 'inventory');
  // Pages that were copied before the freeze.
  writeFileSync(`${path}/bundle/app/checkpoint/parent/pages-1.img`, 'older');
  writeFileSync(`${path}/bundle/app/checkpoint/pages-1.img`, Buffer.alloc(5_000_001, 'page'));
}

test('the archive has the names that readers expect, and every byte', async () => {
  await using volume = await makeVolume();
  writeContainer(volume.path);
  await using bundle = await volume.root.directory('bundle');
  const archive = `${volume.path}/app.tar`;
  await exportContainer(bundle, 'app', createWriteStream(archive));
  const names = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .sort();
  assert.deepEqual(names, [
    'checkpoint/',
    'checkpoint/inventory.img',
    'checkpoint/pages-1.img',
    'checkpoint/parent/',
    'checkpoint/parent/pages-1.img',
    'config.dump',
    'rootfs-diff.tar',
  ]);
  mkdirSync(`${volume.path}/out`);
  execFileSync('tar', ['-xf', archive, '-C', `${volume.path}/out`]);
  const older = readFileSync(`${volume.path}/out/checkpoint/parent/pages-1.img`, 'utf8');
  assert.equal(older, 'older');
  const pages = readFileSync(`${volume.path}/out/checkpoint/pages-1.img`);
  assert.ok(pages.equals(readFileSync(`${volume.path}/bundle/app/checkpoint/pages-1.img`)));
});

test('a container that is not there, and one that tries to climb out', async () => {
  await using volume = await makeVolume();
  writeContainer(volume.path);
  await using bundle = await volume.root.directory('bundle');
  for (const name of ['other', '..', '../bundle', 'app/checkpoint']) {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    await assert.rejects(exportContainer(bundle, name, nowhere), { code: 'BundleMissing' });
  }
});

test('a reader that goes away ends the export', async () => {
  await using volume = await makeVolume();
  writeContainer(volume.path);
  await using bundle = await volume.root.directory('bundle');
  const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no room')) });
  await assert.rejects(exportContainer(bundle, 'app', full), { message: 'no room' });
});
