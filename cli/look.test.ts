// status, wait and report, as a user types them; their tables word for word.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../crds/checkpoint.ts';
import { CHECKPOINT, namedObjects } from './kinds.ts';
import {
  checkpoint,
  condition,
  CREATED,
  LOSS,
  REFUSAL,
  restore,
  STORED,
  storing,
} from './testing/objects.ts';
import { TestCluster } from './testing/program.ts';
import { reportText } from './verbs/report.ts';
import { describeObject } from './verbs/status/describe.ts';
import { listing } from './verbs/status/listing.ts';

const NOW = Date.parse(CREATED) + 305_000;
const FAILED = [
  condition('Ready', 'False', 'StoreFull'),
  condition('Failed', 'True', 'StoreFull', 'the volume has no room left: enlarge the claim'),
];

const at = <T extends { metadata: object }>(object: T, creationTimestamp = CREATED): T => ({
  ...object,
  metadata: { ...object.metadata, creationTimestamp },
});

describe('kubectl diapause status', () => {
  const objects = [
    at(checkpoint('redis-2', storing(48 * 2 ** 20)), '2026-11-27T12:04:00Z'),
    at(checkpoint('redis-1', STORED)),
    at(restore('redis-back', { pod: { name: 'redis-b', node: 'node-b' } })),
  ];

  it('lists each kind, newest last', () => {
    assert.equal(
      listing(objects, { everywhere: false, nowMillis: NOW }),
      [
        'CHECKPOINT   POD     NODE     SIZE    FREEZE   READY   REASON      PROGRESS                      AGE',
        'redis-1      redis   node-a   105Mi   12.5ms   True    Completed                                 5m5s',
        'redis-2      redis   node-a                    False   Storing     saving-pages, 48Mi of 100Mi   65s',
        '',
        'RESTORE      CHECKPOINT   POD       NODE     READY     REASON    PROGRESS   AGE',
        'redis-back   redis-1      redis-b   node-b   Unknown   Pending              5m5s',
        '',
      ].join('\n'),
    );
  });

  it('tells everything about one object', () => {
    const object = at(checkpoint('redis-1', { ...STORED, report: [REFUSAL, LOSS] }));
    assert.equal(
      describeObject(object, NOW),
      [
        'Checkpoint:   redis-1',
        'Namespace:    shop',
        'Age:          5m5s',
        'Pod:          redis',
        'Node:         node-a',
        'Size:         105Mi',
        'Freeze:       12.5ms',
        'Findings:     1 refusal, 1 loss',
        '',
        'CONDITION   STATUS   SINCE   REASON      MESSAGE',
        'Ready       True     5m5s    Completed   done',
        '',
      ].join('\n'),
    );
  });

  it('reads what there is, and says when there is nothing', async () => {
    await using cluster = await TestCluster.start();
    const nothing = await cluster.run('status');
    assert.match(
      nothing.stderr,
      /nothing here in namespace shop; kubectl diapause checkpoint POD saves a pod/,
    );
    // The older comes first, and of one second the first name.
    cluster.server.seed(CHECKPOINT.type, {
      ...checkpoint('other'),
      metadata: { name: 'far', namespace: 'far' },
    });
    cluster.server.seed(CHECKPOINT.type, checkpoint('redis-1', STORED));
    const here = await cluster.run('status');
    assert.match(here.stdout, /^CHECKPOINT .*\nredis-1 +redis .*\n$/);
    const everywhere = await cluster.run('status', '-A');
    assert.match(everywhere.stdout, /^NAMESPACE .*\nfar .*\nshop .*\n$/);
    const json = await cluster.run('status', 'chk/redis-1', '-o', 'json');
    assert.equal((JSON.parse(json.stdout) as Checkpoint).status?.bundle?.size, '105Mi');
    const missing = await cluster.run('status', 'checkpoint/typo');
    assert.match(
      missing.stderr,
      /404 NotFound.*\n {2}see what there is with kubectl diapause status/,
    );
    assert.equal(missing.code, 1);
  });
});

describe('kubectl diapause wait', () => {
  it('ends well for what is ready, with 3 for what failed, with 1 for what is not there', async () => {
    await using cluster = await TestCluster.start();
    cluster.server.seed(CHECKPOINT.type, checkpoint('good', STORED));
    cluster.server.seed(CHECKPOINT.type, checkpoint('bad', { conditions: FAILED }));
    const [good, bad, missing, gone] = await Promise.all([
      cluster.run('wait', 'chk/good', '--for', 'condition=Ready'),
      cluster.run('wait', 'chk', 'good', 'bad'),
      cluster.run('wait', 'rst/none'),
      cluster.run('wait', 'rst/none', '--for', 'deleted'),
    ]);
    assert.deepEqual(
      [good.code, good.stdout],
      [0, 'checkpoint.diapause.dev/good has the condition Ready\n'],
    );
    assert.equal(bad.code, 3);
    assert.match(
      bad.stderr,
      /checkpoint\/bad failed: StoreFull: the volume has no room left: enlarge the claim\n {2}what happened on the way: kubectl diapause logs checkpoint\/bad/,
    );
    assert.equal(missing.code, 1);
    assert.deepEqual([gone.code, gone.stdout], [0, 'restore.diapause.dev/none deleted\n']);
  });

  it('knows every way to name an object', () => {
    const names = (...words: string[]): string[] =>
      namedObjects(words, 'wait').map(({ kind, name }) => `${kind.singular} ${name}`);
    assert.deepEqual(names('chk/a', 'restores/b', 'Checkpoint.diapause.dev/c'), [
      'checkpoint a',
      'restore b',
      'checkpoint c',
    ]);
    assert.deepEqual(names('rst', 'a', 'b'), ['restore a', 'restore b']);
    for (const wrong of ['redis', 'pod/redis', 'chk/', 'chk']) {
      assert.throws(() => names(wrong), { exitCode: 2 });
    }
  });
});

describe('kubectl diapause report', () => {
  it('is a table', () => {
    assert.equal(
      reportText([REFUSAL, LOSS]),
      [
        'SEVERITY   CODE             CONTAINER   PID   MESSAGE',
        'refusal    Terminal         redis       7     /dev/pts/0: terminals are not saved; start the program without tty',
        'loss       EstablishedTcp   redis       all   3 established connections will be reset',
        '',
      ].join('\n'),
    );
    assert.equal(reportText([]), 'nothing to report: everything is saved exactly\n');
  });

  it('of a pod comes from a Checkpoint that saves nothing and goes away', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start('report', 'pod/redis');
    await program.says('Pending');
    const [rehearsal] = cluster.server.all<Checkpoint>(CHECKPOINT.type);
    assert.equal(rehearsal?.spec.mode, 'DryRun');
    assert.ok(rehearsal);
    await cluster.server
      .client()
      .resource<Checkpoint>(CHECKPOINT.type)
      .mergePatchStatus(rehearsal.metadata, { status: { conditions: FAILED, report: [REFUSAL] } });
    const { code, stdout } = await program.finished();
    assert.match(stdout, /^SEVERITY .*\nrefusal +Terminal /);
    assert.equal(code, 5);
    assert.equal(cluster.server.all(CHECKPOINT.type).length, 0);
  });
});
