// Does what a hook or a probe says, once.
import type { TaskAction, TaskPod } from '../../../crds/node-task.ts';
import { Deadline } from '../../../kube/deadline.ts';
import { TaskFailure } from '../../task-failure.ts';
import type { Tools } from '../task-context.ts';
import { requestPod } from './http-request.ts';

/** Of what a failed command says; the rest is in nobody's interest, and may be long. */
const MAX_SAID_CHARACTERS = 200;

export interface ActionContext {
  readonly tools: Pick<Tools, 'exec' | 'findContainer'>;
  readonly pod: TaskPod;
  readonly signal: AbortSignal;
  readonly sharesProcessNamespace?: boolean;
}

/** @throws TaskFailure HookFailed, or why the container cannot be found; the signal's reason */
export async function perform(
  action: TaskAction,
  timeoutSeconds: number,
  context: ActionContext,
): Promise<void> {
  using deadline = new Deadline(timeoutSeconds * 1000, context.signal);
  try {
    if ('exec' in action) {
      await execute(action.exec, timeoutSeconds, context);
    } else {
      await requestPod(action.http, deadline.signal);
    }
  } catch (error) {
    context.signal.throwIfAborted();
    throw deadline.expired && !(error instanceof TaskFailure)
      ? new TaskFailure('HookFailed', `no answer within ${timeoutSeconds} s`, { cause: error })
      : error;
  }
}

type ExecAction = Extract<TaskAction, { readonly exec: unknown }>['exec'];

async function execute(
  { container, command }: ExecAction,
  timeoutSeconds: number,
  { tools, pod, signal, sharesProcessNamespace = false }: ActionContext,
): Promise<void> {
  // Found anew each time: the id must be one of this very pod.
  using found = await tools.findContainer(container, { pod, signal, sharesProcessNamespace });
  const containerId = found.id.hex;
  const { exitCode, stderr } = await tools.exec({ containerId, command, timeoutSeconds }, signal);
  if (exitCode !== 0) {
    const said = stderr.trim().slice(0, MAX_SAID_CHARACTERS);
    const facts = `${command[0]} in container ${container.name} ended with status ${exitCode}`;
    throw new TaskFailure('HookFailed', said === '' ? facts : `${facts}: ${said}`);
  }
}
