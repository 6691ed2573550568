// Bundles whose vDSO is not the one of this kernel: its functions are led to those here, or the restore is refused.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { throughImages } from '../../../test/victims/cases.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../../test/victims/engine-process.ts';
import { mustBeWell } from '../../../test/victims/health.ts';
import { through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';
import { IMAGES } from '../image/image-files.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import { ImageReader } from '../image/reader.ts';
import { doctor } from '../image/testing/doctor.ts';
import { kindOf, onlyArea } from '../memory/saved-areas.ts';
import { clipRuns, readPagemap } from '../memory/saved-pages.ts';
import { ownVdso } from '../memory/vdso.ts';
import { functionsOf } from './vdso-symbols.ts';

enterPrivateNamespaces();

const PAGE = 4096n;
const INT3 = 0xcc;
const own = ownVdso()!.bytes;

/** Every instruction of every function is one that ends a program. */
function deadly(): Buffer {
  const bytes = Buffer.from(own);
  for (const one of functionsOf(own)!) bytes.fill(INT3, one.offset, one.offset + one.bytes);
  return bytes;
}

/** The pages of the vDSO of every process of a bundle. */
function replaceVdso(directory: string, bytes: Buffer): void {
  using images = new ImageReader(directory);
  for (const { pid } of images.records(IMAGES.pstree)) {
    const code = onlyArea(images.single(IMAGES.mm(pid)), 'vdso')!;
    for (const run of clipRuns(readPagemap(images, IMAGES.pagemap(pid)).runs, [code])) {
      const at = Number(run.start - code.start);
      const file = openSync(join(directory, run.source.file), 'r+');
      writeSync(file, bytes, at, Number(run.end - run.start), run.offset);
      closeSync(file);
    }
  }
}

/** Data of another size, and so at another distance from the code. */
const withLessData = (mm: MmEntry): MmEntry => ({
  ...mm,
  vmas: mm.vmas.map((area) =>
    kindOf(area) === 'vvar' ? { ...area, start: area.start + PAGE } : area,
  ),
});

function doctorMemory(directory: string, change: (mm: MmEntry) => MmEntry): void {
  using images = new ImageReader(directory);
  for (const { pid } of images.records(IMAGES.pstree)) doctor(directory, IMAGES.mm(pid), change);
}

const OTHER_KERNELS: readonly (readonly [string, (directory: string) => void])[] = [
  ['other code', (directory) => replaceVdso(directory, deadly())],
  [
    'other code, other data',
    (directory) => {
      replaceVdso(directory, deadly());
      doctorMemory(directory, withLessData);
    },
  ],
];

describe('a program of another kernel', () => {
  for (const [what, meanwhile] of OTHER_KERNELS) {
    test(`${what}: it finds the time here, also saved and restored again`, async () => {
      using victim = await startVictim(buildVictim('vdso'));
      using bridged = await through(victim, 'dumped and restored', { meanwhile });
      assert.deepEqual(
        bridged.findings.map(({ code, severity }) => `${code} ${severity}`),
        ['VdsoBridged note'],
      );
      await mustBeWell(bridged.victim);
      using again = await through(bridged.victim, 'dumped twice and restored');
      assert.deepEqual(again.findings, []);
      await mustBeWell(again.victim);
      using twice = await through(again.victim, 'dumped and restored', { meanwhile });
      await mustBeWell(twice.victim);
    });
  }
});

async function refused(
  victim: Victim,
  t: TestContext,
  change: (directory: string) => void,
): Promise<string[]> {
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-vdso-'));
  t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
  const trees = [{ name: 'victim', imagesDir }];
  const restore = (): Promise<EngineEnd> =>
    startEngine({ type: 'restore', trees, leaveStopped: false }).ended;
  let end: EngineEnd | undefined;
  const attempt = throughImages(
    victim,
    async () => {
      const task = dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' });
      assert.ok((await startEngine(task).ended).result);
    },
    () => change(imagesDir),
    async () => {
      end = await restore();
    },
  );
  // Nobody was restored.
  await attempt.catch(() => undefined);
  assert.equal(end?.restored, undefined);
  return [...new Set(end?.failure?.findings?.map(({ code, severity }) => `${code} ${severity}`))];
}

describe('refused before anything is changed', () => {
  test('a vDSO that cannot be understood', async (t) => {
    using victim = await startVictim(buildVictim('vdso'));
    const garbage = Buffer.alloc(own.length, 7);
    const told = await refused(victim, t, (directory) => replaceVdso(directory, garbage));
    assert.deepEqual(told, ['VdsoDiffers refusal']);
  });

  test('a thread in the middle of the old code', async (t) => {
    using victim = await startVictim(buildVictim('vdso'));
    const [first] = functionsOf(own)!;
    const told = await refused(victim, t, (directory) => {
      replaceVdso(directory, deadly());
      using images = new ImageReader(directory);
      const { start } = onlyArea(images.single(IMAGES.mm(victim.pid)), 'vdso')!;
      const ip = start + BigInt(first!.offset + 1);
      doctor(directory, IMAGES.core(victim.pid), (core) => ({
        ...core,
        threadInfo: { ...core.threadInfo!, gpregs: { ...core.threadInfo!.gpregs, ip } },
      }));
    });
    assert.deepEqual(told, ['VdsoInUse refusal', 'VdsoBridged note']);
  });
});
