// Who is forked when: sessions force an order, and whoever shares memory with its parent waits for it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memory, savedProcess } from '../memory/testing/saved-process.ts';
import { type BirthStep, birthOrder, lostSessions } from './birth-order.ts';

const process = (pid: number, ppid: number, sid: number) =>
  savedProcess(pid, ppid, sid, memory([]));

/** The order as text: `fork 5`, `setsid`, `dead 7: 8 9`. */
function order(
  parentSession: number,
  children: readonly (readonly [pid: number, sid: number])[],
  heirs: readonly number[],
): { before: string; after: string } {
  const parent = process(10, 1, parentSession);
  const processes = [parent, ...children.map(([pid, sid]) => process(pid, 10, sid))];
  const tree = { inventory: { imgVersion: 2 }, processes };
  const { before, after } = birthOrder({ tree, heirs: new Set(heirs) }, parent, 1);
  return { before: text(before), after: text(after) };
}

const text = (steps: readonly BirthStep[]): string =>
  steps
    .map((step) => {
      if (step.kind === 'start-session') return 'setsid';
      if (step.kind === 'fork') return `fork ${step.child.pid} in ${step.session}`;
      return `dead ${step.session}: ${step.children.map(({ pid }) => pid).join(' ')}`;
    })
    .join(', ');

describe('children are born', () => {
  const cases: readonly [string, ReturnType<typeof order>, string, string][] = [
    ['at once', order(1, [[11, 1]], []), 'fork 11 in 1', ''],
    [
      'before and after their parent starts a session',
      order(
        10,
        [
          [11, 10],
          [12, 1],
        ],
        [],
      ),
      'fork 12 in 1, setsid, fork 11 in 10',
      '',
    ],
    ['with a session to start', order(1, [[11, 11]], []), 'fork 11 in 1', ''],
    [
      'late when they are heirs',
      order(
        10,
        [
          [11, 10],
          [12, 10],
        ],
        [12],
      ),
      'setsid, fork 11 in 10',
      'fork 12 in 10',
    ],
    [
      'late when an heir must come before the session',
      order(
        10,
        [
          [11, 10],
          [12, 1],
          [13, 1],
        ],
        [12],
      ),
      'fork 13 in 1',
      'fork 12 in 1, setsid, fork 11 in 10',
    ],
    [
      'into sessions whose leaders had ended',
      order(
        10,
        [
          [11, 7],
          [12, 8],
          [13, 7],
        ],
        [12],
      ),
      'setsid, dead 7: 11 13',
      'dead 8: 12',
    ],
  ];
  for (const [name, got, before, after] of cases) {
    test(name, () => assert.deepEqual(got, { before, after }));
  }
});

test('sessions that are lost', () => {
  const tree = {
    inventory: { imgVersion: 2 },
    processes: [process(1, 0, 1), process(2, 1, 2), process(3, 1, 7), process(4, 2, 7)],
  };
  assert.deepEqual(lostSessions(tree), [{ pid: 4, sid: 7 }]);
});
