// inspect, on images as the engine writes them: what it shows, and what it must never show.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { encodeManifest } from '../../node-agent/bundle/manifest.ts';
import { testManifest } from '../../node-agent/bundle/testing/volume.ts';
import { IMAGES, RAW_FILES } from '../../node-agent/engine/image/image-files.ts';
import { FdType, VmaStatus } from '../../node-agent/engine/image/messages/enums.ts';
import type { FileEntry } from '../../node-agent/engine/image/messages/files.ts';
import { ScratchDirectory } from '../../node-agent/engine/image/testing/scratch.ts';
import { ImageWriter } from '../../node-agent/engine/image/writer.ts';
import { REFUSAL } from '../testing/objects.ts';
import { TestCluster } from '../testing/program.ts';
import { areaFacts } from './memory-map.ts';
import { readBundle } from './open-bundle.ts';
import { openFileWords, printable } from './open-files.ts';
import { descriptorTable, memoryTable, processTree } from './views.ts';

const SECRET = 'hunter2-the-password';
const FOWN = { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 };
const HEAP = 0x5000_0000n;

const regular = (id: number, name: string): FileEntry => ({
  type: FdType.REG,
  id,
  reg: { id, flags: 2, pos: 7n, fown: FOWN, name, buildId: [] },
});

/** Two processes: an init with a file and a pipe, and its child that has ended. */
function writeImages(directory: string): void {
  mkdirSync(directory, { recursive: true });
  using images = new ImageWriter(directory);
  images.write(IMAGES.inventory, [{ imgVersion: 2 }]);
  images.write(IMAGES.pstree, [
    { pid: 1, ppid: 0, pgid: 1, sid: 1, threads: [1, 9] },
    { pid: 12, ppid: 1, pgid: 12, sid: 1, threads: [12] },
  ]);
  const task = { exitCode: 0, personality: 0, flags: 0, blkSigset: 0n, sigactions: [] };
  images.write(IMAGES.core(1), [{ mtype: 1, tc: { ...task, taskState: 1, comm: 'redis-server' } }]);
  images.write(IMAGES.core(12), [{ mtype: 1, tc: { ...task, taskState: 2, comm: 'sh' } }]);
  images.write(IMAGES.ids(1), [{ vmId: 1, filesId: 3, fsId: 1, sighandId: 1 }]);
  images.write(IMAGES.fs(1), [{ cwdId: 1, rootId: 1 }]);
  images.write(IMAGES.files, [
    regular(1, '/data'),
    regular(2, '/usr/bin/redis'),
    regular(3, '/data/\x1b[2Jlog'),
    { type: FdType.PIPE, id: 4, pipe: { id: 4, pipeId: 77, flags: 1, fown: FOWN, stdio: 2 } },
  ]);
  images.write(IMAGES.fdinfo(3), [
    { id: 3, flags: 1, type: FdType.REG, fd: 5 },
    { id: 4, flags: 0, type: FdType.PIPE, fd: 1 },
  ]);
  images.write(IMAGES.mm(1), [addressSpace()]);
  images.head(IMAGES.pagemap(1), { pagesId: 1 });
  images.write(IMAGES.pagemap(1), [{ vaddr: HEAP, compatNrPages: 0, nrPages: 2n, flags: 4 }]);
  images.seal();
  writeFileSync(join(directory, RAW_FILES.pages(1)), SECRET.padEnd(8192, '.'));
}

function addressSpace() {
  const area = (start: bigint, pages: bigint, status: number, prot: number, shmid = 0n) => ({
    start,
    end: start + pages * 4096n,
    pgoff: 0n,
    shmid,
    prot,
    flags: 2,
    status,
    fd: -1n,
  });
  return {
    mmStartCode: 0n,
    mmEndCode: 0n,
    mmStartData: 0n,
    mmEndData: 0n,
    mmStartStack: 0n,
    mmStartBrk: 0n,
    mmBrk: 0n,
    mmArgStart: 0n,
    mmArgEnd: 0n,
    mmEnvStart: 0n,
    mmEnvEnd: 0n,
    exeFileId: 2,
    mmSavedAuxv: [],
    aios: [],
    vmas: [
      area(0x40_0000n, 3n, VmaStatus.REGULAR | VmaStatus.FILE_PRIVATE, 5, 2n),
      area(HEAP, 4n, VmaStatus.REGULAR | VmaStatus.HEAP, 3),
    ],
  };
}

/** A bundle with one container and everything secret that it may hold. */
function writeBundle(path: string): void {
  writeImages(join(path, 'redis', 'checkpoint'));
  writeFileSync(join(path, 'redis', 'config.dump'), '{}');
  writeFileSync(join(path, 'redis', 'rootfs-diff.tar'), SECRET);
  const container = {
    name: 'redis',
    imageID: 'x',
    processes: 2,
    threads: 3,
    memoryBytes: 8192,
    rootfsDiffBytes: 0,
    mounts: [],
  };
  const manifest = { ...testManifest([]), containers: [container], report: [REFUSAL] };
  writeFileSync(join(path, 'manifest.json'), encodeManifest(manifest));
}

const TREE = [
  'redis   COMMAND        STATE   THREADS   DESCRIPTORS   MAPPED   SAVED   EXECUTABLE',
  '1       redis-server   alive   2         2             28Ki     8Ki     /usr/bin/redis',
  '  12    sh             dead    1         0             0        0',
  '',
].join('\n');

