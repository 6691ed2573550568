// A kind's objects kept in memory: list, then watch, for ever. Whatever breaks, it goes on until told to stop.
// The library's informer stops at the first error and has neither bookmarks nor pages (kubernetes.md 7.1).
import type { TypedObject } from '../crds/meta.ts';
import { ApiError, errorFromStatusObject, isGone } from './api-error.ts';
import { type BackoffPolicy, backoffMillis } from './backoff.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { abortable, Deadline } from './deadline.ts';
import { jsonLines } from './json-lines.ts';
import { objectKey } from './keys.ts';
import { type ChangeHandler, ObjectCache } from './object-cache.ts';
import type { ListOptions, ListResult, Selection, WatchOptions } from './resource-types.ts';
import type { HttpStream } from './transport.ts';

/** The figures of client-go's reflector. */
const BACKOFF: BackoffPolicy = { baseMillis: 800, maxMillis: 30_000 };
/**
 * On a quiet kind the first bookmark of Kubernetes 1.37 comes after 90 to 120 s, then one a minute. Kinds that the
 * server does not cache (events) have none: their watch is opened anew this often, which costs one request.
 * A dead connection is noticed sooner, by TCP keep-alive; this is for a server that is there and mute.
 */
const INACTIVITY_MILLIS = 180_000;
const WATCH_SECONDS = { min: 240, max: 300 } as const;
/** A watch that ends sooner, without a single event, is a failure in disguise: do not spin. */
const SHORT_WATCH_MILLIS = 1_000;
/** After so many refusals in a row the resourceVersion itself may be what the server dislikes. */
const REFUSALS_BEFORE_RELIST = 3;

/** What a ListWatch needs of a `Resource`. */
export interface Watchable<T extends TypedObject> {
  readonly type: { readonly plural: string };
  list(options: ListOptions): Promise<ListResult<T>>;
  watch(options: WatchOptions): Promise<HttpStream>;
}

export interface ListWatchOptions<T extends TypedObject> extends Selection {
  readonly resource: Watchable<T>;
  readonly pageSize?: number;
  readonly inactivityMillis?: number;
  readonly maxLineBytes?: number;
  readonly backoff?: BackoffPolicy;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** what to keep of each object; managed fields are dropped anyway */
  readonly trim?: (object: T) => T;
  /** told of every failure; the ListWatch deals with it by itself */
  readonly onError?: (error: unknown, stage: 'list' | 'watch' | 'handler') => void;
}

