// Framing to the byte, payloads, and that what was written comes back.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { IMAGES, RAW_FILES } from './image-files.ts';
import { ipcMsg } from './messages/ipc.ts';
import { ImageReader } from './reader.ts';
import { writeEveryImage } from './testing/fill.ts';
import { randomValue, seeded } from './testing/random.ts';
import { FS, FS_MAGIC, FS_RECORD, refusal, ScratchDirectory } from './testing/scratch.ts';
import { ImageWriter } from './writer.ts';

test('headers are those of CRIU, byte for byte', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  writer.write(IMAGES.fs(7), [FS, FS]);
  writer.write(IMAGES.inventory, [{ imgVersion: 2 }]);
  writer.write(IMAGES.statsDump, [{}]);
  writer.head(IMAGES.pagemap(7), { pagesId: 1 });
  const sealed = writer.seal();
  const hexOf = (file: string) => readFileSync(join(scratch.path, file)).toString('hex');
  assert.equal(hexOf('fs-7.img'), `${FS_MAGIC}${FS_RECORD}${FS_RECORD}`);
  assert.equal(hexOf('inventory.img'), '16313158' + '020000000802');
  assert.equal(hexOf('stats-dump'), '40591055' + '06330957' + '00000000');
  assert.equal(hexOf('pagemap-7.img'), '19435654' + '25400856' + '020000000801');
  assert.deepStrictEqual(sealed.files, [
    'fs-7.img',
    'inventory.img',
    'pagemap-7.img',
    'stats-dump',
  ]);
  assert.deepStrictEqual(readdirSync(scratch.path).sort(), [...sealed.files].sort());
  const sizes = sealed.files.map((file) => statSync(join(scratch.path, file)));
  assert.equal(
    sealed.bytes,
    sizes.reduce((sum, { size }) => sum + size, 0),
  );
  for (const { mode } of sizes) assert.equal(mode & 0o777, 0o600);
});

test('an image without records does not exist and reads as empty', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  writer.write(IMAGES.filelocks, []);
  writer.seal();
  assert.deepStrictEqual(readdirSync(scratch.path), []);
  using reader = new ImageReader(scratch.path);
  assert.equal(reader.has(IMAGES.filelocks), false);
  assert.deepStrictEqual(reader.records(IMAGES.filelocks), []);
  assert.deepStrictEqual([...reader.payloads(IMAGES.pipesData)], []);
  assert.equal(reader.open(IMAGES.files), undefined);
  assert.equal(reader.openRaw(RAW_FILES.pages(1)), undefined);
  assert.equal(reader.parent, undefined);
  assert.equal(refusal(() => reader.single(IMAGES.inventory)).file, 'inventory.img');
  assert.equal(refusal(() => reader.head(IMAGES.pagemap(1))).file, 'pagemap-1.img');
});

test('images of every kind come back with heads and payloads', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  const written = writeEveryImage(writer, seeded(3), { records: 8 });
  writer.seal();
  using reader = new ImageReader(scratch.path);
  assert.deepStrictEqual(reader.files(), written.map(({ image }) => image.file).sort());
  for (const { image, head, records } of written) {
    if (image.head) assert.deepStrictEqual(reader.head(image), head);
    assert.deepStrictEqual(
      reader.records(image),
      records.map(({ record }) => record),
      image.file,
    );
    const payloads = [...reader.payloads(image)].map(({ bytes }) => bytes);
    assert.deepStrictEqual(
      payloads,
      records.map(({ payload }) => payload?.length ?? 0),
    );
    let index = 0;
    for (const { read } of reader.payloads(image)) {
      const { payload } = records[index++]!;
      if (payload) assert.deepStrictEqual(read(), payload, image.file);
    }
  }
});