describe('inspect', () => {
  it('shows tree, descriptors and memory map', async () => {
    using scratch = new ScratchDirectory();
    writeBundle(scratch.path);
    const [container] = (await readBundle(scratch.path)).containers;
    assert.ok(container);
    assert.equal(processTree(container), TREE);
    const [init] = container.processes;
    assert.ok(init);
    assert.equal(
      descriptorTable(init),
      [
        'process 1 (redis-server) in /data',
        'FD   TYPE   FLAGS     OBJECT',
        "1    pipe             [77] w, the container's descriptor 1",
        '5    file   cloexec   /data/\\x1b[2Jlog rw at 7',
        '',
      ].join('\n'),
    );
    assert.equal(
      memoryTable(init),
      [
        'process 1 (redis-server) in /data',
        'AREA                PERM   SIZE   SAVED   IN PARENT   NAME',
        '400000-403000       r-xp   12Ki   0                   /usr/bin/redis',
        '50000000-50004000   rw-p   16Ki   8Ki                 [heap]',
        '',
      ].join('\n'),
    );
  });

  it('reads bundles, folders, images and archives, plain or compressed, and prints no memory', async () => {
    await using cluster = await TestCluster.start();
    using scratch = new ScratchDirectory();
    writeBundle(scratch.path);
    const folder = join(scratch.path, 'redis');
    const archive = join(scratch.path, 'redis.tar');
    execFileSync('tar', [
      '-cf',
      archive,
      '-C',
      folder,
      'checkpoint',
      'config.dump',
      'rootfs-diff.tar',
    ]);
    execFileSync('gzip', ['-k', archive]);
    const outputs = await Promise.all(
      [scratch.path, folder, join(folder, 'checkpoint'), archive, `${archive}.gz`].map(
        async (path) => {
          const { code, stdout, stderr } = await cluster.run('inspect', path, '--all');
          assert.deepEqual([code, stderr], [0, ''], path);
          return stdout;
        },
      ),
    );
    const json = await cluster.run('inspect', archive, '-o', 'json');
    for (const output of [...outputs, json.stdout]) {
      assert.match(output, /redis-server/);
      assert.ok(!output.includes(SECRET) && !output.includes('\x1b'));
    }
    assert.match(outputs[0] ?? '', /^checkpoint: +team\/chk$/m);
    assert.match(outputs[4] ?? '', /^checkpoint\/pages-1\.img +8192$/m);
  });

  it('says what is wrong with a path', async () => {
    await using cluster = await TestCluster.start();
    using scratch = new ScratchDirectory();
    writeBundle(scratch.path);
    writeFileSync(join(scratch.path, 'text'), 'no archive at all');
    writeFileSync(join(scratch.path, 'redis', 'checkpoint', 'pstree.img'), 'garbage');
    const complaint = async (...words: readonly string[]): Promise<string> => {
      const { code, stderr } = await cluster.run('inspect', ...words);
      assert.equal(code, 1);
      return stderr;
    };
    assert.match(await complaint('/nonexistent'), /no such file or directory\n {2}name a bundle/);
    assert.match(
      await complaint(join(scratch.path, 'text')),
      /not a readable tar archive|holds no checkpoint/,
    );
    assert.match(
      await complaint(scratch.path),
      /damaged: pstree\.img.*\n {2}a Checkpoint whose bundle is damaged/,
    );
  });

  it('follows no link that a bundle holds', async () => {
    using scratch = new ScratchDirectory();
    mkdirSync(join(scratch.path, 'images'));
    symlinkSync('/etc/passwd', join(scratch.path, 'images', 'inventory.img'));
    symlinkSync('/etc/passwd', join(scratch.path, 'images', 'pstree.img'));
    await assert.rejects(readBundle(join(scratch.path, 'images')), { name: 'ImageError' });
  });
});

describe('words', () => {
  const address = (bytes: readonly number[]): number[] =>
    Array.from({ length: bytes.length / 4 }, (_, index) =>
      Buffer.from(bytes).readUInt32LE(index * 4),
    );
  const socket = (srcAddr: number[], dstAddr: number[], dstPort: number): FileEntry =>
    ({
      type: FdType.INETSK,
      id: 1,
      isk: { proto: 6, state: dstPort === 0 ? 10 : 1, srcPort: 6379, dstPort, srcAddr, dstAddr },
    }) as unknown as FileEntry;

  it('for sockets', () => {
    const nobody = (): undefined => undefined;
    assert.deepEqual(
      openFileWords(socket(address([0, 0, 0, 0]), address([0, 0, 0, 0]), 0), nobody),
      {
        type: 'tcp',
        object: '0.0.0.0:6379 LISTEN',
      },
    );
    const loopback = [...Array<number>(15).fill(0), 1];
    const mapped = [...Array<number>(10).fill(0), 255, 255, 10, 0, 0, 7];
    assert.deepEqual(openFileWords(socket(address(loopback), address(mapped), 80), nobody), {
      type: 'tcp',
      object: '[::1]:6379 -> [::ffff:a00:7]:80 ESTABLISHED',
    });
  });

  it('never hold what a terminal obeys', () => {
    assert.equal(printable('a\x1b[31m\u202e\n'), 'a\\x1b[31m\\x202e\\x0a');
  });

  it('count pages of a run that crosses areas, and those of the parent', () => {
    const vma = (start: bigint, end: bigint) => ({ ...addressSpace().vmas[1]!, start, end });
    const areas = areaFacts(
      [vma(0x1000n, 0x3000n), vma(0x3000n, 0x6000n)],
      [
        { vaddr: 0x2000n, compatNrPages: 2, flags: 4 },
        { vaddr: 0x5000n, compatNrPages: 0, nrPages: 1n, flags: 1 },
      ],
      () => undefined,
    );
    assert.deepEqual(
      areas.map(({ savedBytes, parentBytes }) => [savedBytes, parentBytes]),
      [
        [4096, 0],
        [4096, 4096],
      ],
    );
  });
});
