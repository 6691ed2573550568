// A program from a machine that has run longer, here made by a time namespace: its clocks do not run backwards.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { throughImages } from '../../../test/victims/cases.ts';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { lateness } from './saved-clocks.ts';

enterPrivateNamespaces();

const AHEAD_SECONDS = 500_000;
const SLEEP_MILLIS = 5000;
const base = mkdtempSync(join(tmpdir(), 'diapause-clocks-'));
after(() => rmSync(base, { recursive: true, force: true }));
const skip = existsSync('/proc/self/ns/time') ? false : 'this kernel has no time namespaces';

test('only clocks that would run backwards are late', () => {
  const clock = (id: number): bigint => (id === 1 ? 100n : 200n);
  assert.equal(lateness({ monotonic: 100n, boottime: 150n }, clock), undefined);
  assert.deepEqual(lateness({ monotonic: 130n, boottime: 150n }, clock), {
    monotonic: 30n,
    boottime: 0n,
  });
  assert.deepEqual(lateness({ monotonic: 1n, boottime: 201n }, clock), {
    monotonic: 0n,
    boottime: 1n,
  });
});

for (const ahead of [0, AHEAD_SECONDS]) {
  test(`a source whose clocks are ${ahead} s ahead`, { skip }, async () => {
    const clocks = buildVictim('clocks');
    const inTimeNamespace = ['--time', '--monotonic', String(ahead), '--boottime', String(ahead)];
    const [program, ...args] = [
      ...(ahead > 0 ? ['/usr/bin/unshare', ...inTimeNamespace] : []),
      clocks,
      String(SLEEP_MILLIS),
    ];
    using victim = await startVictim(program!, args);
    const imagesDir = mkdtempSync(join(base, 'images-'));
    using restored = await throughImages(
      victim,
      async () => {
        const { failure, result } = await startEngine(
          dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' }),
        ).ended;
        assert.equal(failure?.message, undefined);
        const saved = Number(BigInt(result?.requirements.monotonicNanos ?? 0) / 1_000_000_000n);
        const here = Number(process.hrtime.bigint() / 1_000_000_000n);
        assert.ok(Math.abs(saved - here - ahead) < 60, `saved ${saved}, here ${here}`);
      },
      () => {},
      async () => {
        const trees = [{ name: 'victim', imagesDir }];
        const { failure, stderr } = await startEngine({
          type: 'restore',
          trees,
          leaveStopped: false,
        }).ended;
        assert.equal(failure?.message, undefined, stderr);
      },
    );
    const ownTime =
      readlinkSync(`/proc/${restored.pid}/ns/time`) !== readlinkSync('/proc/self/ns/time');
    assert.equal(ownTime, ahead > 0);
    assert.equal(await restored.waitForLine(/^verdict/, 30_000), 'verdict clocks ok');
    const lines = restored
      .output()
      .split('\n')
      .filter((line) => /^(ok|WRONG)/.test(line));
    assert.equal(lines.length, 3, restored.output());
    assert.ok(
      lines.every((line) => line.startsWith('ok')),
      restored.output(),
    );
  });
}