test('more than is buffered arrives in order', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  const content = Buffer.alloc(3 << 20, 'abcdefg');
  writer.append(IMAGES.pipesData, { pipeId: 1, bytes: 5, packets: [] }, Buffer.from('first'));
  writer.append(IMAGES.pipesData, { pipeId: 2, bytes: content.length, packets: [] }, content);
  writer.append(IMAGES.pipesData, { pipeId: 3, bytes: 4, packets: [] }, Buffer.from('last'));
  for (let tid = 1; tid <= 300; tid++) writer.write(IMAGES.fs(tid), [{ ...FS, cwdId: tid }]);
  const { bytes, files } = writer.seal();
  assert.equal(files.length, 301);
  assert.ok(bytes > content.length);
  using reader = new ImageReader(scratch.path);
  const seen = [];
  for (const { record, read } of reader.payloads(IMAGES.pipesData)) {
    const payload = Buffer.from(read());
    seen.push([record.pipeId, payload.length]);
    if (record.pipeId === 2) assert.ok(payload.equals(content));
    if (record.pipeId === 3) assert.equal(payload.toString(), 'last');
  }
  assert.deepStrictEqual(seen, [
    [1, 5],
    [2, content.length],
    [3, 4],
  ]);
  assert.equal(reader.single(IMAGES.fs(300)).cwdId, 300);
});

test('a ghost file without chunks, and messages of a queue, are walked by hand', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  const ghost = IMAGES.ghostFile(0x1f);
  writer.head(ghost, { uid: 0, gid: 0, mode: 0o100644 });
  writer.appendRaw(ghost, Buffer.from('unlinked'));
  const desc = randomValue(seeded(1), IMAGES.ipcSem(1).record).desc;
  writer.append(IMAGES.ipcMsg(9), { desc, qbytes: 16384, qnum: 1 });
  writer.appendMessage(IMAGES.ipcMsg(9), ipcMsg, { mtype: 5n, msize: 3 });
  writer.appendRaw(IMAGES.ipcMsg(9), Buffer.from('abc\0\0\0\0\0'));
  writer.append(IMAGES.ipcSem(9), { desc, nsems: 3 }, Buffer.from([1, 0, 2, 0, 3, 0]));
  writer.seal();
  using reader = new ImageReader(scratch.path);
  using walk = reader.open(ghost)!;
  assert.equal(walk.head().mode, 0o100644);
  assert.equal(Buffer.from(walk.rest().read()).toString(), 'unlinked');
  assert.ok(walk.atEnd);
  using queue = reader.open(IMAGES.ipcMsg(9))!;
  assert.equal(queue.message(IMAGES.ipcMsg(9).record).qnum, 1);
  assert.deepStrictEqual(queue.message(ipcMsg), { mtype: 5n, msize: 3 });
  assert.equal(Buffer.from(queue.bytes(8)).toString(), 'abc\0\0\0\0\0');
  assert.ok(queue.atEnd);
  const semBytes = IMAGES.ipcSem(9).record.encode({ desc, nsems: 3 }).length;
  assert.equal(statSync(join(scratch.path, 'ipcns-sem-9.img')).size, 12 + semBytes + 8);
});

test('a raw file is created by the writer and counted', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  writeSync(writer.openRaw(RAW_FILES.pages(1)), Buffer.alloc(8192, 1));
  assert.equal(writer.bytes, 8192);
  assert.deepStrictEqual(writer.seal(), { files: ['pages-1.img'], bytes: 8192 });
});

test('a value that cannot be written leaves no trace of itself', () => {
  using scratch = new ScratchDirectory();
  const writer = new ImageWriter(scratch.path);
  writer.write(IMAGES.fs(1), [FS]);
  const error = refusal(() => writer.write(IMAGES.fs(1), [{ ...FS, umask: -1 }]));
  assert.deepStrictEqual([error.file, error.record, error.field], ['fs-1.img', 1, 'umask']);
  assert.equal(
    refusal(() => writer.append(IMAGES.pipesData, { pipeId: 1, bytes: 2, packets: [] })).record,
    0,
  );
  writer.write(IMAGES.fs(1), [FS]);
  writer.seal();
  using reader = new ImageReader(scratch.path);
  assert.deepStrictEqual(reader.records(IMAGES.fs(1)), [FS, FS]);
  assert.equal(reader.has(IMAGES.pipesData), false);
});
