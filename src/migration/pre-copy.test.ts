// Strategy PreCopy: pages go ahead in rounds while the source runs, which the status shows; only then it is frozen.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeTask, NodeTaskStatus, TaskRound } from '../../crds/node-task.ts';
import { findCondition } from '../../kube/conditions.ts';
import { until } from '../../kube/testing/until.ts';
import { migration, NAMESPACE, pod } from '../testing/builders.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import type { AgentStep, FakeNode } from '../testing/fake-node.ts';
import { MigratedApplication } from '../testing/migrated-application.ts';
import { migrationFacts } from '../testing/migration-facts.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { firstObjection } from './checks.ts';

const MIB = 1 << 20;
const ROUNDS: readonly TaskRound[] = [
  { number: 1, bytes: 1024 * MIB, dirtyBytes: 100 * MIB, millis: 9000 },
  { number: 2, bytes: 100 * MIB, dirtyBytes: MIB, millis: 900 },
];

/** The source's agent copies, and tells of `rounds`, for as long as `meanwhile` takes. */
function copiesFirst(node: FakeNode, meanwhile: () => Promise<void>): void {
  const { agent } = node;
  node.agent = (task) => {
    const steps = agent(task);
    if (task.spec.type !== 'Dump' || steps === null) {
      return steps;
    }
    const [accepted = {}, ...others] = steps;
    const status = { state: 'Running', stage: 'pre-copying' } as const;
    const copying = ROUNDS.map(
      (_, i): NodeTaskStatus => ({ ...status, rounds: ROUNDS.slice(0, i + 1) }),
    );
    return [accepted, ...copying, meanwhile, ...others.map(withRounds)];
  };
}

const withRounds = (step: AgentStep): AgentStep =>
  typeof step === 'function' ? step : { ...step, rounds: ROUNDS };

const cancelled = (cluster: SmallCluster): boolean =>
  cluster.tasks().some(({ spec }) => spec.type === 'Dump' && spec.cancel === true);

function dumpOf(node: FakeNode): Extract<NodeTask['spec'], { readonly type: 'Dump' }>['dump'] {
  const task = node.seenTasks.find(({ spec }) => spec.type === 'Dump');
  assert.ok(task?.spec.type === 'Dump');
  return task.spec.dump;
}

describe('strategy PreCopy', { concurrency: 2 }, () => {
  it('tells of the rounds while the source runs, and of what was left for the freeze', async () => {
    await using cluster = await SmallCluster.start();
    const [source] = cluster.nodes;
    const application = new MigratedApplication(cluster);
    const told = (): readonly TaskRound[] => cluster.migration()?.status?.rounds ?? [];
    copiesFirst(source, async () => {
      await until('both rounds are told', () => told().length === ROUNDS.length);
      assert.deepEqual(told(), ROUNDS);
      assert.deepEqual(application.history, []);
      const { conditions, timing } = cluster.migration()?.status ?? {};
      assert.equal(findCondition(conditions, 'SourceFrozen'), undefined);
      assert.equal(timing?.frozenAt, undefined, 'the downtime has not begun');
    });
    cluster.createMigration({ strategy: 'PreCopy', limits: { maxDowntimeSeconds: 5 } });
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.history, [
      'source frozen, target absent',
      'source frozen, target running',
      'source gone, target running',
    ]);
    const [first, second, last] = told();
    assert.deepEqual([first, second], ROUNDS);
    assert.equal(last?.number, 3);
    assert.equal(last.dirtyBytes, 0);
    const { transfer, preCopy } = dumpOf(source);
    assert.equal(transfer?.address, '10.0.0.2');
    assert.deepEqual(preCopy, { maxDowntimeMillis: 5000 });
  });

  it('without a longest downtime goes on for as long as it shrinks', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster);
    cluster.createMigration({ strategy: 'PreCopy' });
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.deepEqual(application.violations, []);
    assert.deepEqual(dumpOf(cluster.nodes[0]).preCopy, {});
  });

  it('a migration that is called off between two rounds leaves the source running', async () => {
    await using cluster = await SmallCluster.start();
    const application = new MigratedApplication(cluster);
    const migrations = cluster.server.client().resource(RESOURCE_TYPES.migrations);
    const away = { namespace: NAMESPACE, name: 'away' };
    copiesFirst(cluster.nodes[0], async () => {
      await migrations.mergePatch(away, { spec: { cancel: true } });
      await until('the task is called back', () => cancelled(cluster));
    });
    cluster.createMigration({ strategy: 'PreCopy' });
    await cluster.untilReason(() => cluster.migration(), 'Canceled');
    assert.deepEqual(application.running, ['source']);
    assert.deepEqual(application.violations, []);
    await until('no task is left', () => cluster.tasks().length === 0);
  });

  it('is refused where the new pod comes only after the source', () => {
    const ownerReferences = [
      { apiVersion: 'batch/v1', kind: 'Job', name: 'sum', uid: 'job-1', controller: true },
    ];
    const facts = migrationFacts({
      migration: migration({ strategy: 'PreCopy' }),
      pod: pod({}, { ownerReferences }),
    });
    const objection = firstObjection(facts);
    assert.ok(objection && !('do' in objection));
    assert.equal(objection.reason, 'StrategyUnsupported');
    assert.match(objection.facts, /spec\.strategy: PreCopy: the new pod of a Job/);
  });
});
