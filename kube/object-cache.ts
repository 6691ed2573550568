// The objects of a kind as last heard of, by key. Tells its listeners what changed, in order.
import type { TypedObject } from '../crds/meta.ts';
import { objectKey } from './keys.ts';

/** `old` undefined: added. `current` undefined: gone. Must not throw, and should only put keys into a queue. */
export type ChangeHandler<T> = (key: string, old: T | undefined, current: T | undefined) => void;

export class ObjectCache<T extends TypedObject> {
  readonly #objects = new Map<string, T>();
  readonly #handlers: ChangeHandler<T>[] = [];
  readonly #onHandlerError: (error: unknown) => void;

  constructor(onHandlerError: (error: unknown) => void) {
    this.#onHandlerError = onHandlerError;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): readonly string[] {
    return [...this.#objects.keys()];
  }

  values(): readonly T[] {
    return [...this.#objects.values()];
  }

  /** Calls back for everything known already, as if just added, and for each later change. */
  onChange(handler: ChangeHandler<T>): void {
    this.#handlers.push(handler);
    for (const [key, object] of this.#objects) {
      this.#call(handler, key, undefined, object);
    }
  }

  /** Takes in one object. A new uid under an old key is a deletion (which we missed) and an addition. */
  set(object: T): void {
    const key = objectKey(object.metadata);
    const old = this.#objects.get(key);
    if (old !== undefined && old.metadata.uid !== object.metadata.uid) {
      this.delete(key);
      this.set(object);
      return;
    }
    if (old !== undefined && old.metadata.resourceVersion === object.metadata.resourceVersion) {
      return;
    }
    this.#objects.set(key, object);
    this.#notify(key, old, object);
  }

  delete(key: string): void {
    const old = this.#objects.get(key);
    if (old !== undefined) {
      this.#objects.delete(key);
      this.#notify(key, old, undefined);
    }
  }

  /** Becomes exactly `objects`. */
  replace(objects: readonly T[]): void {
    const kept = new Set(objects.map((object) => objectKey(object.metadata)));
    for (const key of this.#objects.keys()) {
      if (!kept.has(key)) {
        this.delete(key);
      }
    }
    for (const object of objects) {
      this.set(object);
    }
  }

  #notify(key: string, old: T | undefined, current: T | undefined): void {
    for (const handler of this.#handlers) {
      this.#call(handler, key, old, current);
    }
  }

  #call(handler: ChangeHandler<T>, key: string, old: T | undefined, current: T | undefined): void {
    try {
      handler(key, old, current);
    } catch (error) {
      // One bad handler must not cut the others, or the watch, off from the truth.
      this.#onHandlerError(error);
    }
  }
}
