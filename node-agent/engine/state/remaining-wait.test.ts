// How long sleeping threads had slept, on CPUs whose scheduler clocks have drifted apart by seconds (any virtual machine
// after some hours).
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { IMAGES } from '../image/image-files.ts';
import { ImageReader } from '../image/reader.ts';

enterPrivateNamespaces();

const WHOLE_MILLIS = 600_000;
const ASLEEP_MILLIS = 1500;
/** The most by which a wait may be longer than it should: seconds of drift would be seen. */
const COARSE_MILLIS = 1000;
const NANOS_PER_MILLI = 1e6;
const SLEEPER = /^sleeper (\d+) on CPU (\d+) since (\d+) ms$/gm;

const monotonicMillis = (): number => Number(process.hrtime.bigint()) / NANOS_PER_MILLI;

test('a wait that goes on elsewhere is never too short, on whichever CPU it slept', async () => {
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-waits-'));
  try {
    using victim = await startVictim(buildVictim('sleepers'), [String(WHOLE_MILLIS / 1000)]);
    await delay(ASLEEP_MILLIS);
    const sleepers = [...victim.output().matchAll(SLEEPER)];
    assert.ok(sleepers.length >= availableParallelism(), victim.output());
    const before = monotonicMillis();
    const { failure, result } = await startEngine(dumpTask(victim.pid, imagesDir)).ended;
    const after = monotonicMillis();
    assert.equal(failure?.message, undefined);
    assert.ok(result);
    using reader = new ImageReader(imagesDir);
    for (const [, tid, cpu, since] of sleepers) {
      const left = reader.single(IMAGES.core(Number(tid))).threadCore?.waitRemainingNs;
      assert.notEqual(left, undefined, `the wait on CPU ${cpu} was not measured`);
      const sleptMillis = WHOLE_MILLIS - Number(left) / NANOS_PER_MILLI;
      const longest = after - Number(since);
      const shortest = before - Number(since) - COARSE_MILLIS;
      assert.ok(sleptMillis <= longest, `CPU ${cpu}: ${sleptMillis} of at most ${longest} ms`);
      assert.ok(sleptMillis >= shortest, `CPU ${cpu}: ${sleptMillis} of at least ${shortest} ms`);
    }
  } finally {
    rmSync(imagesDir, { recursive: true, force: true });
  }
});
