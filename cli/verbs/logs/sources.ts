// The pods that log for Diapause, and how their logs are read.
import type { TypedObject } from '../../../crds/meta.ts';
import { LABELS } from '../../../crds/names.ts';
import { ApiError, isForbidden } from '../../../kube/api-error.ts';
import type { Client } from '../../../kube/client.ts';
import { objectPath } from '../../../kube/paths.ts';
import type { ResourceType } from '../../../kube/resource-types.ts';
import { CliError } from '../../cli-error.ts';
import { type LogLine, readLines } from './lines.ts';

const PODS: ResourceType = { group: '', version: 'v1', plural: 'pods', namespaced: true };
/** Of one pod; the API server cuts longer logs. */
const MAX_LOG_BYTES = 32 << 20;
const COMPONENTS = [
  { component: 'controller', labelSelector: 'app.kubernetes.io/name=diapause-controller' },
  { component: 'agent', labelSelector: `${LABELS.role}=agent` },
] as const;

interface PodOnNode extends TypedObject {
  readonly spec?: { readonly nodeName?: string };
}

export interface LogSource {
  readonly namespace: string;
  readonly podName: string;
  /** name of the container */
  readonly component: string;
  /** as lines are told: `agent node-a` */
  readonly label: string;
}

/** @throws CliError where the logs may not be read */
export async function logSources(
  client: Client,
  namespace: string,
  signal?: AbortSignal,
): Promise<readonly LogSource[]> {
  const pods = client.resource<PodOnNode>(PODS);
  return await explained(namespace, async () => {
    const found: LogSource[] = [];
    for (const { component, labelSelector } of COMPONENTS) {
      const { items } = await pods.list({ namespace, labelSelector, ...(signal && { signal }) });
      for (const { metadata, spec } of items) {
        const label = component === 'agent' ? `agent ${spec?.nodeName ?? ''}` : component;
        found.push({ namespace, podName: metadata.name, component, label });
      }
    }
    return found;
  });
}

/** What was logged until now, also by containers before their last restart. */
export async function loggedSoFar(
  client: Client,
  source: LogSource,
  sinceSeconds: number | undefined,
): Promise<readonly LogLine[]> {
  const path = logPath(source, { sinceSeconds, limitBytes: MAX_LOG_BYTES });
  return await explained(source.namespace, async () => [
    ...readLines(await previousLog(client, path), source.label),
    ...readLines(await client.getText(path), source.label),
  ]);
}

/** The container before the last restart; the API server answers 400 where there was none. */
async function previousLog(client: Client, path: string): Promise<string> {
  try {
    return await client.getText(`${path}&previous=true`);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 400 || error.status === 404)) {
      return '';
    }
    throw error;
  }
}

/** @param options parameters of the API; those that are undefined are left out */
export function logPath(
  { namespace, podName, component }: LogSource,
  options: Readonly<Record<string, string | number | boolean | undefined>>,
): string {
  const query = new URLSearchParams({ container: component });
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) {
      query.set(name, String(value));
    }
  }
  const pod = objectPath(PODS, { namespace, name: podName }, 'log');
  return `${pod}?${query.toString()}`;
}

async function explained<T>(namespace: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
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
