// One request of a hook or probe to a pod. To its own address and nowhere else: no name is looked up, no redirect is
// followed, no proxy asked, so that whoever writes a hook reaches nothing but the pod.
import { request as httpRequest } from 'node:http';
import { isIP } from 'node:net';
import type { TaskAction } from '../../../crds/node-task.ts';
import { TaskFailure } from '../../task-failure.ts';

type HttpAction = Extract<TaskAction, { readonly http: unknown }>['http'];

/** @throws TaskFailure HookFailed unless the pod answers with a status from 200 to 299 */
export async function requestPod(http: HttpAction, signal: AbortSignal): Promise<void> {
  const { podIP, port, path, method } = http;
  const version = isIP(podIP);
  if (version === 0) {
    throw new TaskFailure('HookFailed', `"${podIP}" is no address of a pod`);
  }
  const what = `${method} ${version === 6 ? `[${podIP}]` : podIP}:${port}${path}`;
  const status = await statusOf(http, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new TaskFailure('HookFailed', `${what}: ${(error as Error).message}`, { cause: error });
  });
  if (status >= 300 && status < 400) {
    throw new TaskFailure('HookFailed', `${what}: status ${status}; redirects are not followed`);
  }
  if (status < 200 || status >= 300) {
    throw new TaskFailure('HookFailed', `${what}: status ${status}`);
  }
}

function statusOf({ podIP, port, path, method }: HttpAction, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'user-agent': 'diapause', connection: 'close', 'content-length': 0 };
    const request = httpRequest(
      { host: podIP, port, path, method, headers, signal, agent: false },
      (response) => {
        // The body is of no interest.
        response.destroy();
        resolve(response.statusCode ?? 0);
      },
    );
    request.on('error', reject);
    request.end();
  });
}
