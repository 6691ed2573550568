// A rootfs difference collected from one overlay container and applied to another, on real mounts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { test } from 'node:test';
import { parseMountinfo, rootMount } from '../../container/mounts.ts';
import { rawPath } from './raw-path.ts';
import { createRootfsWorker } from './rootfs-worker.ts';
import { startOverlayContainer, whyNoOverlay } from './testing/overlay-container.ts';
import { assertSameTree, change, SKIP_IN_SNAPSHOT } from './testing/changes.ts';
import { snapshotTree } from './testing/snapshot-tree.ts';
import { applyTo, collectFrom, makeFolder, makeLayers, signal } from './testing/workbench.ts';

const skip = whyNoOverlay() ?? false;

for (const readOnly of [false, true]) {
  test(`a difference makes a ${readOnly ? 'read-only ' : ''}root the same, twice`, {
    skip,
  }, async () => {
    await using folder = await makeFolder();
    const layers = makeLayers(folder);
    await using source = await startOverlayContainer(folder.make('source'), layers);
    change(source.root);
    const bundle = folder.make('bundle');
    const collected = await collectFrom(source, bundle);
    assert.ok(collected.bytes < 20 << 20, `holes were written out: ${collected.bytes} bytes`);
    await using target = await startOverlayContainer(folder.make('target'), layers, { readOnly });
    for (const attempt of [1, 2]) {
      await applyTo(target, bundle);
      assertSameTree(target.root, source.root, `attempt ${attempt}`);
    }
    assert.ok(fs.statSync(`${target.root}/new/sparse`).blocks * 512 < 1 << 20);
    assert.equal(fs.readFileSync(`${target.root}/etc/hosts`, 'utf8'), 'etc/hosts');
    const mountinfo = fs.readFileSync(`/proc/${target.pid}/mountinfo`, 'latin1');
    const mount = rootMount(parseMountinfo(mountinfo));
    assert.equal(mount?.readOnly, readOnly, 'the pod’s own mount stays as it is');
  });
}

test('deletions are told one by one, as other tools expect them', { skip }, async () => {
  await using folder = await makeFolder();
  await using source = await startOverlayContainer(folder.make('source'), makeLayers(folder));
  change(source.root);
  const bundle = folder.make('bundle');
  await collectFrom(source, bundle);
  const deleted = JSON.parse(fs.readFileSync(`${bundle}/deleted.files`, 'utf8')) as string[];
  assert.deepEqual(deleted.sort(), [
    '/data/deleted',
    '/gone-dir',
    '/opaque/kept/lower-2',
    '/opaque/lower-1',
    '/opaque/lower-3',
  ]);
});

test('GNU tar reads the archive to the same content', { skip }, async () => {
  await using folder = await makeFolder();
  await using source = await startOverlayContainer(folder.make('source'), makeLayers(folder));
  change(source.root);
  const bundle = folder.make('bundle');
  await collectFrom(source, bundle);
  const extracted = folder.make('extracted');
  const xattrs = ['--xattrs', '--xattrs-include=*', '--same-owner', '-p'];
  execFileSync('tar', [...xattrs, '-xf', `${bundle}/rootfs-diff.tar`, '-C', extracted]);
  const only = (lines: string[]): string[] => lines.filter((line) => line.startsWith('new'));
  assert.deepEqual(
    only(snapshotTree(extracted, SKIP_IN_SNAPSHOT)),
    only(snapshotTree(source.root, SKIP_IN_SNAPSHOT)),
  );
});

test('what is not saved is told: sockets, devices, later changes, odd deletions', {
  skip,
}, async () => {
  await using folder = await makeFolder();
  const layers = makeLayers(folder);
  fs.writeFileSync(rawPath(`${layers[0]}/\xff`), '');
  await using source = await startOverlayContainer(folder.make('source'), layers);
  const server = net.createServer().listen(`${source.root}/data/socket`);
  await once(server, 'listening');
  execFileSync('mknod', [`${source.root}/data/null`, 'c', '1', '3']);
  fs.rmSync(rawPath(`${source.root}/\xff`));
  for (let i = 0; i < 20; i++) {
    fs.writeFileSync(`${source.root}/data/later-${i}`, '');
  }
  const { findings } = await collectFrom(source, folder.make('bundle'), { frozenAtMillis: 1 });
  server.close();
  const objects = new Map(findings.map((finding) => [finding.code, finding.object]));
  assert.deepEqual([...objects.keys()].sort(), [
    'DeviceNode',
    'FileChangedLater',
    'FileNameNotUtf8',
    'SocketFile',
  ]);
  assert.match(objects.get('FileChangedLater') ?? '', /data\/later-0.* and 12 more$/);
});

test('a pod’s mounts are neither removed nor written through', { skip }, async () => {
  await using folder = await makeFolder();
  const layers = makeLayers(folder);
  fs.mkdirSync(`${layers[0]}/box/volume`, { recursive: true });
  await using source = await startOverlayContainer(folder.make('source'), layers);
  fs.rmSync(`${source.root}/box`, { recursive: true });
  fs.writeFileSync(`${source.root}/box`, 'a file where the pod mounts something below');
  const bundle = folder.make('bundle');
  await collectFrom(source, bundle);
  const volume = folder.make('volume');
  fs.writeFileSync(`${volume}/precious`, '');
  await using target = await startOverlayContainer(folder.make('target'), layers, {
    volume: { from: volume, at: '/box/volume' },
  });
  const { findings } = await applyTo(target, bundle, { protect: ['/old', '/box/volume'] });
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['MountInTheWay'],
  );
  assert.deepEqual(fs.readdirSync(`${target.root}/box/volume`), ['precious']);
});

test('the archive stops at its limit', { skip }, async () => {
  await using folder = await makeFolder();
  await using source = await startOverlayContainer(folder.make('source'), makeLayers(folder));
  change(source.root);
  await assert.rejects(collectFrom(source, folder.make('bundle'), { maxBytes: 1 << 20 }), {
    code: 'BudgetExceeded',
  });
});

test('a cancelled worker is killed and says why', { skip }, async () => {
  await using folder = await makeFolder();
  const abort = new AbortController();
  const stuck = createRootfsWorker(['/bin/sleep', '60']);
  const request = {
    type: 'apply',
    mountNamespace: '',
    inputDirectory: folder.path,
    protect: [],
  } as const;
  const running = stuck.run(request, { signal: abort.signal });
  abort.abort(new Error('cancelled by test'));
  await assert.rejects(running, { message: 'cancelled by test' });
});

test('a worker that cannot start or dies is a failure with its last words', async () => {
  const request = { type: 'apply', mountNamespace: '', inputDirectory: '/', protect: [] } as const;
  const dying = createRootfsWorker(['/bin/sh', '-c', 'echo out of luck >&2; exit 1']);
  await assert.rejects(dying.run(request, { signal }), { message: /out of luck/ });
  const missing = createRootfsWorker(['/nowhere/node']);
  await assert.rejects(missing.run(request, { signal }), { code: 'ENOENT' });
});
