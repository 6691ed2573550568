// Events for people (events.k8s.io/v1): what happened to an object, repeated ones as one series.
// Best effort: never in the way of the work, bounded, and lost rather than waited for.
import { randomBytes } from 'node:crypto';
import type { TypedObject } from '../crds/meta.ts';
import { isAlreadyExists, isNotFound, isTransient } from './api-error.ts';
import { type Clock, formatMicroTime, pause, systemClock } from './clock.ts';
import type { Resource } from './resource.ts';
import type { ResourceType } from './resource-types.ts';

export const EVENTS: ResourceType = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  namespaced: true,
};

/** A repetition within this time continues the series; as client-go. */
const SERIES_MILLIS = 6 * 60_000;
/** A running series is written at most this often. */
const SERIES_WRITE_MILLIS = 10_000;
const MAX_SERIES = 1_000;
const MAX_NOTE_BYTES = 1024;
const ATTEMPTS = 3;
const RETRY_MILLIS = 1_000;
const REQUEST_MILLIS = 5_000;
const FLUSH_MILLIS = 3_000;

/** core/v1 ObjectReference: which object an event is about. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

export interface KubeEvent extends TypedObject {
  readonly eventTime: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  readonly regarding: ObjectReference;
  readonly related?: ObjectReference;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

export interface Occurrence {
  readonly regarding: ObjectReference;
  /** the other object involved, for instance the pod of a Checkpoint */
  readonly related?: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  /** why, CamelCase, for machines */
  readonly reason: string;
  /** what was done or failed, CamelCase */
  readonly action: string;
  /** the sentence for people; cut at 1 KiB */
  readonly note: string;
}

export interface EventRecorderOptions {
  readonly events: Pick<Resource<KubeEvent>, 'create' | 'mergePatch'>;
  /** `diapause.dev/controller` */
  readonly reportingController: string;
  /** the pod's name */
  readonly reportingInstance: string;
  readonly clock?: Clock;
  readonly onError?: (error: unknown) => void;
}

export interface EventCounters {
  recorded: number;
  written: number;
  /** thrown away: too many at once, or the API server did not take them */
  dropped: number;
}

interface Series {
  readonly occurrence: Occurrence;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  name: string;
  created: boolean;
  writtenCount: number;
  /** monotonic */
  writtenAt: number;
}

export class EventRecorder {
  readonly counters: EventCounters = { recorded: 0, written: 0, dropped: 0 };
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  /** in order of the last occurrence */
  readonly #series = new Map<string, Series>();
  #wake: () => void = () => undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Notes that something happened. Returns at once; `run` writes it. */
  record(occurrence: Occurrence): void {
    this.counters.recorded++;
    const now = this.#clock.now();
    const key = JSON.stringify(occurrence);
    const known = this.#series.get(key);
    const going = known !== undefined && now - known.lastAt < SERIES_MILLIS ? known : undefined;
    const series = going ?? newSeries(occurrence, now);
    series.count++;
    series.lastAt = now;
    // To the end of the line: the map's order is the order of forgetting.
    this.#series.delete(key);
    this.#series.set(key, series);
    this.#forget(now);
    this.#wake();
  }

