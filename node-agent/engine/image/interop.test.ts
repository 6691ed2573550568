// CRIU 4.2 against this folder: its images re-encode to the same bytes, its tool reads ours, its schema is ours.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test, { after, before } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { type AnyImage, IMAGES, imageOf } from './image-files.ts';
import * as enums from './messages/enums.ts';
import { ImageReader } from './reader.ts';
import { criuDump, criuMessages, criuMissing, criuRestoreAndKill } from './testing/criu.ts';
import { assertCritReads } from './testing/crit-view.ts';
import { writeEveryImage } from './testing/fill.ts';
import { fuzz } from './testing/fuzz.ts';
import { allMessages } from './testing/messages.ts';
import { seeded } from './testing/random.ts';
import { reencode } from './testing/reencode.ts';
import { compareSchemas, enumerationNumbers } from './testing/schema.ts';
import { ScratchDirectory } from './testing/scratch.ts';
import { ImageWriter } from './writer.ts';

const missing = criuMissing();
const skip = missing ?? false;

const KINDS =
  'bpfmap-data core fdinfo fifo-data filelocks files fs ghost-file ids inventory memfd mm pagemap pagemap-shmem ' +
  'pipes-data pstree remap-fpath seccomp sk-queues stats-dump tcp-stream timens tty-info';
const NAMESPACE_KINDS = 'ipcns-msg ipcns-sem ipcns-shm ipcns-var mountpoints netdev netns utsns';

/** CRIU's tool has no reader for these. */
const UNKNOWN_TO_CRIT = ['binfmt-misc.img'];

const kindOf = (file: string) => file.replace(/(-[0-9a-f]+)?\.img$/, '');

let scratch: ScratchDirectory;
const dumps: Record<'kinds' | 'namespaces', string> = { kinds: '', namespaces: '' };

async function dump(
  program: string,
  pidOf: (line: string, pid: number) => number,
): Promise<string> {
  const directory = join(scratch.path, basename(program));
  mkdirSync(directory);
  using running = await startVictim(program);
  const line = await running.waitForLine(/ready/);
  criuDump(pidOf(line, running.pid), directory);
  return directory;
}

before(async () => {
  if (missing !== undefined) return;
  scratch = new ScratchDirectory();
  dumps.kinds = await dump(buildVictim('image-kinds'), (_line, pid) => pid);
  // static: its own root has no libraries
  const inside = buildVictim('image-namespaces', ['-static']);
  dumps.namespaces = await dump(inside, (line) => Number(line.split(' ')[1]));
});

after(() => scratch?.[Symbol.dispose]());

function imagesIn(directory: string): AnyImage[] {
  using reader = new ImageReader(directory);
  return reader
    .files()
    .map((file) => imageOf(file))
    .filter((image) => image !== undefined);
}

for (const [name, expected] of [
  ['kinds', KINDS],
  ['namespaces', NAMESPACE_KINDS],
] as const) {
  test(`what CRIU wrote of image-${name} re-encodes to the same bytes`, { skip }, () => {
    const directory = dumps[name];
    const images = imagesIn(directory);
    const kinds = new Set(images.map(({ file }) => kindOf(file)));
    assert.deepStrictEqual(
      expected.split(' ').filter((kind) => !kinds.has(kind)),
      [],
    );
    using out = new ScratchDirectory();
    using reader = new ImageReader(directory);
    const writer = new ImageWriter(out.path);
    for (const image of images) reencode(image, reader, writer);
    writer.seal();
    for (const { file } of images) {
      const theirs = readFileSync(join(directory, file)).toString('hex');
      assert.equal(readFileSync(join(out.path, file)).toString('hex'), theirs, file);
    }
  });
}

test('CRIU restores images that carry our own fields', { skip }, async () => {
  using directory = new ScratchDirectory();
  using out = new ScratchDirectory();
  using running = await startVictim('/bin/sh', ['-c', 'echo ready; exec sleep 1000']);
  const { pid } = running;
  const name = () => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  for (let tries = 0; tries < 500 && name() !== 'sleep'; tries++) await setTimeout(10);
  criuDump(pid, directory.path);
  using reader = new ImageReader(directory.path);
  const writer = new ImageWriter(out.path);
  const core = IMAGES.core(pid);
  for (const image of imagesIn(directory.path)) {
    if (image.file !== core.file) reencode(image, reader, writer);
  }
  const { tc, threadCore, ...saved } = reader.single(core);
  assert.ok(tc && threadCore);
  writer.append(core, {
    ...saved,
    tc: { ...tc, coredumpFilter: 0x33, personalityExact: 0 },
    threadCore: { ...threadCore, rawRegisters: new Uint8Array(216), waitRemainingNs: 2n ** 63n },
  });
  writer.seal();
  copyFileSync(join(directory.path, 'pages-1.img'), join(out.path, 'pages-1.img'));
  assert.equal(criuRestoreAndKill(pid, out.path), 'sleep');
});

test('damaged images of CRIU are refused or still have a meaning', { skip }, () => {
  const random = seeded(23);
  for (const directory of Object.values(dumps)) {
    const { refused, read } = fuzz(random, directory, imagesIn(directory), 100);
    assert.ok(refused > 100 && read > 100, `${refused} refused, ${read} read`);
  }
});

test('every message is described as CRIU describes it', { skip }, () => {
  assert.deepStrictEqual(compareSchemas(allMessages(), criuMessages()), []);
});

test('enumerations have the numbers of CRIU', { skip }, () => {
  const theirs = enumerationNumbers(criuMessages());
  const pairs: readonly [Readonly<Record<string, number>>, string, number][] = [
    [enums.March, 'core_entry', 1],
    [enums.RegsMode, 'user_x86_regs_entry', 28],
    [enums.SeccompMode, 'thread_core_entry', 11],
    [enums.LsmType, 'inventory_entry', 6],
    [enums.FdType, 'fdinfo_entry', 3],
    [enums.RemapType, 'remap_file_path_entry', 3],
    [enums.MarkType, 'fanotify_mark_entry', 2],
    [enums.SkShutdown, 'unix_sk_entry', 12],
    [enums.TtyType, 'tty_info_entry', 2],
    [enums.NetDeviceType, 'net_device_entry', 1],
  ];
  for (const [ours, message, field] of pairs) {
    const known = Object.entries(theirs(message, field)).map(([name, n]) => [
      name.toUpperCase(),
      n,
    ]);
    const byName = Object.fromEntries(known) as Record<string, number>;
    for (const [name, number] of Object.entries(ours))
      assert.equal(byName[name], number, `${message} ${name}`);
  }
});

test('crit reads what is written here', { skip }, () => {
  using out = new ScratchDirectory();
  const theirs = enumerationNumbers(criuMessages());
  const writer = new ImageWriter(out.path);
  const written = writeEveryImage(writer, seeded(5), {
    records: 4,
    plainText: true,
    enumeration: (message, field) => Object.values(theirs(message, field)),
  });
  writer.seal();
  const unread = written.filter(
    (image) => !assertCritReads(join(out.path, image.image.file), image, theirs),
  );
  assert.deepStrictEqual(
    unread.map(({ image }) => image.file),
    UNKNOWN_TO_CRIT,
  );
});
