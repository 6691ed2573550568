// Agent, engine and controller die at any step: the application goes on, no half bundle is seen, and the object says
// what happened.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { findCondition } from '../../kube/conditions.ts';
import { futex, type FutexFacts, judgeMoved, judgeWaiting } from '../../deploy/demo/futex.ts';
import type { JournalStep } from '../../node-agent/tasks/journal.ts';
import type { Pod } from '../../src/cluster/pod.ts';
import { connect, type NodeName } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertHolds, assertUnharmed } from './testing/expectations.ts';
import { untilItRuns, untilOnly } from './testing/node-processes.ts';
import { type AgentPart, armKill, killLeader } from './testing/operator.ts';
import { bundleName, isReady, Scene, verdict } from './testing/scene.ts';
import { witness } from './testing/witness.ts';

interface Fault {
  readonly step: JournalStep;
  readonly afterMillis?: number;
  readonly part?: AgentPart;
}

/** `engine` lasts longest: the application is held in the middle of it. */
const DUMP_FAULTS: readonly Fault[] = [
  { step: 'begun' },
  { step: 'staging' },
  { step: 'engine' },
  { step: 'engine', afterMillis: 60 },
  { step: 'engine', afterMillis: 150 },
  { step: 'engine', part: 'engine' },
  { step: 'engine', part: 'engine', afterMillis: 30 },
  { step: 'saved' },
  { step: 'sealing' },
  { step: 'ended' },
];
const RESTORE_FAULTS: readonly Fault[] = [
  { step: 'begun' },
  { step: 'engine' },
  { step: 'engine', afterMillis: 40 },
  { step: 'engine', part: 'engine', afterMillis: 20 },
  { step: 'sealing' },
  { step: 'ended' },
];

/** A short step passes unseen where the machine is busy. */
const ATTEMPTS = 5;
/** The program and its child: no snapshot of them may stay. */
const WITNESS_PROCESSES = 2;
/** The longest that a source may stand still here: its pod has no probe, the agent's own limit counts. */
const FREEZE_LIMIT_MILLIS = 10_000;
/** The engine was killed, or its agent was. */
const TOLD = /^(AgentRestarted|EngineFailed|AgentLost): /;

const describeFault = ({ step, afterMillis = 0, part = 'agent' }: Fault): string =>
  `the ${part} dies ${afterMillis} ms after the step ${step}`;

const cluster = connect();
const app = futex();

interface Work {
  readonly namespace: string;
  readonly begin: (name: string) => Promise<unknown>;
  readonly end: (name: string) => Promise<void>;
}

/** Begins work until the fault meets it. @returns the name of the object that it met */
async function meet(
  fault: Fault & { readonly nodeName: NodeName },
  prefix: string,
  { namespace, begin, end }: Work,
): Promise<string> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const name = `${prefix}-${attempt}`;
    const trap = await armKill(cluster, { owner: { namespace, name }, ...fault });
    const [met] = await Promise.all([trap.sprung, begin(name)]);
    if (met) return name;
    await end(name);
  }
  throw new Error(`the step ${fault.step} passed unseen ${ATTEMPTS} times`);
}

