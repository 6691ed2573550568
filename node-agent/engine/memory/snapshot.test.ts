// A snapshot of a program with every ordinary kind of memory: exact, unseen, and gone without a trace.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';
import { IMAGES, RAW_FILES } from '../image/image-files.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { ImageReader } from '../image/reader.ts';
import { readSmaps } from '../linux/procfs/maps.ts';
import { childPids } from '../linux/procfs/children.ts';
import { rseqConfiguration } from '../linux/ptrace.ts';
import { PAGE_BYTES, type Picture, takePicture } from './testing/picture.ts';
import { Session } from './testing/session.ts';

const report = (victim: Victim, number: number): Promise<string> =>
  victim.waitForLine(new RegExp(`^report ${number} `));
/** everything but the number of the report and the look for children that only __WALL shows */
const facts = (line: string): string => line.replace(/^report \d+ wall \w+ /, '');

/** What a restore would make of the images: saved pages, else zero or the file. */
function imagePage(
  images: ImageReader,
  dir: string,
  pid: number,
): (at: bigint) => Buffer | undefined {
  const pagesId = images.head(IMAGES.pagemap(pid)).pagesId;
  const content = readFileSync(join(dir, RAW_FILES.pages(pagesId)));
  const offsets = new Map<bigint, number>();
  let offset = 0;
  for (const { vaddr, nrPages } of images.records(IMAGES.pagemap(pid))) {
    for (let i = 0n; i < (nrPages ?? 0n); i++) {
      offsets.set(vaddr + i * BigInt(PAGE_BYTES), offset);
      offset += PAGE_BYTES;
    }
  }
  assert.equal(offset, content.length, 'the pagemap names exactly the pages of the file');
  return (at) => {
    const from = offsets.get(at);
    return from === undefined ? undefined : content.subarray(from, from + PAGE_BYTES);
  };
}

/** @param rseq where the kernel writes the number of the CPU, whenever the leader does remote work; undefined for a snapshot */
function compare(
  picture: Picture,
  images: ImageReader,
  dir: string,
  pid: number,
  vmas: readonly VmaEntry[],
  rseq?: { readonly address: bigint; readonly length: number },
) {
  const saved = imagePage(images, dir, pid);
  let pages = 0;
  for (const { start, end, status, flags } of vmas) {
    const skipped = VmaStatus.VVAR | VmaStatus.VSYSCALL | VmaStatus.GUARD | VmaStatus.FILE_SHARED;
    const droppable = (flags & 0xf) === 8;
    if (status & skipped || droppable) continue;
    for (let at = start; at < end; at += BigInt(PAGE_BYTES)) {
      const expected = picture.page(at);
      if (!expected) continue;
      const actual = Buffer.from(saved(at) ?? picture.untouched(at));
      if (rseq && rseq.address >= at && rseq.address < at + BigInt(PAGE_BYTES)) {
        const from = Number(rseq.address - at);
        expected.copy(actual, from, from, from + rseq.length);
      }
      const byte = expected.findIndex((value, i) => value !== actual[i]);
      assert.equal(byte, -1, `page ${at.toString(16)} differs from byte ${byte} on`);
      pages++;
    }
  }
  assert.ok(pages > 2000, `${pages} pages compared`);
}

test('the image holds the memory byte for byte, and the application goes on unaware', async () => {
  using victim = await startVictim(buildVictim('areas'));
  const before = facts(await report(victim, 1));
  const dir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  const flagsBefore = readSmaps(victim.pid);
  const session = new Session(victim.pid, dir);
  session.snapshot();
  const picture = takePicture(session.memory);
  session.letGo();
  victim.signal('SIGUSR1');
  assert.equal(facts(await report(victim, 2)), before, 'while the snapshot lives');
  assert.equal(session.savePages() > 0, true);
  assert.equal(session.discard(), 'reaped');
  victim.signal('SIGUSR1');
  const after = await report(victim, 3);
  assert.equal(facts(after), before, 'after the snapshot');
  assert.match(after, /wall none children none sigchld 0/);
  assert.deepEqual(childPids(victim.pid), []);
  const flags = (m: (typeof flagsBefore)[number]): string => [...m.flags].join(' ');
  assert.deepEqual(readSmaps(victim.pid).map(flags), flagsBefore.map(flags));
  session.seal();
  using images = new ImageReader(dir);
  const mm = images.single(IMAGES.mm(session.record.pid));
  compare(picture, images, dir, session.record.pid, mm.vmas);
  assert.deepEqual(session.findings, []);
  rmSync(dir, { recursive: true });
});

test('without a snapshot the pages come from the stopped process itself', async () => {
  using victim = await startVictim(buildVictim('areas'));
  const before = facts(await report(victim, 1));
  const dir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  const session = new Session(victim.pid, dir);
  const picture = takePicture(session.memory);
  const rseq = rseqConfiguration(victim.pid);
  session.savePages();
  session.letGo();
  victim.signal('SIGUSR1');
  assert.equal(facts(await report(victim, 2)), before);
  session.seal();
  using images = new ImageReader(dir);
  const mm = images.single(IMAGES.mm(session.record.pid));
  compare(picture, images, dir, session.record.pid, mm.vmas, rseq);
  rmSync(dir, { recursive: true });
});

test('a standing process is unharmed when its pages are given up in the middle', async () => {
  using victim = await startVictim(buildVictim('areas'));
  const before = facts(await report(victim, 1));
  const fds = readdirSync(`/proc/${victim.pid}/fd`);
  const dir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  const session = new Session(victim.pid, dir);
  let transfers = 0;
  const giveUp = (): void => {
    transfers += 1;
    if (transfers === 3) throw new Error('enough');
  };
  assert.throws(() => session.savePages(giveUp), /enough/);
  session.letGo();
  victim.signal('SIGUSR1');
  assert.equal(facts(await report(victim, 2)), before);
  assert.deepEqual(readdirSync(`/proc/${victim.pid}/fd`), fds);
  rmSync(dir, { recursive: true });
});

test('a snapshot that is killed is an error of its own, and the application goes on', async () => {
  using victim = await startVictim(buildVictim('areas'));
  const before = facts(await report(victim, 1));
  const dir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  const session = new Session(victim.pid, dir);
  const child = session.snapshot().child.pid;
  session.letGo();
  assert.throws(() => session.savePages(() => process.kill(child, 'SIGKILL')), {
    name: 'PagesLostError',
  });
  assert.equal(session.discard(), 'reaped');
  assert.equal(existsSync(`/proc/${child}`), false);
  victim.signal('SIGUSR1');
  assert.equal(facts(await report(victim, 2)), before);
  rmSync(dir, { recursive: true });
});

test('the parent may be gone when its snapshot is discarded', async () => {
  const victim = await startVictim(buildVictim('areas'));
  const dir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  const session = new Session(victim.pid, dir);
  session.snapshot();
  session.letGo();
  victim.signal('SIGKILL');
  session.savePages();
  assert.equal(session.discard(), 'gone');
  victim[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});
