// schedule, as a user types it: what is created, and what the controller's word becomes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointSchedule } from '../../../crds/checkpoint-schedule.ts';
import { until } from '../../../kube/testing/until.ts';
import { parseCommand } from '../../arguments/parse.ts';
import { SCHEDULE } from '../../kinds.ts';
import { condition } from '../../testing/objects.ts';
import { NAMESPACE, TestCluster } from '../../testing/program.ts';
import { VERBS } from '../verbs.ts';
import { scheduleOf } from './spec.ts';

const REF = { namespace: NAMESPACE, name: 'redis' };
const CREATE = ['schedule', 'create', 'redis', '--cron', '*/15 * * * *', '-l', 'app=redis'];

const args = (words: readonly string[]) => {
  const command = parseCommand(words, VERBS);
  assert.ok(command);
  return command.args;
};

async function setStatus(
  cluster: TestCluster,
  status: CheckpointSchedule['status'],
): Promise<void> {
  const schedules = cluster.server.client().resource<CheckpointSchedule>(SCHEDULE.type);
  await schedules.mergePatchStatus(REF, { status });
}

describe('scheduleOf', () => {
  it('says only what was said', () => {
    assert.deepEqual(scheduleOf(args(CREATE), undefined).spec, {
      schedule: '*/15 * * * *',
      selector: { matchLabels: { app: 'redis' } },
    });
    const more =
      '--keep-last 4 --keep-daily 7 --max-bytes 20Gi --jitter 30s --on-node-drain --store fast';
    assert.deepEqual(scheduleOf(args([...CREATE, ...more.split(' ')]), undefined).spec, {
      schedule: '*/15 * * * *',
      jitterSeconds: 30,
      triggers: { onNodeDrain: true },
      selector: { matchLabels: { app: 'redis' } },
      template: { spec: { storeRef: { name: 'fast' } } },
      retention: { keepLast: 4, keepDaily: 7, maxBytes: '20Gi' },
    });
  });

  it('selects no pod by forgetting to say which', () => {
    assert.throws(() => scheduleOf(args(CREATE.slice(0, 5)), undefined), { exitCode: 2 });
    assert.throws(
      () => args(['schedule', 'start', 'redis']),
      /ACTION: "start" is none of create, run, suspend, resume/,
    );
  });
});

describe('kubectl diapause schedule', () => {
  it('creates and tells the next run', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start(...CREATE);
    await program.says('created');
    const conditions = [condition('Ready', 'True', 'Scheduled')];
    await setStatus(cluster, { conditions, nextScheduleTime: '2026-11-27T12:15:00Z' });
    const { code, stdout } = await program.finished();
    assert.equal(
      stdout,
      'checkpointschedule.diapause.dev/redis created: the next run begins at 2026-11-27T12:15:00Z\n',
    );
    assert.equal(code, 0);
    const listed = await cluster.run('status');
    assert.match(
      listed.stdout,
      /^CHECKPOINTSCHEDULE +SCHEDULE .*\nredis +\*\/15 \* \* \* \* +false .*2026-11-27T12:15:00Z +True +Scheduled/,
    );
  });

  it('says what is wrong with it', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start(...CREATE);
    await program.says('created');
    await setStatus(cluster, {
      conditions: [condition('Ready', 'False', 'InvalidSchedule', 'spec.schedule: no such day')],
    });
    const { code, stderr } = await program.finished();
    assert.match(
      stderr,
      /error: checkpointschedule\/redis cannot run: InvalidSchedule: spec\.schedule: no such day/,
    );
    assert.equal(code, 3);
  });

  it('runs now, suspends and resumes', async () => {
    await using cluster = await TestCluster.start();
    cluster.server.seed(SCHEDULE.type, scheduleOf(args(CREATE), NAMESPACE));
    const stored = (): CheckpointSchedule | undefined => cluster.server.peek(SCHEDULE.type, REF);
    const program = cluster.start('schedule', 'run', 'redis');
    await until('the token', () => stored()?.spec.runNow !== undefined, 30_000);
    const lastRunToken = stored()?.spec.runNow ?? '';
    await setStatus(cluster, {
      lastRunToken,
      lastRun: { time: '2026-11-27T12:00:00Z', trigger: 'RunNow', pods: 3 },
    });
    const { code, stdout } = await program.finished();
    assert.equal(
      stdout,
      'checkpointschedule.diapause.dev/redis runs: 3 pods; kubectl diapause status shows their Checkpoints\n',
    );
    assert.equal(code, 0);
    await cluster.run('schedule', 'suspend', 'redis', '--dry-run');
    assert.equal(stored()?.spec.suspend, undefined);
    await cluster.run('schedule', 'suspend', 'redis');
    assert.equal(stored()?.spec.suspend, true);
    const resumed = await cluster.run('schedule', 'resume', 'redis', '-o', 'name');
    assert.equal(resumed.stdout, 'checkpointschedule.diapause.dev/redis\n');
    assert.equal(stored()?.spec.suspend, false);
  });
});
