// checkpoint and restore, as a user types them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../crds/checkpoint.ts';
import type { Migration } from '../crds/migration.ts';
import type { Restore } from '../crds/restore.ts';
import { nameWithTime, withoutUndefined } from './create.ts';
import { parseCommand } from './arguments/parse.ts';
import { CHECKPOINT, MIGRATION, RESTORE } from './kinds.ts';
import { checkpoint, condition, REFUSAL, STORED, storing } from './testing/objects.ts';
import { KINDS, NAMESPACE, TestCluster } from './testing/program.ts';
import { migrationOf } from './verbs/migrate.ts';
import { VERBS } from './verbs/verbs.ts';

const REF = { namespace: NAMESPACE, name: 'redis-1' };

/** What the controller would write. */
async function setStatus(cluster: TestCluster, status: unknown, ref = REF): Promise<void> {
  const checkpoints = cluster.server.client().resource<Checkpoint>(CHECKPOINT.type);
  await checkpoints.mergePatchStatus(ref, { status: { progress: null, ...(status as object) } });
}

describe('kubectl diapause checkpoint', () => {
  it('creates, follows with plain lines and tells what was saved', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start(
      'checkpoint',
      'redis',
      '--name',
      'redis-1',
      '--max-freeze',
      '1.5s',
    );
    await program.says('created');
    const created = cluster.server.peek<Checkpoint>(CHECKPOINT.type, REF);
    assert.deepEqual(created?.spec, {
      source: { pod: { name: 'redis' } },
      limits: { maxFreezeSeconds: 2 },
    });
    await program.says('checkpoint/redis-1: Pending');
    await setStatus(cluster, storing(12 * 2 ** 20));
    await program.says('Storing saving-pages, 12Mi of 100Mi');
    await setStatus(cluster, STORED);
    const { code, stdout, stderr } = await program.finished();
    assert.equal(
      stdout,
      'checkpoint.diapause.dev/redis-1 ready: 105Mi saved, took 2s, the pod stood still for 12.5ms\n',
    );
    assert.ok(!stderr.includes('\r') && !stderr.includes('\x1b'), 'no bar without a terminal');
    assert.equal(code, 0);
  });

  it('tells the reason of a failure, what to do next, and exits with 3', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start('checkpoint', 'redis', '--name', 'redis-1');
    await program.says('created');
    const conditions = [
      condition('Ready', 'False', 'Unsupported'),
      condition('Failed', 'True', 'Unsupported', 'the pod uses something that cannot be saved'),
    ];
    await setStatus(cluster, { conditions, report: [REFUSAL] });
    const { code, stdout, stderr } = await program.finished();
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /error: checkpoint\/redis-1 failed: Unsupported: the pod uses something that cannot be saved\n {2}what stands in the way: kubectl diapause report checkpoint\/redis-1\n$/,
    );
    assert.equal(code, 3);
  });

  it('leaves the work alone after Ctrl-C, and after its own time', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start('checkpoint', 'redis', '--name', 'redis-1');
    await program.says('Pending');
    program.child.kill('SIGINT');
    const { code, stderr } = await program.finished();
    assert.equal(code, 130);
    assert.match(
      stderr,
      /the work goes on\n {2}kubectl diapause wait checkpoint\/redis-1 waits again\n {2}kubectl patch checkpoint\.diapause\.dev\/redis-1 /,
    );
    const late = await cluster.run('wait', 'chk/redis-1', '--timeout', '300ms');
    assert.equal(late.code, 4);
    assert.ok(cluster.server.peek(CHECKPOINT.type, REF) !== undefined);
  });

  it('outlives an API server that is away, and says so; who may not watch is told', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start('checkpoint', 'redis', '--name', 'redis-1');
    await program.says('Pending');
    await cluster.server.close();
    await program.says('still waiting: ');
    await cluster.server.open();
    await setStatus(cluster, STORED);
    assert.equal((await program.finished()).code, 0);
    const watch = { verb: 'watch', plural: 'checkpoints', times: 9 } as const;
    cluster.server.faults.add({ ...watch, action: { type: 'status', code: 403 } });
    const refused = await cluster.run('checkpoint', 'redis', '--name', 'redis-2');
    assert.match(
      refused.stderr,
      /watch checkpoints\.diapause\.dev.*403 .*\n {2}ask for the right to watch/,
    );
    assert.equal(refused.code, 1);
  });

  it('is told when somebody deletes it meanwhile', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start('checkpoint', 'redis', '--name', 'redis-1');
    await program.says('Pending');
    await cluster.server.client().resource(CHECKPOINT.type).delete(REF);
    const { code, stderr } = await program.finished();
    assert.match(stderr, /error: checkpoint\/redis-1 was deleted/);
    assert.equal(code, 3);
  });

  it('prints the object with -o, and stores nothing in a dry run', async () => {
    await using cluster = await TestCluster.start();
    const named = await cluster.run(
      'checkpoint',
      'redis',
      '--name',
      'a',
      '--no-wait',
      '-o',
      'name',
    );
    assert.deepEqual(
      [named.code, named.stdout, named.stderr],
      [0, 'checkpoint.diapause.dev/a\n', ''],
    );
    const json = await cluster.run(
      'checkpoint',
      'redis',
      '--name',
      'b',
      '--dry-run=server',
      '-o',
      'json',
    );
    assert.equal((JSON.parse(json.stdout) as Checkpoint).metadata.namespace, NAMESPACE);
    const yaml = await cluster.run('checkpoint', 'redis', '--name', 'c', '--dry-run', '-o', 'yaml');
    assert.equal(
      yaml.stdout,
      'apiVersion: diapause.dev/v1alpha1\nkind: Checkpoint\nmetadata:\n  name: c\nspec:\n  source:\n    pod:\n      name: redis\n',
    );
    const plain = await cluster.run('checkpoint', 'redis', '--name', 'd', '--dry-run');
    assert.equal(plain.stdout, 'checkpoint.diapause.dev/d created (dry run)\n');
    const stored = cluster.server.all(CHECKPOINT.type).map(({ metadata }) => metadata.name);
    assert.deepEqual(stored, ['a']);
    const again = await cluster.run('checkpoint', 'redis', '--name', 'a', '--no-wait');
    assert.match(again.stderr, /AlreadyExists.*\n {2}choose another name with --name\n$/);
  });

  it('goes where -n and --context say', async () => {
    await using cluster = await TestCluster.start();
    await cluster.run('-n', 'third', 'checkpoint', 'redis', '--name', 'a', '--no-wait');
    await cluster.run('checkpoint', 'redis', '--name', 'b', '--no-wait', '--context', 'elsewhere');
    const places = cluster.server.all(CHECKPOINT.type).map(({ metadata }) => metadata.namespace);
    assert.deepEqual(new Set(places), new Set(['other', 'third']));
  });
});

