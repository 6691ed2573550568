// Hooks and probes of an object as its NodeTask has them: containers by their ids, the pod by its address (pure).
import {
  type Action,
  type Hook,
  HOOK_DEFAULTS,
  type Hooks,
  type RestoreHooks,
} from '../../crds/hook.ts';
import type { TaskAction, TaskHooks } from '../../crds/node-task.ts';
import { type Pod, statusOfContainer } from './pod.ts';

/** Where actions of an object happen. */
export interface HookTarget {
  readonly pod: Pod;
  /** saved ones; the first is the default */
  readonly containers: readonly string[];
}

export interface HookObjection {
  readonly reason: 'ContainerNotFound' | 'ContainerNotRunning' | 'PodUnsupported';
  readonly facts: string;
}

interface Located {
  /** path of the field */
  readonly field: string;
  readonly action: Action;
}

/** What stands against running them, if anything. */
export function hookObjection(
  hooks: Hooks | RestoreHooks | undefined,
  probe: Action | undefined,
  target: HookTarget,
): HookObjection | undefined {
  const all: readonly Located[] = [
    ...(['pre', 'post'] as const).flatMap((side) =>
      (hooks?.[side] ?? []).map((action, at) => ({ field: `spec.hooks.${side}[${at}]`, action })),
    ),
    ...(probe === undefined ? [] : [{ field: 'spec.verify.probe', action: probe }]),
  ];
  for (const located of all) {
    const objection = actionObjection(located, target);
    if (objection !== undefined) {
      return objection;
    }
  }
  return undefined;
}

function actionObjection(
  { field, action }: Located,
  { pod, containers }: HookTarget,
): HookObjection | undefined {
  if ('http' in action) {
    // That address is the node's: whoever is asked there need not be the pod.
    return pod.spec.hostNetwork === true
      ? { reason: 'PodUnsupported', facts: `${field}.http: the pod uses the network of its node` }
      : undefined;
  }
  const name = action.exec.container ?? containers[0] ?? '';
  const status = statusOfContainer(pod, name);
  if (status === undefined) {
    const facts = `${field}.exec.container: the pod has no container "${name}"`;
    return { reason: 'ContainerNotFound', facts };
  }
  return status.state?.running === undefined || status.containerID === undefined
    ? {
        reason: 'ContainerNotRunning',
        facts: `${field}.exec.container: container "${name}" does not run`,
      }
    : undefined;
}

/** Undefined without any. */
export function taskHooks(
  hooks: Hooks | RestoreHooks | undefined,
  target: HookTarget,
): TaskHooks | undefined {
  const side = (list: readonly Hook[] = []): TaskHooks['pre'] =>
    list.map((hook) => ({
      ...taskAction(hook, target),
      onError: hook.onError ?? HOOK_DEFAULTS.onError,
      timeoutSeconds: hook.timeoutSeconds ?? HOOK_DEFAULTS.timeoutSeconds,
    }));
  const both = { pre: side(hooks?.pre), post: side(hooks?.post) };
  return both.pre.length + both.post.length === 0 ? undefined : both;
}

export function taskAction(action: Action, { pod, containers }: HookTarget): TaskAction {
  if ('http' in action) {
    const { port, path = HOOK_DEFAULTS.path, method = HOOK_DEFAULTS.method } = action.http;
    return { http: { podIP: pod.status?.podIP ?? '', port, path, method } };
  }
  const { container: name = containers[0] ?? '', command } = action.exec;
  const { containerID = '', imageID = '' } = statusOfContainer(pod, name) ?? {};
  return { exec: { container: { name, containerID, imageID }, command } };
}
