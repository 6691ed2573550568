// A dry run: tells what could not be saved and about how much would be, and changes nothing. The pod stands still for the
// milliseconds in which its state is read; no copy of its memory is made.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerResult, TaskResult } from '../../crds/node-task.ts';
import { Directory, Lease } from '../bundle/directory.ts';
import { folderBytes } from '../container/folder-size.ts';
import type { TreeReport } from '../engine/protocol.ts';
import { TaskFailure } from '../task-failure.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { engineTask, runDump } from './dump-processes.ts';
import { reportOfDump, requirementsOf, shortReport } from './dump-report.ts';
import { volumeLosses } from './empty-dirs.ts';

/** Succeeds with a report even if that holds refusals: they are what was asked for. */
export async function rehearse(
  context: DumpContext,
  containers: HeldContainers,
): Promise<TaskResult> {
  const folder = await mkdtemp(join(context.tools.stateFolder, 'rehearsal-'));
  const lease = new Lease();
  try {
    const empty = await Directory.openTrusted(folder, lease, 'rehearsal');
    const images = new Map(containers.all.map(({ name }) => [name, empty]));
    const task = engineTask(context, containers, images);
    const { result } = await runDump(context, { task, containers, signal: context.signal });
    return {
      containers: await estimates(context, containers, result.trees),
      freezeMillis: result.freezeMillis,
      requirements: requirementsOf(result),
      report: shortReport([
        ...reportOfDump(
          containers.all.map(({ name }) => name),
          result.findings,
        ),
        ...volumeLosses(context.spec.dump, containers.all),
      ]),
    };
  } catch (error) {
    if (error instanceof TaskFailure && error.report.some((r) => r.severity === 'refusal')) {
      return { report: error.report };
    }
    throw error;
  } finally {
    await lease.drop(new Error('the rehearsal is over'));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Memory as the kernel counts it, files as they lie above the image: near what a dump would write. */
async function estimates(
  { spec, tools, signal }: DumpContext,
  containers: HeldContainers,
  trees: readonly TreeReport[],
): Promise<ContainerResult[]> {
  const found: ContainerResult[] = [];
  for (const { name, cgroup, root } of containers.all) {
    const tree = trees.find((one) => one.name === name);
    const upper = spec.dump.rootfsDiff === 'None' ? undefined : root.layers?.upper;
    found.push({
      name,
      processes: tree?.processes ?? 0,
      threads: tree?.threads ?? 0,
      memoryBytes: cgroup.anonymousBytes ?? 0,
      rootfsDiffBytes:
        upper === undefined ? 0 : await folderBytes(`${tools.nodeRoot}${upper}`, signal),
    });
  }
  return found;
}
