// The containers of a task, all found and held, or none.
import type { TaskContainer, TaskPod } from '../../crds/node-task.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { TaskFailure } from '../task-failure.ts';
import type { TaskContext } from './task-context.ts';

export class HeldContainers implements Disposable {
  readonly all: readonly FoundContainer[];

  constructor(all: readonly FoundContainer[]) {
    this.all = all;
  }

  /** To be asked right before their numbers are given to anybody. @throws TaskFailure ContainerNotRunning */
  assertAlive(): void {
    for (const { process, name } of this.all) {
      process.assertAlive(`container ${name}`);
    }
  }

  /** The failure that explains all others once a container has ended. */
  endedFailure(): TaskFailure | undefined {
    const ended = this.all.find(({ process }) => !process.alive);
    return ended === undefined
      ? undefined
      : new TaskFailure(
          'ContainerNotRunning',
          `container ${ended.name} ended during the work: its pod was deleted, or it crashed`,
        );
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
