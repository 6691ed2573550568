// Dump, end, restore with the engine alone: every victim verifies itself, and its memory is compared byte by byte.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readlinkSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Case, CASES, FORGIVE_NOTHING, throughImages } from '../../test/victims/cases.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../test/victims/engine-process.ts';
import { mustBeWell } from '../../test/victims/health.ts';
import { compareMemory, readMemoryOf } from '../../test/victims/memory-image.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const CYCLES = 10;
const base = mkdtempSync(join(tmpdir(), 'diapause-round-trip-'));
after(() => rmSync(base, { recursive: true, force: true }));

function mustEndWell({ failure, status, stderr }: EngineEnd): void {
  assert.equal(failure?.message, undefined);
  assert.equal(status, 0, stderr);
}

/** One dump and one restore by the engine. */
async function cycle(
  victim: Victim,
  more: Partial<Case> = {},
  leaveStopped = false,
): Promise<Victim> {
  const imagesDir = mkdtempSync(join(base, 'images-'));
  try {
    return await throughImages(
      victim,
      async () =>
        mustEndWell(
          await startEngine(dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' })).ended,
        ),
      () => more.meanwhile?.(victim),
      async () => {
        const trees = [{ name: 'victim', imagesDir }];
        mustEndWell(await startEngine({ type: 'restore', trees, leaveStopped }).ended);
      },
    );
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
}

describe('saved, ended and restored', () => {
  for (const one of CASES) {
    test(one.name, async () => {
      using victim = await startVictim(buildVictim(one.program), one.args);
      const before = (await one.ask?.(victim)) ?? [];
      using restored = await cycle(victim, one);
      await one.verify(restored, before, FORGIVE_NOTHING);
    });
  }

  test('no byte of memory differs', async () => {
    using victim = await startVictim(buildVictim('areas'), [], { readyLine: /^report 1 / });
    const before = readMemoryOf(victim.pid);
    using restored = await cycle(victim, {}, true);
    const differences = compareMemory(before, readMemoryOf(restored.pid));
    assert.deepEqual(differences, []);
    assert.ok(before.bytes > 16 << 20, `only ${before.bytes} bytes compared`);
    restored.signal('SIGCONT');
    restored.signal('SIGTERM');
    await restored.waitForLine(/^report 2 wall none children none sigchld 0/);
  });
});

/** What must not grow or move from one cycle to the next. */
function shape(pid: number): unknown {
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1')
    .split('\n')
    .map((line) => line.split(/ +/, 2).join(' '));
  const descriptors = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    const link = readlinkSync(`/proc/${pid}/fd/${fd}`);
    // Pipes and sockets are new ones, of the same kind.
    return `${fd} ${link.replace(/\[\d+\]/, '')}`;
  });
  return { maps, descriptors, threads: readdirSync(`/proc/${pid}/task`) };
}

test(`${CYCLES} cycles one after the other`, async () => {
  for (const [program, args] of [
    ['steady', ['plain']],
    ['timers', []],
  ] as const) {
    using started = await startVictim(buildVictim(program), args);
    await mustBeWell(started);
    const first = shape(started.pid);
    let victim: Victim = started;
    for (let i = 1; i <= CYCLES; i++) {
      victim = await cycle(victim);
      await mustBeWell(victim);
      assert.deepEqual(shape(victim.pid), first, `${program}, cycle ${i}`);
    }
    victim.signal('SIGKILL');
  }
});
