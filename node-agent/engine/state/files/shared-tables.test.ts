// Who shares a descriptor table with whom, among many that do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../../test/victims/victim.ts';
import type { Finding } from '../../finding.ts';
import { TracedProcess } from '../../tracee/traced-process.ts';
import type { ProcessSubject } from '../state-kind.ts';
import { refuseSharedTables } from './shared-tables.ts';

enterPrivateNamespaces();

const PROCESSES = 24;

test('two of many share a table, whatever the order in which they are asked', async () => {
  using victim = await startVictim(buildVictim('shared-tables'), [String(PROCESSES)], {
    readyLine: /^pids/,
  });
  const line = await victim.waitForLine(/^pids/);
  const pids = line.split(' ').slice(1).map(Number);
  assert.equal(pids.length, PROCESSES);
  const sharers = pids.slice(-2);
  for (const order of [pids, pids.toReversed(), [...sharers, ...pids.slice(0, -2)]]) {
    const found: Finding[] = [];
    const subjects = order.map((pid) => subjectOf(pid, (finding) => void found.push(finding)));
    refuseSharedTables(subjects);
    const [first, second] = order.filter((pid) => sharers.includes(pid));
    assert.deepEqual(
      found.map(({ code, pid, object }) => [code, pid, object]),
      [['SharedDescriptors', second, `descriptor table shared with process ${first}`]],
    );
  }
});

function subjectOf(pid: number, report: (finding: Finding) => void): ProcessSubject {
  const process = new TracedProcess(pid);
  process.addThread(pid);
  return { process, report, statusText: () => '', afterwards: () => {} };
}
