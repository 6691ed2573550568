// What /proc/PID/timers says, proc_pid_timers(5).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTimers } from './posix-timers.ts';

test('signals, threads and silent timers', () => {
  const text = [
    'ID: 0',
    'signal: 60/00007fff86e452a8',
    'notify: signal/pid.2634',
    'ClockID: 0',
    'ID: 7',
    'signal: 14/0000000000000001',
    'notify: signal/tid.2640',
    'ClockID: 1',
    'ID: 9',
    'signal: 0/0000000000000000',
    'notify: none/pid.2634',
    'ClockID: -6',
    '',
  ].join('\n');
  assert.deepEqual(parseTimers(text), [
    { id: 0, signal: 60, value: 0x7fff86e452a8n, notify: 0, target: 2634, clock: 0 },
    { id: 7, signal: 14, value: 1n, notify: 4, target: 2640, clock: 1 },
    { id: 9, signal: 0, value: 0n, notify: 1, target: 2634, clock: -6 },
  ]);
  assert.deepEqual(parseTimers(''), []);
});
