// Everything that is set for memory beside content and protection, through dumps and restores: areas, threads, process.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startContained } from '../../../test/victims/confined.ts';
import { complaints, nextLine, nextReport } from '../../../test/victims/health.ts';
import { ORDEALS, through, throughPod } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';
import { IMAGES } from '../image/image-files.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { doctor } from '../image/testing/doctor.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import { MAP } from '../memory/area.ts';
import { kindOf } from '../memory/saved-areas.ts';

enterPrivateNamespaces();

// On a machine with one memory node the engine does not look for policies of areas: it is told that there are two.
const nodes = join(mkdtempSync(join(tmpdir(), 'diapause-nodes-')), 'has_memory');
after(() => rmSync(join(nodes, '..'), { recursive: true, force: true }));
writeFileSync(nodes, '0-1\n');
execFileSync('mount', ['--bind', nodes, '/sys/devices/system/node/has_memory']);

const sortedReport = async (victim: Victim): Promise<string[]> =>
  (await nextReport(victim)).toSorted();

for (const [what, args] of [
  ['marked memory', []],
  ['the same, and new mappings are locked', ['future']],
  ['the same, new mappings are locked when they are touched', ['fault']],
] as const) {
  describe(what, () => {
    for (const ordeal of ORDEALS) {
      test(ordeal, async () => {
        using victim = await startVictim(buildVictim('marks'), args);
        const before = await sortedReport(victim);
        using survivor = await through(victim, ordeal);
        const { victim: now } = survivor;
        assert.deepEqual(await sortedReport(now), before);
        assert.deepEqual(survivor.findings, []);
        await nextLine(now, /^verdict/, () => now.signal('SIGTERM'));
        assert.deepEqual(complaints(now), [], now.output());
      });
    }
  });
}

test('marked memory, restored into a pod without any rights', async () => {
  const contained = await startContained(buildVictim('marks'), ['future', 'confined']);
  using victim = contained.victim;
  const before = await sortedReport(victim);
  using survivor = await throughPod(contained);
  // Its bounding set is empty.
  assert.deepEqual(
    survivor.findings.map(({ code }) => code),
    ['BoundingSet'],
  );
  assert.deepEqual(await sortedReport(survivor.victim), before);
});

test('a name of memory is there after a restore, or told', async () => {
  using victim = await startVictim(buildVictim('marks'));
  const name = (area: VmaEntry): VmaEntry =>
    area.flags & MAP.ANONYMOUS && area.flags & MAP.PRIVATE && kindOf(area) === 'anonymous'
      ? { ...area, name: 'a name' }
      : area;
  const meanwhile = (directory: string): void =>
    doctor(directory, IMAGES.mm(victim.pid), (mm) => ({ ...mm, vmas: mm.vmas.map(name) }));
  using survivor = await through(victim, 'dumped and restored', { meanwhile });
  const named = readMaps(victim.pid).filter((m) => m.name === '[anon:a name]');
  // Some kernels lack CONFIG_ANON_VMA_NAME.
  const told = survivor.findings.map(({ code, severity }) => `${code} ${severity}`);
  assert.deepEqual(told, named.length > 0 ? [] : ['MemoryName note']);
});

test('nodes that are not there are told', async () => {
  using victim = await startVictim(buildVictim('marks'));
  const nodes = Buffer.from([0, 0x80]);
  const meanwhile = (directory: string): void => {
    doctor(directory, IMAGES.core(victim.pid), ({ threadCore, ...core }) => ({
      ...core,
      ...(threadCore && { threadCore: { ...threadCore, memoryPolicy: { mode: 2, nodes } } }),
    }));
    doctor(directory, IMAGES.mm(victim.pid), (mm) => ({
      ...mm,
      vmas: mm.vmas.map((area) =>
        area.policy ? { ...area, policy: { ...area.policy, nodes } } : area,
      ),
    }));
  };
  using survivor = await through(victim, 'dumped and restored', { meanwhile });
  const told = survivor.findings.map(({ code, severity, object }) => [code, severity, object]);
  assert.deepEqual(told, [
    ['MemoryPolicy', 'loss', 'mbind: EINVAL, 3 areas'],
    ['MemoryPolicy', 'loss', 'set_mempolicy: EINVAL'],
  ]);
});