describe('whoever dies', { concurrency: 2 }, () => {
  describe('during a Checkpoint', { concurrency: 1 }, () => {
    let scene: Scene;
    let source: Pod;
    let said: FutexFacts;
    const bundles: string[] = [];

    before(async () => {
      scene = await Scene.create(cluster, 'dump-faults');
      [source] = (await scene.run(witness())) as [Pod];
      said = await app.observe(scene.kubectl, 'witness');
    });

    for (const [index, fault] of DUMP_FAULTS.entries()) {
      it(describeFault(fault), async (t) => {
        const name = await meet({ ...fault, nodeName: 'node-a' }, `fault-${index}`, {
          namespace: scene.namespace,
          begin: (name) => scene.checkpoint(name, 'witness'),
          end: async (name) => void bundles.push(bundleName(await scene.settledCheckpoint(name))),
        });
        await untilItRuns(source, FREEZE_LIMIT_MILLIS);
        const ended = await scene.settledCheckpoint(name);
        t.diagnostic(verdict(ended).slice(0, 120));
        if (isReady(ended)) {
          bundles.push(bundleName(ended));
        } else {
          assertFailed(ended, TOLD);
        }
        await scene.untilNothingIsLeft(bundles);
        assertHolds(judgeWaiting(said, await app.observe(scene.kubectl, 'witness')));
        assertUnharmed(source, await scene.pod('witness'));
        await untilOnly(source, WITNESS_PROCESSES);
      });
    }

    it('afterwards every bundle that is there can be restored', async () => {
      assert.ok(bundles.length > 0);
      const { items } = await cluster.checkpoints.list({ namespace: scene.namespace });
      const names = items.filter(isReady).map(({ metadata }) => metadata.name);
      const target = { newPod: { nodeName: 'node-a' } };
      for (const name of names) {
        await scene.restore(`back-${name}`, name, { target });
        const restored = await scene.settledRestore(`back-${name}`);
        assert.match(verdict(restored), /^Completed: /, name);
        assertHolds(judgeWaiting(said, await app.observe(scene.kubectl, `back-${name}`)));
      }
    });

    after(() => scene[Symbol.asyncDispose]());
  });

  describe('during a Restore', { concurrency: 1 }, () => {
    let scene: Scene;
    let saved: Checkpoint;
    let said: FutexFacts;

    before(async () => {
      scene = await Scene.create(cluster, 'restore-faults');
      await scene.run(witness({ nodeName: 'node-b' }));
      said = await app.observe(scene.kubectl, 'witness');
      await scene.checkpoint('one', 'witness');
      saved = await scene.settledCheckpoint('one');
    });

    for (const [index, fault] of RESTORE_FAULTS.entries()) {
      it(describeFault(fault), async (t) => {
        const target = { newPod: { nodeName: 'node-b' } };
        const name = await meet({ ...fault, nodeName: 'node-b' }, `fault-${index}`, {
          namespace: scene.namespace,
          begin: (name) => scene.restore(name, 'one', { target }),
          end: async (name) => void (await scene.settledRestore(name)),
        });
        const ended = await scene.settledRestore(name);
        t.diagnostic(verdict(ended).slice(0, 120));
        if (isReady(ended)) {
          const restored = await app.observe(scene.kubectl, name);
          assertHolds([...judgeWaiting(said, restored), judgeMoved(said, restored)[1]!]);
        } else {
          assertFailed(ended, TOLD);
          const gone = () => scene.findPod(name);
          await eventually('the placeholder goes', gone, (pod) => pod === undefined);
        }
        await scene.untilNothingIsLeft([bundleName(saved)]);
      });
    }

    after(() => scene[Symbol.asyncDispose]());
  });
});

describe('the controller that leads dies', () => {
  it('in the middle of a Checkpoint and of a Restore, and another goes on', async () => {
    await using scene = await Scene.create(cluster, 'leader');
    const [source] = await scene.run(witness());
    assert.ok(source);
    const said = await app.observe(scene.kubectl, 'witness');
    const { namespace } = scene;
    await scene.checkpoint('one', 'witness');
    await eventually(
      'the Checkpoint was taken up',
      () => cluster.checkpoints.get({ namespace, name: 'one' }),
      ({ status }) => findCondition(status?.conditions, 'Accepted') !== undefined,
    );
    await killLeader(cluster);
    const ended = await scene.settledCheckpoint('one');
    assert.match(verdict(ended), /^Completed: /);
    assertUnharmed(source, await scene.pod('witness'));

    await scene.restore('back', 'one', { target: { newPod: { nodeName: 'node-b' } } });
    await eventually(
      'the placeholder was made',
      () => cluster.restores.get({ namespace, name: 'back' }),
      ({ status }) => status?.pod !== undefined,
    );
    await killLeader(cluster);
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    assertHolds(judgeWaiting(said, await app.observe(scene.kubectl, 'back')));
    await scene.untilNothingIsLeft([bundleName(ended)]);
  });
});
