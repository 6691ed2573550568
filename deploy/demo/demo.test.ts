// The demo's own judgement: it must see what went wrong, so each of its checks is shown one wrong answer.
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Check, frozenMillis, gapsBetween } from './check.ts';
import { judge } from './follow.ts';
import {
  type FutexFacts,
  judgeMoved as judgeMovedWaits,
  judgeOwnersDead,
  judgeWaiting,
} from './futex.ts';
import { judgeAlike, judgeMoved, type PythonFacts } from './python.ts';
import { judgeRedisSource, judgeRestoredRedis, type RedisFacts } from './redis.ts';
import { renderTable } from './table.ts';
import { imageLoader } from './target.ts';

const report = { nowMillis: 1000, errors: [], gaps: [] };

const wrongOnes = (checks: readonly Check[]) =>
  checks.filter(({ passed }) => !passed).map(({ what }) => what);

test('the freeze is the gap at its time, whatever else made gaps', () => {
  const old = { atMillis: 900, millis: 50 };
  const noise = { atMillis: 1100, millis: 80 };
  const freeze = { atMillis: 1221, millis: 21.5 };
  const gaps = gapsBetween({ ...report, gaps: [old] }, { ...report, gaps: [old, noise, freeze] });
  assert.deepEqual(gaps, [noise, freeze]);
  const at = (millis: number) => new Date(millis).toISOString();
  assert.equal(frozenMillis(gaps, { frozenAt: at(1200), resumedAt: at(1220) }), 21.5);
  assert.equal(frozenMillis(gaps, { frozenAt: at(5000), resumedAt: at(5002) }), 0);
  assert.equal(frozenMillis(gaps, {}), 80);
});

test('redis: lost keys, a broken client and a count from nowhere are seen', () => {
  const facts = (count: number, requests: number): RedisFacts => ({
    rightKeys: 100_000,
    count,
    clientFirst: { ...report, requests },
    client: { ...report, requests },
  });
  const [before, after] = [facts(10, 10), facts(20, 21)];
  assert.deepEqual(wrongOnes(judgeRedisSource(before, after)), []);
  assert.deepEqual(wrongOnes(judgeRestoredRedis(before, after, facts(15, 30))), []);
  const broken = { ...after, client: { ...after.client, requests: 10, errors: ['reset'] } };
  assert.deepEqual(wrongOnes(judgeRedisSource(before, broken)), [
    'client saw no error',
    'client wrote on',
  ]);
  const lost = { ...facts(9, 30), rightKeys: 99_999 };
  assert.deepEqual(wrongOnes(judgeRestoredRedis(before, after, lost)), [
    'all 100000 keys',
    'count of the saved moment',
  ]);
});

test('python: another token, a stalled counter and an early sleep are seen', () => {
  const before: PythonFacts = {
    ...report,
    address: '10.0.0.1',
    tokens: { memory: 'a', greeting: 'before' },
    counters: { belt: 5 },
    rounds: { sleep: { done: 0, moved: 0 } },
  };
  const good = {
    ...before,
    address: '10.0.0.2',
    counters: { belt: 6 },
    rounds: { sleep: { done: 1, moved: 1 } },
  };
  assert.deepEqual(wrongOnes([...judgeAlike(before, good), ...judgeMoved(before, good)]), []);
  const coldStart = {
    ...before,
    tokens: { memory: 'b', greeting: 'after' },
    errors: ['time.sleep ended early'],
  };
  assert.equal(wrongOnes(judgeAlike(before, coldStart)).length, 3);
  assert.equal(wrongOnes(judgeMoved(before, coldStart)).length, 2);
});

test('futex: EINTR, a mark that came too early and a missing one are seen', () => {
  const before: FutexFacts = {
    ...report,
    address: '10.0.0.1',
    token: 't',
    interrupted: 0,
    forever: 'waiting',
    robust: { thread: 'held', process: 'held' },
    rounds: { sleep: { done: 0, moved: 0 } },
  };
  assert.deepEqual(wrongOnes(judgeWaiting(before, before)), []);
  const marked = {
    ...before,
    interrupted: 1,
    errors: ['nanosleep answered EINTR'],
    robust: { thread: 'owner-dead', process: 'held' },
  } as const;
  assert.deepEqual(wrongOnes(judgeWaiting(before, marked)), [
    'no EINTR',
    'no wrong answer',
    'owners live',
  ]);
  assert.deepEqual(wrongOnes(judgeOwnersDead(before)), [
    'EOWNERDEAD for both heirs',
    'woken by hand',
  ]);
  assert.equal(wrongOnes(judgeMovedWaits(before, before)).length, 2);
});

test('conditions become one line', () => {
  const condition = (type: string, status: 'True' | 'False', reason: string) => ({
    type,
    status,
    reason,
    message: 'words',
    lastTransitionTime: '',
  });
  const object = (...conditions: ReturnType<typeof condition>[]) => ({
    metadata: { name: 'x' },
    status: { conditions, progress: { stage: 's', bytesDone: 2 ** 20, bytesTotal: 2 ** 21 } },
  });
  assert.deepEqual(judge({ metadata: { name: 'x' } }), { state: 'going on', line: 'Pending' });
  assert.deepEqual(judge(object(condition('Ready', 'False', 'Storing'))), {
    state: 'going on',
    line: 'Storing, 1.0 MiB of 2.0 MiB',
  });
  assert.deepEqual(judge(object(condition('Ready', 'True', 'Completed'))), { state: 'ready' });
  const failed = object(
    condition('Ready', 'False', 'StoreFull'),
    condition('Failed', 'True', 'StoreFull'),
  );
  assert.deepEqual(judge(failed), { state: 'failed', message: 'StoreFull: words' });
});

test('images go by the tool that made the cluster', () => {
  assert.deepEqual(imageLoader('kind-my-cluster', 'x.tar')?.slice(-2), ['--name', 'my-cluster']);
  assert.deepEqual(imageLoader('k3d-dev', 'x.tar')?.slice(-2), ['--cluster', 'dev']);
  assert.equal(imageLoader('minikube', 'x.tar')?.[0], 'minikube');
  assert.equal(imageLoader('production', 'x.tar'), undefined);
});

test('the table lines up', () => {
  const row = {
    application: 'redis',
    processes: 1,
    threads: 5,
    memoryBytes: 20 * 2 ** 20,
    frozenMillis: 14.25,
    bundleBytes: 2 ** 31,
    restoreMillis: 1500,
    verified: 'all keys',
  };
  assert.equal(
    renderTable([row, { ...row, application: 'x', frozenMillis: 0 }]),
    `application  processes  threads    memory      frozen   bundle  restored in  verified
-----------  ---------  -------  --------  ----------  -------  -----------  --------
redis                1        5  20.0 MiB     14.3 ms  2.0 GiB       1.50 s  all keys
x                    1        5  20.0 MiB  below 3 ms  2.0 GiB       1.50 s  all keys`,
  );
  const verified = 'all 100000 keys, count of the saved moment, client goes on, source undisturbed';
  const [header = '', , ...lines] = renderTable([{ ...row, verified }]).split('\n');
  const column = header.indexOf('verified');
  assert.deepEqual(
    lines.map((line) => line.slice(column)),
    ['all 100000 keys, count of the saved moment,', 'client goes on, source undisturbed'],
  );
});
