// The progress bar: as a string, and on a real pseudo terminal.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { CHECKPOINT } from '../kinds.ts';
import { checkpoint, STORED, storing } from '../testing/objects.ts';
import { BINARY, NAMESPACE, Running, TestCluster } from '../testing/program.ts';
import { barLine, progressOf } from './progress.ts';
import { RateMeter } from './rate-meter.ts';

const MIB = 2 ** 20;

describe('barLine', () => {
  const rate = new RateMeter();
  rate.add(0, 0);
  rate.add(48 * MIB, 2_000);
  const progress = progressOf(checkpoint('redis-1', storing(48 * MIB)));
  const draw = (columns: number): string =>
    barLine(progress, rate, { elapsedMillis: 2_000, columns });

  it('shows stage, share, bytes, rate and time left', () => {
    assert.equal(
      draw(120),
      'checkpoint/redis-1  Storing saving-pages  [===================>                    ]   48%  48Mi/100Mi  24Mi/s  3s left',
    );
  });

  it('never reaches the last column, and gives up the bar first', () => {
    for (const columns of [120, 100, 80, 60, 20]) {
      assert.ok(draw(columns).length < columns, String(columns));
    }
    assert.ok(!draw(80).includes('['));
  });

  it('shows the time as long as nobody knows how much it is', () => {
    const pending = progressOf(checkpoint('redis-1'));
    const line = barLine(pending, new RateMeter(), { elapsedMillis: 7_000, columns: 80 });
    assert.equal(line, 'checkpoint/redis-1  Pending  7s');
  });
});

describe('RateMeter', () => {
  it('looks at the last seconds only, and begins anew with a new attempt', () => {
    const rate = new RateMeter();
    assert.equal(rate.bytesPerSecond, undefined);
    rate.add(0, 0);
    rate.add(10_000, 1_000);
    rate.add(11_000, 7_000);
    rate.add(13_000, 9_000);
    assert.equal(rate.bytesPerSecond, 1_000);
    assert.equal(rate.secondsLeft(14_000), 1);
    rate.add(13_000, 30_000);
    assert.equal(rate.secondsLeft(14_000), undefined, 'nothing moves');
    rate.add(500, 31_000);
    assert.equal(rate.bytesPerSecond, undefined);
  });
});

describe('on a terminal', () => {
  it('a live bar is drawn over itself and wiped away at the end', async () => {
    await using cluster = await TestCluster.start();
    const { server, environment } = cluster;
    const ref = { namespace: NAMESPACE, name: 'redis-1' };
    // script(1) gives the program a pseudo terminal.
    const command = `stty cols 120; exec ${BINARY} checkpoint redis --name redis-1`;
    const child = spawn('script', ['-qefc', command, '/dev/null'], { env: environment });
    const terminal = new Running(child);
    await terminal.says('checkpoint/redis-1  Pending');
    const checkpoints = server.client().resource<Checkpoint>(CHECKPOINT.type);
    await checkpoints.mergePatchStatus(ref, { status: storing(10 * MIB) });
    await terminal.says('10%  10Mi/100Mi');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await checkpoints.mergePatchStatus(ref, { status: storing(50 * MIB) });
    await terminal.says('50%  50Mi/100Mi');
    await checkpoints.mergePatchStatus(ref, { status: { progress: null, ...STORED } });
    const { code, stdout } = await terminal.finished();
    assert.equal(code, 0);
    const drawn = stdout.replaceAll('\x1b[K', '<wiped>');
    assert.match(
      drawn,
      /\rcheckpoint\/redis-1 {2}Storing saving-pages {2}\[=+> +\] +50% {2}50Mi\/100Mi {2}\S+\/s {2}\d+s left<wiped>/,
    );
    const [, ending = ''] = /\r<wiped>([^\r]*)\r?\n$/.exec(drawn) ?? [];
    assert.match(ending, /^checkpoint\.diapause\.dev\/redis-1 ready: 105Mi saved/);
  });
});
