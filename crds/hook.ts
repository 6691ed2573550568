// Hooks: what the application is asked to do before and after it is saved or restored, and probes of a restored pod.
// Shared by Checkpoint and Restore, and by the NodeTasks made from them.

export type HookErrorPolicy = 'Fail' | 'Ignore';
export type HookMethod = 'GET' | 'POST';

export interface ExecAction {
  /** default: the first container that is saved */
  readonly container?: string;
  /** run as it is, without a shell; success is exit status 0 */
  readonly command: readonly string[];
}

/** Sent to the pod's own address, nowhere else; success is a status from 200 to 299. Redirects are not followed. */
export interface HttpAction {
  readonly port: number;
  readonly path?: string;
  readonly method?: HookMethod;
}

/** Exactly one action. */
export type Action = { readonly exec: ExecAction } | { readonly http: HttpAction };

export interface HookPolicy {
  /** what becomes of the whole when this hook fails */
  readonly onError?: HookErrorPolicy;
  readonly timeoutSeconds?: number;
}

export type Hook = Action & HookPolicy;
export type ExecHook = { readonly exec: ExecAction } & HookPolicy;

/** Run one after the other, in their order. */
export interface Hooks {
  readonly pre?: readonly Hook[];
  readonly post?: readonly Hook[];
}

/** Before a restore nobody answers by HTTP. */
export interface RestoreHooks {
  readonly pre?: readonly ExecHook[];
  readonly post?: readonly Hook[];
}

/** The defaults of the schema, for objects that did not pass through the API server. */
export const HOOK_DEFAULTS = {
  path: '/',
  method: 'POST',
  onError: 'Fail',
  timeoutSeconds: 10,
} as const;
