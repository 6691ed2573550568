// Staging, sealing, verifying and deleting against real files.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { isReadable, summing } from './checksum.ts';
import { parseBundlePath } from './bundle-path.ts';
import { Directory, Lease } from './directory.ts';
import { ORIGIN_FILE } from './layout.ts';
import { decodeManifest } from './manifest.ts';
import { removeBundle } from './remove-bundle.ts';
import { type SealedBundle, Staging, sweepStaging } from './staging.ts';
import { makeVolume, type TestVolume, testManifest } from './testing/volume.ts';
import { verifyBundle } from './verify.ts';

const signal = new AbortController().signal;
const ORIGIN = { node: 'node-a', taskUid: 't-1', bundleName: 'chk-1' };

async function writeTestBundle(volume: TestVolume): Promise<SealedBundle> {
  await using staging = await Staging.create(volume.root, ORIGIN);
  const path = `${volume.path}/.staging-t-1`;
  await mkdir(`${path}/app/checkpoint`, { recursive: true });
  await writeFile(`${path}/pod.dump`, '{}');
  await writeFile(`${path}/app/checkpoint/pages-1.img`, Buffer.alloc(3 << 20, 7));
  await writeFile(`${path}/app/deleted.files`, '');
  const sealed = await staging.writeManifest(testManifest(await staging.digests(signal)));
  await staging.seal();
  return sealed;
}

async function verify(volume: TestVolume, digest: string): Promise<void> {
  await using bundle = await volume.root.directory('chk-1');
  await verifyBundle(bundle, { digest, signal });
}

test('a sealed bundle passes, and its name appears only with the seal', async () => {
  await using volume = await makeVolume();
  await using staging = await Staging.create(volume.root, ORIGIN);
  const sealed = await staging.writeManifest(testManifest(await staging.digests(signal)));
  assert.ok(!existsSync(`${volume.path}/chk-1`));
  await staging.seal();
  assert.deepEqual(readdirSync(volume.path), ['chk-1']);
  await verify(volume, sealed.digest);
});

test('progress counts every byte of the files', async () => {
  await using volume = await makeVolume();
  const { digest } = await writeTestBundle(volume);
  let total = 0;
  let read = 0;
  await using bundle = await volume.root.directory('chk-1');
  await verifyBundle(bundle, {
    digest,
    signal,
    onStart: (bytes) => (total = bytes),
    onBytes: (bytes) => (read += bytes),
  });
  assert.ok(total > 3 << 20);
  assert.equal(read, total);
});

test('a flipped byte in any file is found, and the file is named', async () => {
  await using volume = await makeVolume();
  const { digest } = await writeTestBundle(volume);
  for (const file of ['app/checkpoint/pages-1.img', 'pod.dump', ORIGIN_FILE, 'manifest.json']) {
    const path = `${volume.path}/chk-1/${file}`;
    const original = await readFile(path);
    const damaged = Buffer.from(original);
    const at = damaged.length >> 1;
    damaged[at] = damaged[at]! ^ 1;
    await writeFile(path, damaged);
    await assert.rejects(verify(volume, digest), {
      code: 'BundleCorrupt',
      message: new RegExp(file.replace('.', '\\.')),
    });
    await writeFile(path, original);
  }
  await verify(volume, digest);
});

test('truncated, missing and added files are damage', async () => {
  await using volume = await makeVolume();
  const { digest } = await writeTestBundle(volume);
  const pages = `${volume.path}/chk-1/app/checkpoint/pages-1.img`;
  await truncate(pages, 4096);
  await assert.rejects(verify(volume, digest), { message: /pages-1.img: 4096 bytes instead of/ });
  await truncate(pages, 3 << 20);
  await writeFile(pages, Buffer.alloc(3 << 20, 7));
  await writeFile(`${volume.path}/chk-1/app/checkpoint/core-99.img`, 'x');
  await assert.rejects(verify(volume, digest), { message: /core-99.img: it is not in the manif/ });
});

test('a link inside a bundle is refused', async () => {
  await using volume = await makeVolume();
  const { digest } = await writeTestBundle(volume);
  await symlink('/etc/passwd', `${volume.path}/chk-1/app/link`);
  await assert.rejects(verify(volume, digest), { code: 'BundleInvalid', message: /app\/link/ });
});

test('a manifest that names paths outside is refused', () => {
  for (const path of ['../x', '/etc/passwd', 'a//b', 'a/../../b']) {
    const file = { path, sizeBytes: 1, sha256: '0'.repeat(64) };
    const text = JSON.stringify(testManifest([file]));
    assert.throws(() => decodeManifest(text), { code: 'BundleInvalid' });
  }
});

for (const kind of ['sha256', 'gmac'] as const) {
  test(`${kind} is the same however a file comes, and another for any other content`, () => {
    const sumOf = (...pieces: readonly Uint8Array[]): string => {
      const sum = summing(kind);
      pieces.forEach((piece) => sum.update(piece));
      const checksum = sum.end();
      assert.ok(isReadable(checksum, kind));
      return checksum[kind] ?? '';
    };
    const content = randomBytes(100_003);
    const [head, tail] = [content.subarray(0, 4099), content.subarray(4099)];
    const whole = sumOf(content);
    assert.equal(sumOf(head, tail), whole);
    assert.equal(sumOf(head, Buffer.alloc(0), tail.subarray(0, 1), tail.subarray(1)), whole);
    const flipped = Buffer.from(content);
    flipped[50_000] = flipped[50_000]! ^ 1;
    const others = [sumOf(flipped), sumOf(tail, head), sumOf(content, Buffer.alloc(1)), sumOf()];
    assert.equal(new Set([whole, ...others]).size, 5);
  });
}

