// Dumps of one victim whose engine is killed: at a stage, at a step, at a time. With tracking each dump builds on the last
// complete one, as pre-dumps do, and what changes is watched between them.
import { mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { DumpTask } from '../../node-agent/engine/protocol.ts';
import {
  dumpTask,
  type EngineEnd,
  type EngineOptions,
  type Stage,
  startEngine,
} from './engine-process.ts';
import { buildVictim, type Victim } from './victim.ts';

export const STAGES: readonly Stage[] = [
  'seizing',
  'preparing',
  'frozen',
  'thawed',
  'saving-pages',
  'saving-state',
  'done',
];

/** Held for a while before it dies, the application comes to the end of what it was set to do. */
const HOLD_MICROS = [0, 0, 30, 300, 3000] as const;
/** A storm may keep a process from being stopped (vfork) for as long as the engine tries. */
const MAX_ATTEMPTS = 5;
const TRACKING_FILE = 'write-tracking.json';

/** A whole number from 0 on, below the argument. */
export type Random = (below: number) => number;

/** A small generator of the xorshift family: the same kills for the same seed. */
export function randomFrom(seed: number): Random {
  let x = (seed * 2654435761 + 1013904223) >>> 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

/** How many steps a dump of a victim has, and how long its stages are, milliseconds. */
export interface Course {
  readonly steps: number;
  readonly stages: ReadonlyMap<Stage, number>;
}

/** Dumps of one victim, each into a directory of its own below `base`. */
export class Dumps {
  /** by the last one that was killed at a step */
  reached: ReadonlySet<Stage> = new Set();
  readonly #victim: Victim;
  readonly #base: string;
  readonly #isTracked: boolean;
  /** of the last complete dump */
  #last: string | undefined;

  constructor(victim: Victim, base: string, isTracked = false) {
    this.#victim = victim;
    this.#base = base;
    this.#isTracked = isTracked;
  }

  async run(options: EngineOptions = {}): Promise<EngineEnd> {
    const directory = mkdtempSync(join(this.#base, 'images-'));
    const end = await startEngine(this.#task(directory), options).ended;
    if (this.#isTracked && end.result) this.#last = directory;
    else rmSync(directory, { recursive: true, force: true });
    return end;
  }

  #task(imagesDir: string): DumpTask {
    const { pid } = this.#victim;
    if (!this.#isTracked) return dumpTask(pid, imagesDir);
    const last = this.#last;
    const parent = last === undefined ? {} : { parent: `../${basename(last)}` };
    return dumpTask(pid, imagesDir, {
      trees: [{ name: 'victim', rootPid: pid, imagesDir, ...parent }],
      tracking: {
        ...(last === undefined ? {} : { previousFile: join(last, TRACKING_FILE) }),
        nextFile: join(imagesDir, TRACKING_FILE),
      },
    });
  }

  async atLast(options: EngineOptions = {}): Promise<EngineEnd> {
    for (let attempt = 1; ; attempt++) {
      const end = await this.run(options);
      if (end.failure?.code !== 'Unstoppable' || attempt === MAX_ATTEMPTS) return end;
    }
  }

  async calibrate(): Promise<Course> {
    const { stderr, failure, stages } = await this.atLast({ wrapper: [killAt(), '0', '0'] });
    const steps = Number(/^ended after (\d+) stops$/m.exec(stderr)?.[1]);
    if (failure || !(steps > 0)) throw new Error(`${failure?.message ?? ''}: ${stderr}`);
    const lengths = stages.map(({ stage, atMillis }, i): [Stage, number] => [
      stage,
      Math.max(1, (stages[i + 1]?.atMillis ?? atMillis) - atMillis),
    ]);
    return { steps, stages: new Map(lengths) };
  }
}

const killAt = (): string => buildVictim('kill-at');

/** One way to die; answers with where it was, undefined when the engine was faster. */
export type Kill = (dumps: Dumps) => Promise<string | undefined>;

const killedAtStage =
  (stage: Stage): Kill =>
  async (dumps) => {
    const end = await dumps.run({
      onEvent: (event, engine) => {
        if (event.event === 'stage' && event.stage === stage) engine.kill();
      },
    });
    return end.signal === 'SIGKILL' ? `stage ${stage}` : undefined;
  };

export const killedAtStep =
  (stop: number, holdMicros: number): Kill =>
  async (dumps) => {
    const { stderr, stages } = await dumps.run({
      wrapper: [killAt(), String(stop), String(holdMicros)],
    });
    dumps.reached = new Set(stages.map(({ stage }) => stage));
    const where = /^killed at .*$/m.exec(stderr)?.[0];
    return where === undefined ? undefined : `${where}, held ${holdMicros} us`;
  };

const killedAfter =
  (stage: Stage, millis: number): Kill =>
  async (dumps) => {
    const end = await dumps.run({
      onEvent: (event, engine) => {
        if (event.event !== 'stage' || event.stage !== stage) return;
        const until = performance.now() + millis;
        while (performance.now() < until) continue;
        engine.kill();
      },
    });
    return end.signal === 'SIGKILL' ? `${millis.toFixed(3)} ms after ${stage}` : undefined;
  };

/** From 1 on, each once in every round, in an order that nobody foresees. */
function* stepsIn(random: Random, steps: number): Generator<number> {
  const order = Array.from({ length: steps }, (_, i) => i + 1);
  for (;;) {
    for (let last = steps; last > 0; last--) {
      const chosen = random(last);
      [order[chosen], order[last - 1]] = [order[last - 1]!, order[chosen]!];
      yield order[last - 1]!;
    }
  }
}

/** At every stage once, then at steps and at times, for ever. */
export function* kills(random: Random, { steps, stages }: Course): Generator<Kill> {
  for (const stage of STAGES) yield killedAtStage(stage);
  const named = [...stages];
  const next = stepsIn(random, steps);
  for (;;) {
    for (let i = 0; i < 3; i++) {
      const holdMicros = HOLD_MICROS[random(HOLD_MICROS.length)]!;
      yield killedAtStep(next.next().value, holdMicros);
    }
    const [stage, millis] = named[random(named.length)]!;
    yield killedAfter(stage, (millis * random(1000)) / 1000);
  }
}
