// How much of the processors both nodes have used: on a machine where others work, too, it says more than the clock.
import { readFileSync } from 'node:fs';
import { mainProcess } from '../../e2e/testing/node-processes.ts';
import { readyAgent } from '../../e2e/testing/operator.ts';
import type { Cluster, NodeName } from '../../e2e/testing/cluster.ts';

const SAMPLE_MILLIS = 50;
const NODES: readonly NodeName[] = ['node-a', 'node-b'];

interface Sample {
  readonly atMillis: number;
  readonly usedMillis: number;
}

/** Looks at what everything on both nodes uses together: agents, engines, pods. */
export class Processors implements Disposable {
  readonly #files: readonly string[];
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  private constructor(files: readonly string[]) {
    this.#files = files;
    this.#timer = setInterval(() => this.#look(), SAMPLE_MILLIS);
    this.#look();
  }

  static async watch(cluster: Cluster): Promise<Processors> {
    const agents = await Promise.all(NODES.map((node) => readyAgent(cluster, node)));
    return new Processors(agents.map((pod) => usageFile(mainProcess(pod, 'agent.js').pid)));
  }

  /** Used in the last `millis`, as exactly as we looked. */
  usedInLast(millis: number): number {
    this.#look();
    const last = this.#samples.at(-1);
    const since = (last?.atMillis ?? 0) - millis;
    const first = this.#samples.findLast(({ atMillis }) => atMillis <= since);
    return (last?.usedMillis ?? 0) - (first?.usedMillis ?? 0);
  }

  #look(): void {
    const usedMillis = this.#files.reduce((sum, file) => sum + usedNanos(file) / 1e6, 0);
    this.#samples.push({ atMillis: performance.now(), usedMillis });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Of the group that holds the whole node of a process in one of its pods. */
function usageFile(pid: number): string {
  const groups = readFileSync(`/proc/${pid}/cgroup`, 'latin1').split('\n');
  const of = (controller: string): string | undefined =>
    groups.find((line) => line.split(':')[1] === controller)?.split(':')[2];
  const [legacy, unified] = [of('cpuacct'), of('')];
  const node = (legacy ?? unified ?? '').replace(/\/kubepods.*/, '');
  return legacy === undefined
    ? `/sys/fs/cgroup${node}/cpu.stat`
    : `/sys/fs/cgroup/cpuacct${node}/cpuacct.usage`;
}

function usedNanos(file: string): number {
  const text = readFileSync(file, 'latin1');
  const micros = /^usage_usec (\d+)/m.exec(text)?.[1];
  return micros === undefined ? Number(text) : Number(micros) * 1000;
}
