// /proc/PID/limits gives what getrlimit(2) gives.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseLimits } from './resource-limits.ts';

test('sixteen limits in the order of RLIMIT_*, unlimited as all ones', () => {
  const text = [
    'Limit                     Soft Limit           Hard Limit           Units     ',
    'Max cpu time              unlimited            unlimited            seconds   ',
    'Max open files            1024                 4096                 files     ',
  ].join('\n');
  const limits = parseLimits(text);
  assert.equal(limits.length, 16);
  assert.deepEqual(limits[7], { cur: 1024n, max: 4096n });
  assert.deepEqual(limits[0], { cur: 2n ** 64n - 1n, max: 2n ** 64n - 1n });
});

test('every line of this kernel is understood', () => {
  const names = readFileSync('/proc/self/limits', 'utf8').trim().split('\n').length - 1;
  assert.equal(names, parseLimits('').length);
});