test('files that others could have changed are compared by sha256, never by less', () => {
  const weak = JSON.stringify(testManifest([{ path: 'x', sizeBytes: 1, gmac: '0'.repeat(32) }]));
  assert.throws(() => decodeManifest(weak), { code: 'BundleInvalid', message: /sha256 of x/ });
  assert.equal(decodeManifest(weak, 'gmac').files.length, 1);
  const strong = testManifest([{ path: 'x', sizeBytes: 1, sha256: '0'.repeat(64) }]);
  const text = JSON.stringify(strong);
  assert.throws(() => decodeManifest(text, 'gmac'), { message: /gmac of x/ });
});

test('a newer schema is refused by name', () => {
  const text = JSON.stringify({ ...testManifest([]), schemaVersion: 99 });
  assert.throws(() => decodeManifest(text), { code: 'BundleInvalid', message: /version 99/ });
});

test('an existing bundle is never replaced', async () => {
  await using volume = await makeVolume();
  const { digest } = await writeTestBundle(volume);
  await using staging = await Staging.create(volume.root, { ...ORIGIN, taskUid: 't-2' });
  await assert.rejects(staging.seal(), { message: /chk-1 exists already/ });
  await staging.discard();
  await verify(volume, digest);
  assert.deepEqual(readdirSync(volume.path), ['chk-1']);
});

test('deleting removes the bundle and its leftovers, twice over, and follows no link', async () => {
  await using volume = await makeVolume();
  await writeTestBundle(volume);
  await using other = await Staging.create(volume.root, { ...ORIGIN, bundleName: 'chk-2' });
  await using mine = await Staging.create(volume.root, { ...ORIGIN, taskUid: 't-3' });
  await mkdir(`${volume.path}/precious`);
  await writeFile(`${volume.path}/precious/file`, 'x');
  await symlink('../precious', `${volume.path}/chk-1/link`);
  const place = parseBundlePath('team/chk-1', 'team');
  await removeBundle(volume.root, place);
  await removeBundle(volume.root, place);
  assert.ok(mine.directory.label.endsWith('t-3') && other.directory.label.endsWith('t-1'));
  assert.deepEqual(readdirSync(volume.path).sort(), ['.staging-t-1', 'precious']);
  assert.deepEqual(readdirSync(`${volume.path}/precious`), ['file']);
});

test('sweeping leaves alone what is not ours or not understood', async () => {
  await using volume = await makeVolume();
  await using mine = await Staging.create(volume.root, ORIGIN);
  await using theirs = await Staging.create(volume.root, {
    ...ORIGIN,
    node: 'node-b',
    taskUid: 't-2',
  });
  await mkdir(`${volume.path}/.staging-odd`);
  const removed = await sweepStaging(volume.root, ({ node }) => node === 'node-a');
  assert.deepEqual(removed, ['.staging-t-1']);
  assert.ok(mine.directory !== theirs.directory);
  assert.deepEqual(readdirSync(volume.path).sort(), ['.staging-odd', '.staging-t-2']);
});

test('a dropped lease closes descriptors and refuses every further use', async () => {
  await using volume = await makeVolume();
  await using staging = await Staging.create(volume.root, ORIGIN);
  const handle = await staging.directory.create('file');
  const { fd } = handle;
  await volume.lease.drop(new Error('holder gone'));
  assert.ok(!existsSync(`/proc/self/fd/${fd}`) || handle.fd === -1);
  await assert.rejects(staging.directory.writeFile('x', 'y'), { message: 'holder gone' });
  await assert.rejects(volume.root.entries(), { message: 'holder gone' });
});

test('a full volume and a read-only one get their own names', async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('mounting a small file system needs root');
    return;
  }
  await using volume = await makeVolume();
  const mountPoint = `${volume.path}/small`;
  await mkdir(mountPoint);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'diapause-test', mountPoint]);
  try {
    const lease = new Lease();
    await using small = await Directory.openTrusted(mountPoint, lease, 'small');
    assert.ok((await small.freeBytes()) <= 64 * 1024);
    await using staging = await Staging.create(small, ORIGIN);
    const manifest = { ...testManifest([]), node: 'x'.repeat(200_000) };
    await assert.rejects(staging.writeManifest(manifest), { code: 'StoreFull' });
    await staging.discard();
    execFileSync('mount', ['-o', 'remount,ro', mountPoint]);
    await assert.rejects(Staging.create(small, ORIGIN), { code: 'StoreReadOnly' });
    await lease.drop(new Error('over'));
  } finally {
    execFileSync('umount', [mountPoint]);
  }
});

test('hashing can be cancelled', async () => {
  await using volume = await makeVolume();
  const { digest } = await writeTestBundle(volume);
  await using bundle = await volume.root.directory('chk-1');
  const abort = new AbortController();
  const onBytes = (): void => abort.abort(new Error('cancelled'));
  const verifying = verifyBundle(bundle, { digest, signal: abort.signal, onBytes });
  await assert.rejects(verifying, { message: 'cancelled' });
});
