// /proc/PID/status of this very process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innermost, parseStatus, readStat, readStatus, STAT } from './status.ts';

test('this process as the kernel tells it', () => {
  const status = readStatus('self');
  assert.equal(innermost(status.nsPids), process.pid);
  assert.equal(status.uids[0], process.getuid?.());
  assert.ok(status.groups.every((group) => process.getgroups?.().includes(group)));
  assert.equal(status.umask, process.umask());
  assert.equal(status.tracerPid, 0);
  assert.equal(Number(readStat(process.pid)(STAT.ppid)), process.ppid);
});

test('absent lines have defaults, the first and the last line count', () => {
  const status = parseStatus(
    'Name:\tx\nState:\tS (sleeping)\nSigCgt:\t00000000000000ff\nThreads:\t3\n',
  );
  assert.equal(status.state, 'S');
  assert.equal(status.caughtSignals, 0xffn);
  assert.equal(status.threads, 3);
  assert.deepEqual(status.nsPids, []);
  assert.equal(parseStatus('Umask:\t0027\n').umask, 0o27);
});
