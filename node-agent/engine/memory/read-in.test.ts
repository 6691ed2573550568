// Many pages are read by several threads of the process that they belong to, of which none is left.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { SYS } from '../arch/x86-64.ts';
import { ImageError } from '../image/image-error.ts';
import { ScratchDirectory } from '../image/testing/scratch.ts';
import { readMemory } from '../linux/process-memory.ts';
import { threadIds } from '../linux/procfs/read.ts';
import { TRACE_OPTION } from '../linux/ptrace.ts';
import { HelpingThreads, helpersHere } from '../restore/helping-threads.ts';
import { spawnRoot } from '../restore/spawn-root.ts';
import { ProcessUnderConstruction } from '../restore/under-construction.ts';
import type { SavedProcess } from '../state/records.ts';
import { Resident, RESTORE_LEADER, SMALL_SLOT } from '../tracee/resident.ts';
import { Tracer } from '../tracee/tracer.ts';
import { MAP, PROT } from './area.ts';
import { readIn } from './read-in.ts';
import type { SavedRun } from './saved-pages.ts';

enterPrivateNamespaces();

const PID = 7000;
const START = 0x2_0000_0000n;
const MEBIBYTE = 1 << 20;
const MEBIBYTES = 48;

interface Built {
  readonly builder: ProcessUnderConstruction;
  readonly helping: HelpingThreads;
}

/** A process with nothing but an empty area at {@link START}, and threads that help. */
function build(t: TestContext): Built {
  const tracer = new Tracer(TRACE_OPTION.EXITKILL);
  const process = tracer.seizeTree(spawnRoot(PID, undefined, false));
  t.after(() => tracer.endAll());
  tracer.freeze(1000);
  Resident.map(process, { leader: RESTORE_LEADER, thread: SMALL_SLOT, threads: helpersHere() });
  const saved: Pick<SavedProcess, 'pid'> = { pid: PID };
  const builder = new ProcessUnderConstruction(
    saved as SavedProcess,
    process,
    'standalone',
    () => {},
  );
  const flags = MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE;
  const bytes = MEBIBYTES * MEBIBYTE;
  builder.batch.must(SYS.mmap, START, bytes, PROT.READ | PROT.WRITE, flags, -1, 0);
  builder.flush();
  return { builder, helping: new HelpingThreads(process, tracer) };
}

/** Every second page of the area, then the rest: as many pieces as a call may have, and one large one. */
function runsIn(path: string): SavedRun[] {
  const source = {
    images: { openRaw: () => ({ fd: openSync(path, 'r'), bytes: MEBIBYTES * MEBIBYTE }) },
    file: 'pages-1.img',
    bytes: MEBIBYTES * MEBIBYTE,
  };
  const page = 4096;
  const small = Array.from({ length: 1000 }, (_, i) => {
    const start = START + BigInt(2 * i * page);
    return { start, end: start + BigInt(page), offset: i * page, source };
  });
  const start = START + BigInt(8 * MEBIBYTE);
  const large = {
    start,
    end: start + BigInt(32 * MEBIBYTE),
    offset: 1000 * page,
    source,
  };
  return [...small, large];
}

const bytesReadBy = (tid: number): number =>
  Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${PID}/task/${tid}/io`, 'latin1'))?.[1]);

test('every thread reads its share, and each page is where it belongs', (t) => {
  using scratch = new ScratchDirectory();
  const path = join(scratch.path, 'pages-1.img');
  const content = randomFillSync(Buffer.alloc(MEBIBYTES * MEBIBYTE));
  writeFileSync(path, content);
  const { builder, helping } = build(t);
  const runs = runsIn(path);
  let told = 0;
  readIn(builder, runs, helping.threads, (bytes) => (told += bytes));
  assert.equal(helping.threads.length, helpersHere());
  for (const { tid } of helping.threads) assert.ok(bytesReadBy(tid) > MEBIBYTE, `thread ${tid}`);
  helping.end();
  assert.deepEqual(threadIds(PID), [PID]);
  for (const { start, end, offset } of runs) {
    const bytes = Number(end - start);
    const expected = content.subarray(offset, offset + bytes);
    assert.ok(readMemory(PID, start, bytes).equals(expected), `at 0x${start.toString(16)}`);
  }
  assert.equal(told, 1000 * 4096 + 32 * MEBIBYTE);
});

test('a file that is too short is told', (t) => {
  using scratch = new ScratchDirectory();
  const path = join(scratch.path, 'pages-1.img');
  writeFileSync(path, Buffer.alloc(4 * MEBIBYTE));
  const { builder, helping } = build(t);
  assert.throws(() => readIn(builder, runsIn(path), helping.threads, () => {}), ImageError);
});
