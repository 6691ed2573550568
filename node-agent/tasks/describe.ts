// Describe: tells what the controller must know of this node to choose one. Changes nothing.
import type { TaskResult } from '../../crds/node-task.ts';
import { cpuFlags } from '../engine/linux/procfs/cpuinfo.ts';
import { cpuFeatures } from './cpu-features.ts';
import { clockStarts, readNodeClocks } from './node-clocks.ts';
import type { TaskHandler } from './task-context.ts';

export const describeHandler: TaskHandler<'Describe'> = {
  type: 'Describe',
  podUid: () => undefined,
  run: describe,
  resume: describe,
  abandon: () => Promise.resolve(),
};

function describe(): Promise<TaskResult> {
  return Promise.resolve({
    clocks: clockStarts(readNodeClocks(), Date.now()),
    cpuFeatures: cpuFeatures(cpuFlags()),
  });
}