  /** Writes events until `signal` aborts, and what is left for some seconds after. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#writeDue(signal, SERIES_WRITE_MILLIS);
      await this.#idle(signal);
    }
    await this.#writeDue(AbortSignal.timeout(FLUSH_MILLIS), 0);
  }

  /** Sleeps until something new is recorded or a series is due. */
  async #idle(signal: AbortSignal): Promise<void> {
    const waits = [...this.#series.values()].map((series) => this.#dueIn(series));
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    this.#wake = wake;
    signal.addEventListener('abort', wake);
    if (!signal.aborted) {
      await pause(this.#clock, Math.min(...waits), woken.signal);
    }
    signal.removeEventListener('abort', wake);
    this.#wake = () => undefined;
  }

  /** Milliseconds until a series is to be written: 0 at once, Infinity never. */
  #dueIn(series: Series, intervalMillis = SERIES_WRITE_MILLIS): number {
    return series.writtenCount === series.count
      ? Number.POSITIVE_INFINITY
      : Math.max(0, series.writtenAt + intervalMillis - this.#clock.monotonicMillis());
  }

  async #writeDue(signal: AbortSignal, intervalMillis: number): Promise<void> {
    for (const [key, series] of [...this.#series]) {
      if (signal.aborted) {
        return;
      }
      const due = this.#dueIn(series, intervalMillis) === 0;
      if (due && !(await this.#write(series, signal)) && !signal.aborted) {
        this.counters.dropped++;
        this.#series.delete(key);
      }
    }
  }

  async #write(series: Series, signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; attempt <= ATTEMPTS && !signal.aborted; attempt++) {
      const count = series.count;
      try {
        await (series.created ? this.#continue(series, signal) : this.#create(series, signal));
        series.writtenCount = count;
        series.writtenAt = this.#clock.monotonicMillis();
        this.counters.written++;
        return true;
      } catch (error) {
        if (isNotFound(error) && series.created) {
          // The event of the series has expired on the server: begin another.
          Object.assign(series, {
            created: false,
            name: eventName(series.occurrence, series.lastAt),
          });
          continue;
        }
        this.#options.onError?.(error);
        if (!isTransient(error)) {
          return false;
        }
        await pause(this.#clock, RETRY_MILLIS * attempt, signal);
      }
    }
    return false;
  }

  async #create(series: Series, signal: AbortSignal): Promise<void> {
    const { regarding, related, note, ...rest } = series.occurrence;
    const event: KubeEvent = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace: namespaceOf(series), name: series.name },
      eventTime: formatMicroTime(series.firstAt),
      regarding,
      ...(related === undefined ? {} : { related }),
      ...rest,
      note: cut(note, MAX_NOTE_BYTES),
      reportingController: this.#options.reportingController,
      reportingInstance: this.#options.reportingInstance,
      ...(series.count > 1 ? { series: seriesOf(series) } : {}),
    };
    try {
      await this.#options.events.create(event, { signal, timeoutMillis: REQUEST_MILLIS });
    } catch (error) {
      // The answer to an earlier attempt was lost.
      if (!isAlreadyExists(error)) {
        throw error;
      }
    }
    series.created = true;
  }

  async #continue(series: Series, signal: AbortSignal): Promise<void> {
    const ref = { namespace: namespaceOf(series), name: series.name };
    const options = { signal, timeoutMillis: REQUEST_MILLIS };
    await this.#options.events.mergePatch(ref, { series: seriesOf(series) }, options);
  }

  #forget(now: number): void {
    for (const [key, series] of this.#series) {
      const written = series.writtenCount === series.count;
      const over = now - series.lastAt >= SERIES_MILLIS;
      if (this.#series.size <= MAX_SERIES && !(over && written)) {
        return;
      }
      this.counters.dropped += written ? 0 : 1;
      this.#series.delete(key);
    }
  }
}

/** The reference to an object as read from the API server. */
export function referenceTo(object: TypedObject): ObjectReference {
  const { apiVersion, kind, metadata } = object;
  const { namespace, name, uid } = metadata;
  return {
    apiVersion,
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  };
}

function newSeries(occurrence: Occurrence, now: number): Series {
  return {
    occurrence,
    firstAt: now,
    lastAt: now,
    count: 0,
    name: eventName(occurrence, now),
    created: false,
    writtenCount: 0,
    writtenAt: Number.NEGATIVE_INFINITY,
  };
}

/** Unlike any other, and saying whose event it is: names are at most 253 long. */
function eventName({ regarding }: Occurrence, now: number): string {
  const suffix = `${now.toString(16)}${randomBytes(4).toString('hex')}`;
  return `${regarding.name.slice(0, 200)}.${suffix}`;
}

/** Events of cluster-scoped objects live in `default`; the API server insists. */
function namespaceOf({ occurrence }: Series): string {
  return occurrence.regarding.namespace ?? 'default';
}

function seriesOf(series: Series): NonNullable<KubeEvent['series']> {
  return { count: series.count, lastObservedTime: formatMicroTime(series.lastAt) };
}

/** At most `maxBytes` of UTF-8, never half a character. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) {
    return text;
  }
  const kept = bytes.subarray(0, maxBytes - 3).toString('utf8');
  return `${kept.replace(/\uFFFD+$/, '')}...`;
}
