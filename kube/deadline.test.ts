import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pause } from './clock.ts';
import { abortable, Deadline } from './deadline.ts';
import { FakeClock } from './testing/fake-clock.ts';

it('aborts when time is up, not before, and can be given more', async () => {
  const clock = new FakeClock();
  using deadline = new Deadline(100, undefined, clock);
  await clock.advance(99);
  deadline.restart();
  await clock.advance(99);
  assert.ok(!deadline.signal.aborted);
  await clock.advance(1);
  assert.ok(deadline.signal.aborted && deadline.expired);
});

it('aborts with its parent and its reason, and is then not expired', async () => {
  const clock = new FakeClock();
  const parent = new AbortController();
  const reason = new Error('stop');
  using deadline = new Deadline(100, parent.signal, clock);
  parent.abort(reason);
  assert.equal(deadline.signal.reason, reason);
  using late = new Deadline(100, parent.signal, clock);
  assert.equal(late.signal.reason, reason);
  await clock.advance(200);
  assert.ok(!deadline.expired && !late.expired);
});

it('leaves nothing behind', async () => {
  const clock = new FakeClock();
  const parent = new AbortController();
  {
    using _deadline = new Deadline(100, parent.signal, clock);
    assert.deepEqual([clock.timers, getEventListeners(parent.signal, 'abort').length], [1, 1]);
  }
  const pausing = pause(clock, 5, parent.signal);
  await clock.advance(5);
  await pausing;
  await abortable(Promise.resolve(), parent.signal);
  assert.deepEqual([clock.timers, getEventListeners(parent.signal, 'abort').length], [0, 0]);
});

it('an endless or stopped one obeys its parent only', async () => {
  const clock = new FakeClock();
  const parent = new AbortController();
  using endless = new Deadline(Number.POSITIVE_INFINITY, parent.signal, clock);
  using stopped = new Deadline(10, parent.signal, clock);
  stopped.stop();
  await clock.advance(1e9);
  assert.ok(!endless.signal.aborted && !stopped.signal.aborted);
  parent.abort();
  assert.ok(endless.signal.aborted && stopped.signal.aborted);
});

it('a pause ends with its signal', async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const pausing = pause(clock, 1e9, abort.signal);
  abort.abort();
  await pausing;
  await pause(clock, 1e9, abort.signal);
  assert.equal(clock.timers, 0);
});

it('what fails after its signal has aborted ends nobody', async () => {
  const failed = Promise.withResolvers<never>();
  const unheard: unknown[] = [];
  const hear = (reason: unknown): void => void unheard.push(reason);
  process.on('unhandledRejection', hear);
  try {
    const signal = AbortSignal.abort(new Error('too late'));
    await assert.rejects(abortable(failed.promise, signal), { message: 'too late' });
    failed.reject(new Error('and broken'));
    await setImmediate();
    assert.deepEqual(unheard, []);
  } finally {
    process.off('unhandledRejection', hear);
  }
});
