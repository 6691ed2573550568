// What a directory may hold, and what reading refuses.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ImageError } from './image-error.ts';
import { type AnyImage, IMAGES, imageOf, PARENT_LINK } from './image-files.ts';
import { ImageReader } from './reader.ts';
import { sampleImages } from './testing/messages.ts';
import { FS, FS_MAGIC, FS_RECORD, refusal, ScratchDirectory, writeHex } from './testing/scratch.ts';
import { ImageWriter } from './writer.ts';

test('file names lead to their images and back', () => {
  for (const image of sampleImages()) assert.equal(imageOf(image.file)?.magic, image.magic);
  assert.equal(IMAGES.tcpStream(0xabc).file, 'tcp-stream-abc.img');
  assert.equal(IMAGES.pagemapShmem(123n).file, 'pagemap-shmem-123.img');
  assert.equal(imageOf('pagemap-shmem-123.img')?.file, 'pagemap-shmem-123.img');
  assert.equal(imageOf('ghost-file-1f.img')?.magic, 0x52583605);
  for (const raw of ['pages-1.img', 'route-9.img', 'core-x.img', 'core-1.img.tmp', 'dump.log']) {
    assert.equal(imageOf(raw), undefined);
  }
  const names = sampleImages().map(({ file }) => file);
  assert.equal(new Set(names).size, names.length);
});

test('images of version 1 are read', () => {
  using scratch = new ScratchDirectory();
  writeHex(scratch.path, 'fs-1.img', `12394051${FS_RECORD}`);
  using reader = new ImageReader(scratch.path);
  assert.deepStrictEqual(reader.single(IMAGES.fs(1)), FS);
});

const DAMAGED: readonly [string, AnyImage, string, Partial<ImageError>][] = [
  ['nothing in it', IMAGES.fs(1), '', { offset: 0 }],
  ['half a magic', IMAGES.fs(1), '194356541239', { offset: 4 }],
  ['another magic', IMAGES.fs(1), '1943565412394052', {}],
  ['the magic of another image', IMAGES.fs(1), '1943565420284957', {}],
  ['a service magic before an image', IMAGES.fs(1), `4059105512394051${FS_RECORD}`, {}],
  [
    'a common magic before the inventory',
    IMAGES.inventory,
    '194356541631315802000000' + '0802',
    {},
  ],
  ['half a length', IMAGES.fs(1), `${FS_MAGIC}${FS_RECORD}0600`, { record: 1, offset: 18 }],
  [
    'a length beyond the end',
    IMAGES.fs(1),
    '194356541239405107000000' + '080110021812',
    { record: 0, offset: 12 },
  ],
  ['a length of 4 GiB', IMAGES.fs(1), '1943565412394051ffffffff', { record: 0, offset: 8 }],
  [
    'a broken record',
    IMAGES.fs(1),
    '194356541239405102000000' + '0801',
    { record: 0, field: 'rootId' },
  ],
  [
    'a payload cut short',
    IMAGES.pipesData,
    '194356540937455604000000' + '08011005' + '6161',
    { record: 1, offset: 16 },
  ],
  [
    'a payload of 2^64',
    IMAGES.ghostFile(1),
    '194356540536525806000000' + '080110011801' + '0d000000' + '08ffffffffffffffffff011000',
    {},
  ],
];
for (const [title, image, content, expected] of DAMAGED) {
  test(`${title} is refused`, () => {
    using scratch = new ScratchDirectory();
    writeHex(scratch.path, image.file, content);
    using reader = new ImageReader(scratch.path);
    const error = refusal(() => reader.records(image));
    assert.equal(error.file, image.file);
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(error[key as keyof ImageError], value, `${key}: ${error.message}`);
    }
  });
}

test('exactly one record is one record', () => {
  using scratch = new ScratchDirectory();
  writeHex(scratch.path, 'fs-1.img', `${FS_MAGIC}${FS_RECORD}${FS_RECORD}`);
  writeHex(scratch.path, 'fs-2.img', '1943565412394051');
  using reader = new ImageReader(scratch.path);
  assert.match(refusal(() => reader.single(IMAGES.fs(1))).reason, /2 records/);
  assert.match(refusal(() => reader.single(IMAGES.fs(2))).reason, /empty/);
});

test('only regular files of the directory itself are opened', () => {
  using scratch = new ScratchDirectory();
  writeHex(scratch.path, 'elsewhere', `${FS_MAGIC}${FS_RECORD}`);
  symlinkSync('elsewhere', join(scratch.path, 'fs-1.img'));
  execFileSync('mkfifo', [join(scratch.path, 'fs-2.img')]);
  execFileSync('mkdir', [join(scratch.path, 'fs-3.img')]);
  using reader = new ImageReader(scratch.path);
  for (const pid of [1, 2, 3])
    assert.match(refusal(() => reader.has(IMAGES.fs(pid))).reason, /regular/);
  assert.throws(() => reader.openRaw('../etc/passwd'), ImageError);
  for (const pid of [1, 2, 3]) {
    using writer = new ImageWriter(scratch.path);
    writer.write(IMAGES.fs(pid), [FS]);
    assert.throws(() => writer.seal(), ImageError);
  }
});

test('the parent of an incremental chain lies beside its child', () => {
  using scratch = new ScratchDirectory();
  const [first, second] = [join(scratch.path, '1'), join(scratch.path, '2')];
  mkdirSync(first);
  mkdirSync(second);
  writeHex(first, 'fs-1.img', `${FS_MAGIC}${FS_RECORD}`);
  symlinkSync('1', join(scratch.path, 'link'));
  const link = join(second, PARENT_LINK);
  const parentOf = (scope?: 'anywhere') => {
    using reader = new ImageReader(second, scope);
    return reader.parent?.single(IMAGES.fs(1));
  };
  assert.equal(parentOf(), undefined);
  symlinkSync('../1/', link);
  assert.deepStrictEqual(parentOf(), FS);
  for (const target of [first, '../link', '../../etc', '..', '../..', '.', '1']) {
    unlinkSync(link);
    symlinkSync(target, link);
    assert.throws(() => parentOf(), target);
  }
  unlinkSync(link);
  symlinkSync(first, link);
  assert.deepStrictEqual(parentOf('anywhere'), FS);
});
