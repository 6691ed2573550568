// How long the commonest checkpoint takes, and how much memory the operator needs for a large one.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { Pod } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { mainProcess, memoryMebibytes, processesOf } from './testing/node-processes.ts';
import { readyAgent } from './testing/operator.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast, witness } from './testing/witness.ts';

const READY_BAR_MILLIS = 3_000;
/** Other programs of the machine may disturb one try; what counts is what the work itself needs. */
const TRIES = 4;
const AGENT_BAR_MEBIBYTES = 200;
const CONTROLLER_BAR_MEBIBYTES = 150;
const SAMPLE_MILLIS = 40;

const cluster = connect();

describe('a Checkpoint', { concurrency: 1 }, () => {
  it(`of 100 MiB is ready within ${READY_BAR_MILLIS / 1000} s of kubectl apply`, async (t) => {
    await using scene = await Scene.create(cluster, 'speed');
    await scene.run(witness(), ballast(100));
    await scene.checkpoint('warm', 'witness');
    assert.match(verdict(await scene.settledCheckpoint('warm')), /^Completed: /);
    const millis: number[] = [];
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const began = performance.now();
      await scene.checkpoint(`try-${attempt}`, 'ballast');
      const ended = await scene.settledCheckpoint(`try-${attempt}`);
      millis.push(Math.round(performance.now() - began));
      assert.match(verdict(ended), /^Completed: /);
      t.diagnostic(`${millis.at(-1)} ms until ready, ${ended.status?.timing?.freeze} frozen`);
    }
    assert.ok(Math.min(...millis) < READY_BAR_MILLIS, `${millis.join(', ')} ms`);
  });

  it('of 1 GiB leaves agent and controller small', async (t) => {
    await using scene = await Scene.create(cluster, 'memory');
    await scene.run(ballast(1024));
    const agent = await readyAgent(cluster, 'node-a');
    const { items: controllers } = await cluster.pods.list({
      namespace: OPERATOR_NAMESPACE,
      labelSelector: 'app.kubernetes.io/name=diapause-controller',
    });
    const peak = new Peak();
    await scene.checkpoint('one', 'ballast');
    const settled = scene.settledCheckpoint('one');
    let done = false;
    settled.finally(() => (done = true)).catch(() => undefined);
    while (!done) {
      peak.sample(agent, controllers);
      await sleep(SAMPLE_MILLIS);
    }
    assert.match(verdict(await settled), /^Completed: /);
    peak.tell(t);
    assert.ok(peak.samples > 20, `only ${peak.samples} samples`);
    assert.ok(peak.engine > 0, 'no engine was seen');
    assert.ok(peak.agent < AGENT_BAR_MEBIBYTES, `agent ${peak.agent} MiB`);
    assert.ok(peak.working < AGENT_BAR_MEBIBYTES, `agent and engine ${peak.working} MiB`);
    assert.ok(peak.controller < CONTROLLER_BAR_MEBIBYTES, `controller ${peak.controller} MiB`);
  });
});

/** Largest values seen, in MiB. */
class Peak {
  samples = 0;
  /** resident memory of the agent's own process */
  agent = 0;
  /** of the largest engine */
  engine = 0;
  /** proportional memory of all processes in the agent's container: agent, engine at work, spare engine, workers */
  working = 0;
  controller = 0;

  sample(agent: Pod, controllers: readonly Pod[]): void {
    this.samples++;
    const processes = processesOf(agent);
    const isEngine = (words: readonly string[]): boolean =>
      words.some((word) => word.endsWith('engine.js'));
    const engines = processes.filter((one) => isEngine(one.arguments));
    this.agent = Math.max(this.agent, memoryMebibytes(mainProcess(agent, 'agent.js').pid, 'Rss'));
    this.engine = Math.max(this.engine, ...engines.map(({ pid }) => memoryMebibytes(pid, 'Rss')));
    const sum = processes.reduce((total, { pid }) => total + memoryMebibytes(pid, 'Pss'), 0);
    this.working = Math.max(this.working, sum);
    for (const pod of controllers) {
      const { pid } = mainProcess(pod, 'controller.js');
      this.controller = Math.max(this.controller, memoryMebibytes(pid, 'Rss'));
    }
  }

  tell(t: TestContext): void {
    const show = (mebibytes: number): string => `${mebibytes.toFixed(0)} MiB`;
    t.diagnostic(`agent ${show(this.agent)}, largest engine ${show(this.engine)} resident`);
    t.diagnostic(`agent, engines and workers together ${show(this.working)} proportional`);
    t.diagnostic(`controller ${show(this.controller)} resident`);
  }
}
