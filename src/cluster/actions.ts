// What controllers do to the cluster. Each action may be repeated: doing it twice is the same as doing it once.
import { isDeepStrictEqual } from 'node:util';
import type { ObjectMeta, TypedObject } from '../../crds/meta.ts';
import { ANNOTATIONS, JOB_TRACKING_FINALIZER, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/api-error.ts';
import type { Resource } from '../../kube/resource.ts';
import type { ApplyBody } from '../../kube/resource-types.ts';
import type { Pod } from './pod.ts';
import type { ClusterResources } from './types.ts';

export class ClusterActions {
  readonly #resources: ClusterResources;
  readonly #signal: AbortSignal;

  constructor(resources: ClusterResources, signal: AbortSignal) {
    this.#resources = resources;
    this.#signal = signal;
  }

  /** Somebody else's pod of the same name is found out by the next observation. */
  async createPod(pod: Pod): Promise<void> {
    await ignoring(isAlreadyExists, this.#resources.pods.create(pod, this.#options));
  }

  /**
   * Deletes this very pod.
   * @param unchanged only if nobody has touched it since it was read, a sign that it is in use
   */
  async deletePod(pod: Pod, unchanged: boolean, gracePeriodSeconds?: number): Promise<void> {
    const { namespace, name, uid = '', resourceVersion } = pod.metadata;
    const options = {
      ...this.#options,
      uid,
      ...(unchanged && resourceVersion !== undefined && { resourceVersion }),
      ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    };
    const gone = (error: unknown): boolean => isNotFound(error) || isConflict(error);
    await ignoring(gone, this.#resources.pods.delete({ namespace, name }, options));
  }

  /**
   * The Job controller counts no end of a pod without its finalizer: it takes it off the pods that it ends by itself,
   * too. Nothing for pods of others.
   */
  async uncountPod({ metadata }: Pod): Promise<void> {
    const { namespace, name, uid, resourceVersion = '', finalizers = [] } = metadata;
    const others = finalizers.filter((finalizer) => finalizer !== JOB_TRACKING_FINALIZER);
    if (others.length < finalizers.length) {
      const patch = { metadata: { uid, finalizers: others } };
      const options = { ...this.#options, resourceVersion };
      await this.#resources.pods.mergePatch({ namespace, name }, patch, options);
    }
  }

  /** Says that a holder is in use, so that nobody ends it as idle; Conflict if somebody just did. */
  async touchHolder(pod: Pod, lastUsed: string): Promise<void> {
    const { namespace, name, resourceVersion = '' } = pod.metadata;
    const patch = { metadata: { annotations: { [ANNOTATIONS.lastUsed]: lastUsed } } };
    await this.#resources.pods.mergePatch({ namespace, name }, patch, {
      ...this.#options,
      resourceVersion,
    });
  }

  /** Whoever holds the name works on the subject now; the next observation finds out. */
  async createTask(task: NodeTask): Promise<void> {
    await ignoring(isAlreadyExists, this.#resources.nodeTasks.create(task, this.#options));
  }

  async cancelTask(task: NodeTask): Promise<void> {
    const patch = { spec: { cancel: true } };
    const asked = this.#resources.nodeTasks.mergePatch(taskRef(task), patch, this.#options);
    await ignoring(isNotFound, asked);
  }

  /** The uid is a precondition, and the API server lets it be said only once. */
  async introduceSender(task: NodeTask, senderFingerprint: string): Promise<void> {
    const { uid } = task.metadata;
    const patch = { metadata: { uid }, spec: { receive: { senderFingerprint } } };
    const told = this.#resources.nodeTasks.mergePatch(taskRef(task), patch, this.#options);
    await ignoring(isNotFound, told);
  }

  async deleteTask(task: NodeTask): Promise<void> {
    const options = { ...this.#options, uid: task.metadata.uid ?? '' };
    const gone = (error: unknown): boolean => isNotFound(error) || isConflict(error);
    await ignoring(gone, this.#resources.nodeTasks.delete(taskRef(task), options));
  }

  async setFinalizers<T extends TypedObject>(
    resource: Resource<T>,
    metadata: ObjectMeta,
    finalizers: readonly string[],
  ): Promise<void> {
    const { namespace, name, resourceVersion = '' } = metadata;
    const patch = { metadata: { finalizers } };
    const options = { ...this.#options, resourceVersion };
    await ignoring(isNotFound, resource.mergePatch({ namespace, name }, patch, options));
  }

  /**
   * Writes a status, unless it is what is there already.
   * @returns whether something was written
   */
  async applyStatus<T extends TypedObject & { readonly status?: unknown }>(
    resource: Resource<T>,
    object: T,
    status: NonNullable<T['status']>,
  ): Promise<boolean> {
    if (isDeepStrictEqual(plain(status), plain(object.status ?? {}))) {
      return false;
    }
    const { namespace = '', name, uid = '' } = object.metadata;
    const body = {
      apiVersion: object.apiVersion,
      kind: object.kind,
      // With the uid: a new object of the same name must not get the status of the old one.
      metadata: { namespace, name, uid },
      status,
    } as unknown as ApplyBody<T>;
    await ignoring(isNotFound, resource.applyStatus(body, this.#options));
    return true;
  }

  get #options(): { readonly signal: AbortSignal } {
    return { signal: this.#signal };
  }
}

function taskRef(task: NodeTask): { readonly namespace: string; readonly name: string } {
  return { namespace: task.metadata.namespace ?? OPERATOR_NAMESPACE, name: task.metadata.name };
}

/** As it comes back from the API server: without undefined members. */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Waits for an action; an answer that is as good as success is none. */
export async function ignoring(
  harmless: (error: unknown) => boolean,
  action: Promise<unknown>,
): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!harmless(error)) {
      throw error;
    }
  }
}
