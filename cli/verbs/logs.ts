// logs: what controller and agents wrote about an object, in the order of time.
import type { TypedObject } from '../../crds/meta.ts';
import { LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import { ApiError, isForbidden } from '../../kube/api-error.ts';
import type { Client } from '../../kube/client.ts';
import { objectPath } from '../../kube/paths.ts';
import type { ResourceType } from '../../kube/resource-types.ts';
import type { Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { CliError } from '../cli-error.ts';
import { EXIT } from '../exit-codes.ts';
import { namedObjects } from '../kinds.ts';
import { linesAbout, type LogLine, logText, readLines } from './logs/lines.ts';

const PODS: ResourceType = { group: '', version: 'v1', plural: 'pods', namespaced: true };
/** Of one pod; the API server cuts longer logs. */
const MAX_LOG_BYTES = 32 << 20;
const COMPONENTS = [
  { component: 'controller', labelSelector: 'app.kubernetes.io/name=diapause-controller' },
  { component: 'agent', labelSelector: `${LABELS.role}=agent` },
] as const;

const OPTIONS: readonly Option[] = [
  { name: 'since', value: 'DURATION', help: 'Only what is not older than this, like 10m' },
  {
    name: 'operator-namespace',
    value: 'NAME',
    completes: 'namespace',
    help: `Where Diapause runs; without it, ${OPERATOR_NAMESPACE}`,
  },
  {
    name: 'output',
    short: 'o',
    value: 'FORMAT',
    choices: ['json'],
    help: 'Print the lines as they were written, JSON',
  },
];

interface PodOnNode extends TypedObject {
  readonly spec?: { readonly nodeName?: string };
}

export const logsVerb: Verb = {
  name: 'logs',
  summary: 'Show what controller and agents logged about an object',
  positionals: [{ name: 'TYPE/NAME', required: true, completes: 'object' }],
  options: OPTIONS,
  examples: ['logs checkpoint/redis-1', 'logs rst/redis-back --since 10m'],
  async run(args, session) {
    const [object] = namedObjects(args.positionals, 'logs');
    const { client, namespace } = await session.connect();
    const where = args.text('operator-namespace') ?? OPERATOR_NAMESPACE;
    const sinceSeconds = args.seconds('since');
    const lines = await allLines(client, where, sinceSeconds);
    const { kind, name = '' } = object ?? {};
    const about = linesAbout(lines, { kind: kind?.kind ?? '', namespace, name });
    if (about.length === 0) {
      session.io.err(
        `nothing was logged about ${args.positionals[0]} in namespace ${namespace}: is it older than the pods of ${where}? kubectl diapause status ${args.positionals[0]} tells its conditions\n`,
      );
      return EXIT.done;
    }
    session.io.out(
      args.text('output') === 'json' ? about.map(({ raw }) => `${raw}\n`).join('') : logText(about),
    );
    return EXIT.done;
  },
};

async function allLines(
  client: Client,
  namespace: string,
  sinceSeconds: number | undefined,
): Promise<readonly LogLine[]> {
  const pods = client.resource<PodOnNode>(PODS);
  try {
    const lines: LogLine[] = [];
    for (const { component, labelSelector } of COMPONENTS) {
      const { items } = await pods.list({ namespace, labelSelector });
      for (const { metadata, spec } of items) {
        const source = component === 'agent' ? `agent ${spec?.nodeName ?? ''}` : component;
        const of = { namespace, name: metadata.name, component, sinceSeconds };
        lines.push(...readLines(await previousLog(client, of), source));
        lines.push(...readLines(await client.getText(logPath(of)), source));
      }
    }
    return lines;
  } catch (error) {
    if (isForbidden(error)) {
      throw new CliError(
        `the logs of Diapause are not yours to read: ${(error as Error).message}`,
        `ask for the right to get pods/log in the namespace ${namespace}; events tell the most: kubectl describe`,
      );
    }
    throw error;
  }
}

interface LogSource {
  readonly namespace: string;
  readonly name: string;
  readonly component: string;
  readonly sinceSeconds: number | undefined;
}

/** Of the container before its last restart; the API server answers 400 where there was none. */
async function previousLog(client: Client, of: LogSource): Promise<string> {
  try {
    return await client.getText(`${logPath(of)}&previous=true`);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 400 || error.status === 404)) {
      return '';
    }
    throw error;
  }
}

function logPath({ namespace, name, component, sinceSeconds }: LogSource): string {
  const query = new URLSearchParams({ container: component, limitBytes: String(MAX_LOG_BYTES) });
  if (sinceSeconds !== undefined) {
    query.set('sinceSeconds', String(sinceSeconds));
  }
  const pod = objectPath(PODS, { namespace, name }, 'log');
  return `${pod}?${query.toString()}`;
}