/** Only ever growing, except for `objects` and the times. For metrics. */
export interface ListWatchCounters {
  objects: number;
  events: number;
  /** complete lists, the first included */
  lists: number;
  /** lists made necessary by 410 or refusals */
  relists: number;
  /** watches opened after the first of each list */
  watchRestarts: number;
  /** watches given up because nothing came, not even a bookmark */
  silentWatches: number;
  failures: number;
  handlerErrors: number;
  /** wall clock, milliseconds; 0 before the first */
  lastEventAt: number;
  lastListAt: number;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

export class ListWatch<T extends TypedObject> {
  readonly counters: ListWatchCounters = {
    objects: 0,
    events: 0,
    lists: 0,
    relists: 0,
    watchRestarts: 0,
    silentWatches: 0,
    failures: 0,
    handlerErrors: 0,
    lastEventAt: 0,
    lastListAt: 0,
  };
  readonly #options: ListWatchOptions<T>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #cache: ObjectCache<T>;
  #watchesSinceList = 0;
  readonly #synced = Promise.withResolvers<void>();
  /** where the watch goes on; undefined: list first */
  #resourceVersion: string | undefined;
  #failuresInARow = 0;
  #refusalsInARow = 0;
  #hasSynced = false;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#cache = new ObjectCache<T>((error) => {
      this.counters.handlerErrors++;
      options.onError?.(error, 'handler');
    });
  }

  /** The plural of what is watched, for logs and metric labels. */
  get name(): string {
    return this.#options.resource.type.plural;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Resolves after the first complete list. @throws the signal's reason if that aborts first */
  async synced(signal: AbortSignal): Promise<void> {
    await abortable(this.#synced.promise, signal);
  }

  /** By `namespace/name`. May lag behind the API server; never ahead of it. */
  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  keys(): readonly string[] {
    return this.#cache.keys();
  }

  values(): readonly T[] {
    return this.#cache.values();
  }

  /** Calls back for everything known already and for each later change. */
  onChange(handler: ChangeHandler<T>): void {
    this.#cache.onChange(handler);
  }

  /** Runs until `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const stage = this.#resourceVersion === undefined ? 'list' : 'watch';
      try {
        await (stage === 'list' ? this.#list(signal) : this.#watch(signal));
      } catch (error) {
        if (!signal.aborted) {
          await this.#recover(error, stage, signal);
        }
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { resource, pageSize } = this.#options;
    const { items, resourceVersion } = await resource.list({
      ...this.#selection(),
      pageSize,
      signal,
    });
    this.#cache.replace(items.map((item) => this.#trim(item)));
    this.#resourceVersion = resourceVersion;
    this.#watchesSinceList = 0;
    this.counters.lists++;
    this.counters.lastListAt = this.#clock.now();
    this.counters.objects = this.#cache.size;
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    if (this.#watchesSinceList++ > 0) {
      this.counters.watchRestarts++;
    }
    const openedAt = this.#clock.monotonicMillis();
    const eventsBefore = this.counters.events;
    const end = await this.#follow(signal);
    const lastedMillis = this.#clock.monotonicMillis() - openedAt;
    const barren = this.counters.events === eventsBefore;
    if (end === 'ended' && barren && lastedMillis < SHORT_WATCH_MILLIS) {
      throw new Error(`the watch ended after ${Math.round(lastedMillis)} ms without an event`);
    }
    this.#settled();
  }

  /** Takes in events until the server ends the watch, it breaks, or nothing comes for too long. */
  async #follow(signal: AbortSignal): Promise<'ended' | 'silent'> {
    const { inactivityMillis = INACTIVITY_MILLIS, maxLineBytes } = this.#options;
    using watchdog = new Deadline(inactivityMillis, signal, this.#clock);
    try {
      const stream = await this.#open(watchdog.signal);
      for await (const line of jsonLines(stream.chunks, maxLineBytes)) {
        watchdog.restart();
        this.#take(line as WatchEvent);
      }
      return 'ended';
    } catch (error) {
      if (!watchdog.expired) {
        throw error;
      }
      this.counters.silentWatches++;
      return 'silent';
    }
  }

  async #open(signal: AbortSignal): Promise<HttpStream> {
    const span = WATCH_SECONDS.max - WATCH_SECONDS.min;
    return await this.#options.resource.watch({
      ...this.#selection(),
      resourceVersion: this.#resourceVersion ?? '',
      timeoutSeconds: WATCH_SECONDS.min + Math.floor(this.#random() * (span + 1)),
      signal,
    });
  }

  #take(event: WatchEvent): void {
    if (event.type === 'ERROR') {
      const subject = { verb: 'watch', resource: this.name, namespace: this.#options.namespace };
      throw errorFromStatusObject(subject, event.object);
    }
    const object = event.object as T;
    const resourceVersion = object.metadata.resourceVersion;
    if (resourceVersion === undefined) {
      throw new Error(`a ${event.type} event of ${this.name} has no resourceVersion`);
    }
    this.#settled();
    this.counters.events++;
    this.counters.lastEventAt = this.#clock.now();
    if (event.type === 'DELETED') {
      this.#cache.delete(objectKey(object.metadata));
    } else if (event.type !== 'BOOKMARK') {
      this.#cache.set(this.#trim(object));
    }
    // Only now: if a handler's work were lost, the event would come again.
    this.#resourceVersion = resourceVersion;
    this.counters.objects = this.#cache.size;
  }

  #settled(): void {
    this.#failuresInARow = 0;
    this.#refusalsInARow = 0;
  }

  async #recover(error: unknown, stage: 'list' | 'watch', signal: AbortSignal): Promise<void> {
    this.counters.failures++;
    this.#options.onError?.(error, stage);
    this.#failuresInARow++;
    this.#refusalsInARow += isRefusal(error) ? 1 : 0;
    const gone = isGone(error);
    if (stage === 'watch' && (gone || this.#refusalsInARow >= REFUSALS_BEFORE_RELIST)) {
      this.#resourceVersion = undefined;
      this.#refusalsInARow = 0;
      this.counters.relists++;
    }
    if (gone && this.#failuresInARow === 1) {
      return;
    }
    const policy = this.#options.backoff ?? BACKOFF;
    const askedMillis = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    const ownMillis = backoffMillis(policy, this.#failuresInARow, this.#random);
    await pause(this.#clock, Math.max(askedMillis, ownMillis), signal);
  }

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector };
  }

  #trim(object: T): T {
    const { managedFields: _dropped, ...metadata } = object.metadata as T['metadata'] & {
      managedFields?: unknown;
    };
    const trimmed = { ...object, metadata };
    return this.#options.trim?.(trimmed) ?? trimmed;
  }
}

/** The server said no, or nonsense: not a broken connection, not overload, not a server about to start. */
function isRefusal(error: unknown): boolean {
  return !(error instanceof ApiError) || ![0, 429, 503].includes(error.status);
}
