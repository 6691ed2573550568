// Writing and reading archive headers, and what damage does to them.
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TaskFailure } from '../../task-failure.ts';
import { type LocatedEntry, readEntries } from './pax-reader.ts';
import { END_OF_ARCHIVE, encodeHeader } from './pax-writer.ts';
import { paddedBytes, type TarEntry } from './tar-entry.ts';

const folder = mkdtempSync(join(tmpdir(), 'diapause-pax-'));
after(() => rmSync(folder, { recursive: true }));

const BASE = { mode: 0o644, uid: 1, gid: 2, mtimeNanos: 0n, sizeBytes: 0, xattrs: new Map() };
const ENTRIES: readonly TarEntry[] = [
  { ...BASE, path: 'etc', type: 'directory', mode: 0o1777, mtimeNanos: 1_795_493_566_892_856_798n },
  { ...BASE, path: 'etc/passwd', type: 'file', sizeBytes: 513 },
  { ...BASE, path: 'etc/shadow', type: 'hardlink', linkPath: 'etc/passwd' },
  { ...BASE, path: 'etc/link', type: 'symlink', linkPath: `/${'a/'.repeat(80)}`, mode: 0o777 },
  { ...BASE, path: `etc/${'n'.repeat(200)}`, type: 'fifo', uid: 3_000_000, gid: 4_000_000_000 },
  { ...BASE, path: 'etc/\xff\xfe', type: 'file', mtimeNanos: -1_500_000_000n },
  { ...BASE, path: 'etc/old', type: 'file', mtimeNanos: -1n },
  {
    ...BASE,
    path: 'etc/attributes',
    type: 'file',
    xattrs: new Map([
      ['user.a', Buffer.from('x=y\n')],
      ['security.capability', Buffer.from([1, 0, 0, 2, 255, 0])],
    ]),
  },
  {
    ...BASE,
    path: 'etc/sparse',
    type: 'file',
    sizeBytes: 10 ** 13,
    ranges: [
      { offset: 4096, length: 600 },
      { offset: 10 ** 12, length: 1 },
    ],
  },
  { ...BASE, path: 'etc/all-hole', type: 'file', sizeBytes: 4096, ranges: [] },
  {
    ...BASE,
    path: 'etc/many-ranges',
    type: 'file',
    sizeBytes: 1 << 20,
    ranges: Array.from({ length: 200 }, (_, i) => ({ offset: i * 4096, length: 1 })),
  },
];

function archiveOf(entries: readonly TarEntry[]): Buffer {
  const parts = entries.map((entry) => {
    const { bytes, contentBytes } = encodeHeader(entry);
    return Buffer.concat([bytes, Buffer.alloc(paddedBytes(contentBytes), 'c')]);
  });
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

function read(archive: Buffer): LocatedEntry[] {
  const path = join(folder, 'archive.tar');
  writeFileSync(path, archive);
  const fd = openSync(path, 'r');
  try {
    return [...readEntries(fd)];
  } finally {
    closeSync(fd);
  }
}

test('what is written is read, to the nanosecond and the last byte', () => {
  const archive = archiveOf(ENTRIES);
  const entries = read(archive);
  assert.deepEqual(
    entries.map(({ entry }) => entry),
    ENTRIES,
  );
  for (const { entry, contentOffset } of entries.filter((e) => e.entry.type === 'file')) {
    if (entry.sizeBytes > 0 && entry.ranges?.length !== 0) {
      assert.equal(archive.toString('latin1', contentOffset, contentOffset + 1), 'c', entry.path);
    }
  }
});

test('damage anywhere is refused or harmless, never a crash or a path outside', () => {
  const archive = archiveOf(ENTRIES);
  let refused = 0;
  for (let at = 0; at < archive.length; at += 7) {
    const damaged = Buffer.from(archive);
    damaged[at] = damaged[at]! ^ (1 << (at & 7));
    try {
      for (const { entry } of read(damaged)) {
        assert.ok(!entry.path.split('/').includes('..') && !entry.path.startsWith('/'));
      }
    } catch (error) {
      assert.ok(error instanceof TaskFailure, `byte ${at}: ${String(error)}`);
      assert.equal(error.code, 'BundleInvalid');
      refused++;
    }
  }
  assert.ok(refused > 100, `only ${refused} refused`);
});

test('a cut archive is refused wherever it is cut inside an entry', () => {
  const archive = archiveOf(ENTRIES.slice(0, 2));
  for (const bytes of [100, 512, 600, 1024, 1500, 2047]) {
    assert.throws(() => read(archive.subarray(0, archive.length - END_OF_ARCHIVE.length - bytes)), {
      code: 'BundleInvalid',
    });
  }
});

for (const type of ['3', '4', '7', 'L', 'S', 'g']) {
  test(`entries of the type ${type} are refused`, () => {
    const archive = archiveOf([{ ...BASE, path: 'x', type: 'file' }]);
    archive.write(type, 156, 'latin1');
    archive.fill(' ', 148, 156);
    const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    assert.throws(() => read(archive), { code: 'BundleInvalid', message: /has the type/ });
  });
}