describe('kubectl diapause restore', () => {
  it('writes only what was said', async () => {
    await using cluster = await TestCluster.start();
    const words = '--pod redis-b --node node-b --label app=copy --env redis:LEVEL=a=b --env X=1';
    const { code, stderr } = await cluster.run(
      'restore',
      'chk/redis-1',
      ...words.split(' '),
      '--no-wait',
    );
    assert.equal(code, 0, stderr);
    const stored = cluster.server.peek<Restore>(RESTORE.type, { ...REF, name: 'redis-b' });
    assert.deepEqual(stored?.spec, {
      checkpointRef: { name: 'redis-1' },
      target: {
        newPod: {
          name: 'redis-b',
          nodeName: 'node-b',
          overrides: {
            labels: { app: 'copy' },
            env: [
              { container: 'redis', name: 'LEVEL', value: 'a=b' },
              { name: 'X', value: '1' },
            ],
          },
        },
      },
    });
  });

  it('waits for the next replica of a controller with --adopt', async () => {
    await using cluster = await TestCluster.start();
    const words = ['restore', 'redis-1', '--adopt', '--node', 'node-b', '--name', 'back'];
    assert.equal((await cluster.run(...words, '--no-wait')).code, 0);
    const stored = cluster.server.peek<Restore>(RESTORE.type, { ...REF, name: 'back' });
    assert.deepEqual(stored?.spec.target, { type: 'Adopt', adopt: { nodeName: 'node-b' } });
    const { stderr: says } = await cluster.run(...words, '--label', 'app=copy');
    assert.match(says, /--label: what a replica has is for its controller to say/);
  });
});

