// Few kernels have core scheduling: the answers are given here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../finding.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import { TracedProcess } from '../tracee/traced-process.ts';
import { coreSchedulingOf } from './core-scheduling.ts';
import type { ProcessKind } from './state-kind.ts';

function findingsOf({ collect }: Pick<ProcessKind, 'collect'>): Finding[] {
  const process = new TracedProcess(70);
  process.nsPid = 7;
  for (const tid of [70, 71, 72]) process.addThread(tid);
  const findings: Finding[] = [];
  const subject = {
    process,
    report: (one: Finding) => findings.push(one),
    statusText: () => '',
    afterwards: () => {},
  };
  // It asks nothing through the process.
  collect(subject, undefined as unknown as RemoteBatch);
  return findings;
}

test('a cookie is told once a process, with the number of its threads', () => {
  const cookies = new Map([
    [0, 0n],
    [70, 0n],
    [71, 5n],
    [72, 5n],
  ]);
  const [finding, ...more] = findingsOf(coreSchedulingOf((tid) => cookies.get(tid)));
  assert.deepEqual([finding?.code, finding?.severity, finding?.pid], ['CoreScheduling', 'loss', 7]);
  assert.match(finding!.object, /of 2 threads/);
  assert.deepEqual(more, []);
});

test('nothing is told without cookies, and nobody asked where there are none', () => {
  assert.deepEqual(findingsOf(coreSchedulingOf(() => 0n)), []);
  const asked: number[] = [];
  const ask = (tid: number): undefined => void asked.push(tid);
  assert.deepEqual(findingsOf(coreSchedulingOf(ask)), []);
  assert.deepEqual(asked, [0]);
});
