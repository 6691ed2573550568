import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { type Outcome, WorkQueue, type WorkQueueOptions } from './work-queue.ts';

const DONE: Outcome = { type: 'done' };

interface Bench {
  readonly clock: FakeClock;
  readonly queue: WorkQueue;
  /** keys in the order in which work on them began */
  readonly begun: string[];
  /** ends the work on a key */
  readonly finish: (key: string, outcome?: Outcome) => Promise<void>;
}

/** A queue whose work ends when the test says so. */
function bench(options: Partial<WorkQueueOptions> = {}): Bench {
  const clock = new FakeClock();
  const begun: string[] = [];
  const working = new Map<string, (outcome: Outcome) => void>();
  const queue = new WorkQueue({
    clock,
    random: () => 0.999999,
    backoff: { baseMillis: 100, maxMillis: 1000 },
    process: (key) => {
      assert.ok(!working.has(key), `${key} is worked on twice at a time`);
      begun.push(key);
      return new Promise((resolve) => working.set(key, resolve));
    },
    ...options,
  });
  const finish = async (key: string, outcome: Outcome = DONE): Promise<void> => {
    const resolve = working.get(key);
    assert.ok(resolve, `${key} is not worked on`);
    working.delete(key);
    resolve(outcome);
    await settle();
  };
  return { clock, queue, begun, finish };
}

describe('in line', () => {
  it('takes each key once, in order, as many at a time as allowed', async () => {
    const { queue, begun, finish } = bench({ maxParallel: 2 });
    ['a', 'b', 'a', 'c', 'b', 'd'].forEach((key) => queue.add(key));
    assert.deepEqual([begun.length, queue.depth], [0, 4]);
    queue.start();
    assert.deepEqual(begun, ['a', 'b']);
    assert.deepEqual([queue.active, queue.depth], [2, 2]);
    await finish('b');
    assert.deepEqual(begun, ['a', 'b', 'c']);
    await finish('a');
    await finish('c');
    await finish('d');
    assert.deepEqual([begun, queue.active, queue.depth], [['a', 'b', 'c', 'd'], 0, 0]);
  });

  it('a key added while worked on comes once more, never at the same time', async () => {
    const { queue, begun, finish } = bench({ maxParallel: 3 });
    queue.start();
    queue.add('a');
    queue.add('a');
    queue.add('a');
    assert.deepEqual(begun, ['a']);
    await finish('a');
    assert.deepEqual(begun, ['a', 'a']);
    await finish('a');
    assert.deepEqual([begun.length, queue.depth], [2, 0]);
  });

  it('work that throws counts as a failure', async () => {
    const { queue, clock } = bench({ process: () => Promise.reject(new Error('no')) });
    queue.start();
    queue.add('a');
    await settle();
    assert.deepEqual([queue.failures('a'), queue.delayed], [1, 1]);
    await clock.advance(100);
    assert.equal(queue.failures('a'), 2);
  });
});

describe('later', () => {
  it('backs off longer and longer up to a limit, and forgets', async () => {
    const { queue, clock, begun, finish } = bench();
    queue.start();
    queue.add('a');
    for (const [index, delay] of [100, 200, 400, 800, 1000, 1000].entries()) {
      await finish('a', { type: 'retry' });
      await clock.advance(delay - 1);
      assert.equal(begun.length, index + 1, `too early, failure ${index + 1}`);
      await clock.advance(1);
      assert.equal(begun.length, index + 2, `too late, failure ${index + 1}`);
    }
    await finish('a');
    assert.equal(queue.failures('a'), 0);
    queue.add('a');
    await finish('a', { type: 'retry' });
    await clock.advance(100);
    assert.equal(begun.length, 9);
  });

  it('waits at least as long as the server asked', async () => {
    const { queue, clock, begun, finish } = bench();
    queue.start();
    queue.add('a');
    await finish('a', { type: 'retry', minMillis: 5000 });
    await clock.advance(4999);
    assert.equal(begun.length, 1);
    await clock.advance(1);
    assert.equal(begun.length, 2);
  });

  it('of several times the earliest holds, and now beats later', async () => {
    const { queue, clock, begun, finish } = bench();
    queue.start();
    queue.addAfter('a', 300);
    queue.addAfter('a', 100);
    queue.addAfter('a', 200);
    assert.equal(queue.delayed, 1);
    await clock.advance(100);
    assert.equal(begun.length, 1);
    await finish('a', { type: 'again', afterMillis: 500 });
    queue.add('a');
    assert.deepEqual([begun.length, queue.delayed], [2, 0]);
    await finish('a');
    await clock.advance(10_000);
    assert.equal(begun.length, 2);
  });

  it('a change during work does not wait for the time the work asked for', async () => {
    const { queue, begun, finish } = bench();
    queue.start();
    queue.add('a');
    queue.add('a');
    await finish('a', { type: 'again', afterMillis: 60_000 });
    assert.equal(begun.length, 2);
  });

  it('one that fails does not hold up the others', async () => {
    const { queue, begun, finish } = bench({ maxParallel: 1 });
    queue.start();
    queue.add('a');
    queue.add('b');
    await finish('a', { type: 'retry' });
    assert.deepEqual(begun, ['a', 'b']);
  });
});

describe('the end', () => {
  it('waits for running work and begins no more', async () => {
    const { queue, clock, begun, finish } = bench({ maxParallel: 1 });
    queue.start();
    ['a', 'b'].forEach((key) => queue.add(key));
    queue.addAfter('c', 10);
    const drained = queue.drain(1000);
    queue.add('d');
    await finish('a', { type: 'retry' });
    assert.deepEqual(await drained, []);
    await clock.advance(10_000);
    assert.deepEqual([begun, clock.timers], [['a'], 0]);
  });

  it('aborts work that takes too long, and names what ignores that', async () => {
    const aborted: string[] = [];
    const { queue, clock } = bench({
      process: (key, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.push(key);
            if (key === 'obedient') {
              resolve(DONE);
            }
          });
        }),
    });
    queue.start();
    queue.add('obedient');
    queue.add('deaf');
    const drained = queue.drain(1000);
    await clock.advance(1000);
    assert.deepEqual(aborted, ['obedient', 'deaf']);
    await clock.advance(1000);
    assert.deepEqual(await drained, ['deaf']);
  });
});