describe('kubectl diapause migrate', () => {
  it('moves to exactly one target, follows, and tells the downtime', async () => {
    await using cluster = await TestCluster.start();
    const program = cluster.start(
      'migrate',
      'redis',
      '--any',
      '--name',
      'redis-1',
      '--max-downtime',
      '5s',
    );
    await program.says('migration/redis-1: Pending');
    const migrations = cluster.server.client().resource<Migration>(MIGRATION.type);
    assert.deepEqual((await migrations.get(REF)).spec, {
      podRef: { name: 'redis' },
      target: { any: {} },
      limits: { maxDowntimeSeconds: 5 },
    });
    // The bytes are those of the Checkpoint that is made on the way.
    cluster.server.seed(CHECKPOINT.type, checkpoint('on-the-way', storing(12 * 2 ** 20)));
    await migrations.mergePatchStatus(REF, { status: { checkpointName: 'on-the-way' } });
    await program.says('migration/redis-1: Storing saving-pages, 12Mi of 100Mi');
    const conditions = [condition('Ready', 'True', 'Completed')];
    const target = { podName: 'redis-x', node: 'node-b' };
    await migrations.mergePatchStatus(REF, { status: { conditions, target, downtime: '412ms' } });
    const { code, stdout } = await program.finished();
    assert.equal(
      stdout,
      'migration.diapause.dev/redis-1 ready: pod redis-x on node-b, stood still for 412ms\n',
    );
    assert.equal(code, 0);
  });

  it('wants to know where to', () => {
    for (const words of [
      [],
      ['--any', '--to', 'node-b'],
      ['--to', 'a', '--node-selector', 'b=c'],
    ]) {
      const command = parseCommand(['migrate', 'redis', ...words], VERBS);
      assert.ok(command);
      assert.throws(() => migrationOf(command.args, undefined, 0), {
        exitCode: 2,
        message: /^where to\?/,
      });
    }
  });
});

describe('errors', () => {
  const REFUSED = [
    [403, /403 .*\n {2}ask for the right to create checkpoints\.diapause\.dev: /],
    [401, /401 .*\n {2}the credentials are not accepted/],
    [422, /422 .*\n {2}correct the field that the message names/],
  ] as const;
  for (const [status, expected] of REFUSED) {
    it(`a ${status} says what to do next`, async () => {
      await using cluster = await TestCluster.start();
      cluster.server.faults.add({ verb: 'create', action: { type: 'status', code: status } });
      const { code, stdout, stderr } = await cluster.run('checkpoint', 'redis');
      assert.match(stderr, expected);
      assert.deepEqual([code, stdout], [1, '']);
    });
  }

  it('a cluster without Diapause, no answer, no kubeconfig', async () => {
    await using bare = await TestCluster.start(KINDS.filter(({ group }) => group === ''));
    const missing = await bare.run('checkpoint', 'redis');
    assert.match(
      missing.stderr,
      /not installed in this cluster: kubectl apply --server-side -k deploy\/base/,
    );
    await bare.server.close();
    const away = await bare.run('status');
    assert.match(away.stderr, /the API server does not answer/);
    const nowhere = await bare.run('status', '--kubeconfig', '/nonexistent');
    assert.match(nowhere.stderr, /no way to the cluster: .*\/nonexistent.*\n {2}name a kubeconfig/);
    const context = await bare.run('status', '--context', 'typo');
    assert.match(context.stderr, /context "typo" .*known contexts: test, elsewhere/);
    assert.deepEqual([missing.code, away.code, nowhere.code, context.code], [1, 1, 1, 1]);
  });
});

describe('names and fields', () => {
  it('carry the time, and stay within a label', () => {
    const now = Date.parse('2026-11-27T17:16:22Z');
    assert.equal(nameWithTime('redis', now), 'redis-20261127-171622');
    assert.equal(nameWithTime('x'.repeat(300), now).length, 63);
    assert.equal(nameWithTime(`${'x'.repeat(46)}-y`, now), `${'x'.repeat(46)}-20261127-171622`);
  });

  it('leave out what nobody said, and keep what was said to be empty', () => {
    const spec = { a: undefined, b: { c: undefined }, any: {}, d: [undefined], e: 0, f: { g: '' } };
    assert.deepEqual(withoutUndefined(spec), { any: {}, d: [undefined], e: 0, f: { g: '' } });
  });
});
