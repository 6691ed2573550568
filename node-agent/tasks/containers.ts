// The containers of a task, all found and held, or none.
import type { TaskContainer, TaskPod } from '../../crds/node-task.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import type { TaskContext } from './task-context.ts';

/** Failures that have their own reason whatever became of the containers. */
const DELIBERATE = ['Canceled', 'TimedOut', 'HolderLost', 'FreezeLimitExceeded'] as const;

export class HeldContainers implements Disposable {
  readonly all: readonly FoundContainer[];

  constructor(all: readonly FoundContainer[]) {
    this.all = all;
  }

  /** About as many bytes as their images will have. */
  get anonymousBytes(): number {
    return this.all.reduce((sum, { cgroup }) => sum + (cgroup.anonymousBytes ?? 0), 0);
  }

  /** To be asked right before their numbers are given to anybody. @throws TaskFailure ContainerNotRunning */
  assertAlive(): void {
    for (const { process, name } of this.all) {
      process.assertAlive(`container ${name}`);
    }
  }

  /**
   * The failure that explains another one once a container has ended; that one itself while all live.
   *
   * @param error what was thrown
   */
  explain(error: unknown): unknown {
    const ended = this.all.find(({ process }) => !process.alive);
    const deliberate =
      error instanceof TaskFailure && DELIBERATE.some((code) => code === error.code);
    if (ended === undefined || deliberate) {
      return error;
    }
    const facts = `container ${ended.name} ended during the work: its pod was deleted, or it crashed`;
    return new TaskFailure('ContainerNotRunning', `${facts} (${messageOf(error)})`, {
      cause: error,
    });
  }

  [Symbol.dispose](): void {
    for (const container of this.all) {
      container[Symbol.dispose]();
    }
  }
}

export interface HoldRequest {
  readonly pod: TaskPod;
  readonly containers: readonly TaskContainer[];
  readonly sharesProcessNamespace?: boolean;
}

export async function holdContainers(
  { signal, tools, spec }: TaskContext,
  { pod, containers, sharesProcessNamespace = false }: HoldRequest,
): Promise<HeldContainers> {
  if (pod.namespace !== spec.owner.namespace) {
    const facts = `pod ${pod.namespace}/${pod.name} is not in the namespace of ${spec.owner.kind} ${spec.owner.name}`;
    throw new TaskFailure('ContainerMismatch', facts);
  }
  const found: FoundContainer[] = [];
  try {
    for (const wanted of containers) {
      const request = { pod, signal, sharesProcessNamespace };
      found.push(await tools.findContainer(wanted, request));
    }
    assertDistinct(found);
    return new HeldContainers(found);
  } catch (error) {
    found.forEach((container) => container[Symbol.dispose]());
    throw error;
  }
}

function assertDistinct(found: readonly FoundContainer[]): void {
  const pids = new Set(found.map(({ process }) => process.pid));
  const names = new Set(found.map(({ name }) => name));
  if (found.length === 0 || pids.size !== found.length || names.size !== found.length) {
    throw new TaskFailure('ContainerMismatch', 'the task names no container, or one of them twice');
  }
}
