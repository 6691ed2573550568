// A dry run: tells what could not be saved, and changes nothing.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskResult } from '../../crds/node-task.ts';
import { Directory, Lease } from '../bundle/directory.ts';
import { TaskFailure } from '../task-failure.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { engineTask, runDump } from './dump-processes.ts';
import { reportOfDump } from './dump-report.ts';

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
      freezeMillis: result.freezeMillis,
      requirements: { ...result.requirements },
      report: reportOfDump(
        containers.all.map(({ name }) => name),
        result.findings,
      ),
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
