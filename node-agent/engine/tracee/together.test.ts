import assert from 'node:assert/strict';
import { test } from 'node:test';
import { together } from './together.ts';

test('a step is begun in all before the next, and one that fails takes no further step', () => {
  const steps: string[] = [];
  const step =
    (name: string) =>
    (item: number): void => {
      steps.push(`${name} ${item}`);
      if (name === 'second' && item === 2) throw new Error('it has ended');
    };
  const failures = together([1, 2, 3], step('first'), step('second'), step('third'));
  assert.deepEqual(steps, [
    ...['first 1', 'first 2', 'first 3'],
    ...['second 1', 'second 2', 'second 3'],
    ...['third 1', 'third 3'],
  ]);
  assert.deepEqual([...failures.keys()], [2]);
});
