// Waits until one object is as wished: what `kubectl wait` does, with any predicate.
import type { TypedObject } from '../crds/meta.ts';
import { type Clock, systemClock } from './clock.ts';
import { abortable, Deadline } from './deadline.ts';
import { objectKey, type ObjectRef } from './keys.ts';
import { ListWatch, type Watchable } from './list-watch.ts';

export interface WaitOptions {
  readonly timeoutMillis: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** told of every failure on the way; waiting goes on */
  readonly onError?: (error: unknown) => void;
}

/** The time was over first. `last` is the object as seen last, undefined if there was none. */
export class WaitTimeout extends Error {
  readonly last: TypedObject | undefined;

  constructor(message: string, last: TypedObject | undefined) {
    super(message);
    this.name = 'WaitTimeout';
    this.last = last;
  }
}

/**
 * Watches one object until `isDone` says yes to it.
 * @param isDone gets undefined while there is no such object, so that one can wait for its end
 * @returns the object that satisfied `isDone`
 * @throws WaitTimeout; the signal's reason when aborted; what `isDone` throws, to give up early
 */
export async function waitForObject<T extends TypedObject>(
  resource: Watchable<T>,
  ref: ObjectRef,
  isDone: (object: T | undefined) => boolean,
  options: WaitOptions,
): Promise<T | undefined> {
  const clock = options.clock ?? systemClock;
  using deadline = new Deadline(options.timeoutMillis, options.signal, clock);
  const stop = new AbortController();
  const key = objectKey(ref);
  const done = Promise.withResolvers<T | undefined>();
  const look = (object: T | undefined): void => {
    try {
      if (isDone(object)) {
        done.resolve(object);
      }
    } catch (error) {
      done.reject(error);
    }
  };
  const listWatch = new ListWatch<T>({
    resource,
    namespace: ref.namespace,
    fieldSelector: `metadata.name=${ref.name}`,
    clock,
    ...(options.onError === undefined ? {} : { onError: options.onError }),
  });
  listWatch.onChange((_key, _old, current) => look(current));
  const running = listWatch.run(stop.signal);
  try {
    await listWatch.synced(deadline.signal);
    look(listWatch.get(key));
    return await abortable(done.promise, deadline.signal);
  } catch (error) {
    if (deadline.expired) {
      throw new WaitTimeout(
        `${listWatch.name} ${key} is not as wished after ${options.timeoutMillis} ms`,
        listWatch.get(key),
      );
    }
    throw error;
  } finally {
    stop.abort();
    await running;
  }
}
