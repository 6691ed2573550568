// report: what cannot be saved, or not exactly, and what to do about it.
import { stat } from 'node:fs/promises';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { API_VERSION, type Report } from '../../crds/meta.ts';
import { FACTS_OUTPUT_OPTION } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { CliError } from '../cli-error.ts';
import { nameWithTime } from '../create.ts';
import { EXIT } from '../exit-codes.ts';
import { follow } from '../follow.ts';
import { readBundle } from '../inspect/open-bundle.ts';
import {
  CHECKPOINT,
  type DiapauseObject,
  endOf,
  kindNamed,
  namedObjects,
  refOf,
} from '../kinds.ts';
import { document } from '../output/print.ts';
import { progressView } from '../output/progress.ts';
import { table } from '../output/table.ts';
import type { Session } from '../session.ts';

export const reportVerb: Verb = {
  name: 'report',
  summary: 'Tell what of a pod cannot be saved, or what was not saved exactly',
  positionals: [{ name: 'WHAT', required: true, completes: 'object' }],
  options: [
    { name: 'timeout', value: 'DURATION', help: 'Stop waiting for the report after this time' },
    FACTS_OUTPUT_OPTION,
  ],
  examples: ['report pod/redis', 'report checkpoint/redis-1', 'report ./bundle'],
  async run(args, session) {
    const [what = ''] = args.positionals;
    const findings = await findingsOf(what, session, args.durationMillis('timeout'));
    const format = args.text('output') as 'json' | 'yaml' | undefined;
    session.io.out(format === undefined ? reportText(findings) : document(findings, format));
    return findings.some(({ severity }) => severity === 'refusal') ? EXIT.refused : EXIT.done;
  },
};

async function findingsOf(
  what: string,
  session: Session,
  timeoutMillis: number | undefined,
): Promise<readonly Report[]> {
  const pod = /^pods?\/(.+)$/.exec(what)?.[1];
  if (pod !== undefined) {
    return await rehearse(pod, session, timeoutMillis);
  }
  if (kindNamed(what.split('/')[0] ?? '') === undefined && (await isThere(what))) {
    const { manifest } = await readBundle(what);
    if (manifest === undefined) {
      throw new CliError(`${what} has no manifest, so no report`, 'name a whole bundle');
    }
    return manifest.report;
  }
  return await storedReport(what, session);
}

async function storedReport(what: string, session: Session): Promise<readonly Report[]> {
  const [{ kind, name } = { kind: CHECKPOINT, name: '' }] = namedObjects([what], 'report');
  const { namespace } = await session.connect();
  const found = await (await session.resource<DiapauseObject>(kind)).get({ namespace, name });
  if (found.status?.report === undefined && endOf(found) === undefined) {
    throw new CliError(`${what} has no report yet`, `wait for it: kubectl diapause wait ${what}`);
  }
  return found.status?.report ?? [];
}

const isThere = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

/** A Checkpoint that saves nothing and goes away when it has told. */
async function rehearse(
  pod: string,
  session: Session,
  timeoutMillis: number | undefined,
): Promise<readonly Report[]> {
  const { namespace } = await session.connect();
  const resource = await session.resource<Checkpoint>(CHECKPOINT);
  const created = await resource.create({
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: { namespace, name: nameWithTime(`${pod}-report`, Date.now()) },
    spec: { source: { pod: { name: pod } }, mode: 'DryRun' },
  });
  const ref = refOf(created);
  try {
    using view = progressView(session.io);
    const ready = await follow<Checkpoint>(session, { kind: CHECKPOINT, ref }, view, timeoutMillis);
    return ready.status?.report ?? [];
  } catch (error) {
    const failed = await resource.find(ref);
    const report = failed?.status?.report ?? [];
    // What the rehearsal refuses fails the Checkpoint: that is the report, not an error.
    if (report.some(({ severity }) => severity === 'refusal')) {
      return report;
    }
    throw error;
  } finally {
    await resource.delete(ref);
  }
}

/** Refusals first, as the status holds them (pure). */
export function reportText(findings: readonly Report[]): string {
  if (findings.length === 0) {
    return 'nothing to report: everything is saved exactly\n';
  }
  const rows = findings.map(({ severity, code, container, pid, message }) => [
    severity,
    code,
    container,
    pid === 0 ? 'all' : String(pid),
    message,
  ]);
  return table([['SEVERITY', 'CODE', 'CONTAINER', 'PID', 'MESSAGE'], ...rows]);
}
