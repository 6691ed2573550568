// Leader election on a coordination.k8s.io/v1 Lease: at most one process works, or none.
//
// Safe against clocks that differ: times in the Lease are for people. Whoever waits measures, on the own monotonic
// clock, how long the record has not changed; whoever leads stops at the renew deadline, counted from before the
// last successful renewal was sent, which is well before anybody else may take over (as client-go does).
import type { TypedObject } from '../crds/meta.ts';
import { isAlreadyExists, isConflict, isNotFound } from './api-error.ts';
import { type Clock, formatMicroTime, pause, systemClock } from './clock.ts';
import type { ObjectRef } from './keys.ts';
import type { Resource } from './resource.ts';
import type { ResourceType } from './resource-types.ts';

export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  namespaced: true,
};

const LEASE_MILLIS = 15_000;

export interface Lease extends TypedObject {
  readonly spec?: LeaseSpec;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface LeaderElectionOptions {
  readonly leases: Pick<Resource<Lease>, 'get' | 'create' | 'update'>;
  readonly lease: ObjectRef;
  /** unique among the candidates: the pod's name and uid */
  readonly identity: string;
  /** others take over this long after the last renewal; a multiple of 1 s; default 15 s */
  readonly leaseMillis?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** told of every failed request */
  readonly onError?: (error: unknown) => void;
  /** told when somebody else, or nobody (''), is seen to hold the lease */
  readonly onHolder?: (identity: string) => void;
}

/** `stopped`: the caller's signal. `finished`: the work ended by itself. `lost`: somebody else may lead now. */
export type LeadershipEnd = 'stopped' | 'finished' | 'lost';

type Attempt = 'held' | 'taken' | 'failed';

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #leaseMillis: number;
  /** as last read or written */
  #seen: Lease | undefined;
  /** when #seen was first seen, on the monotonic clock */
  #seenAt = 0;
  /** when the last successful renewal was sent, on the monotonic clock */
  #renewedAt: number | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#leaseMillis = options.leaseMillis ?? LEASE_MILLIS;
  }

  /** True while nobody else can be leading. */
  get leads(): boolean {
    return this.#renewedAt !== undefined && this.#clock.monotonicMillis() < this.#renewDeadline;
  }

  /**
   * Waits to become the leader, then runs `work` once.
   * @param work its signal aborts when leadership may be lost or `signal` aborts; it should end soon then.
   *   The lease is held until it has ended, so that a graceful end is protected, too.
   * @throws what `work` throws, after the lease was given back
   */
  async lead(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<LeadershipEnd> {
    if (!(await this.#acquire(signal))) {
      return 'stopped';
    }
    const abort = new AbortController();
    const stop = (): void => abort.abort(signal.reason);
    signal.addEventListener('abort', stop);
    const ended = new AbortController();
    const keeping = this.#keep(abort, ended.signal);
    try {
      if (signal.aborted) {
        stop();
      }
      await work(abort.signal);
    } finally {
      signal.removeEventListener('abort', stop);
      ended.abort();
      await keeping;
      await this.#release();
    }
    return signal.aborted ? 'stopped' : abort.signal.aborted ? 'lost' : 'finished';
  }

  get #renewDeadline(): number {
    return (this.#renewedAt ?? 0) + (this.#leaseMillis * 2) / 3;
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const random = this.#options.random ?? Math.random;
    while (!signal.aborted) {
      if ((await this.#attempt(signal)) === 'held') {
        return true;
      }
      await pause(this.#clock, (this.#leaseMillis / 5) * (1 + random() * 0.2), signal);
    }
    return false;
  }

  /** Renews until `ended` aborts; aborts `work` at the renew deadline or when somebody else holds the lease. */
  async #keep(work: AbortController, ended: AbortSignal): Promise<void> {
    const lost = new AbortController();
    const lose = (why: string): void => {
      lost.abort();
      work.abort(new Error(`leadership lost: ${why}`));
    };
    let attempt: Attempt = 'held';
    while (!ended.aborted && !lost.signal.aborted) {
      const leftMillis = this.#renewDeadline - this.#clock.monotonicMillis();
      const timer = this.#clock.setTimer(leftMillis, () => lose('could not renew in time'));
      // A failed renewal is repeated sooner: there is time for several before the deadline.
      await pause(this.#clock, this.#leaseMillis / (attempt === 'held' ? 3 : 15), ended);
      attempt = ended.aborted ? attempt : await this.#attempt(ended);
      timer.cancel();
      if (attempt === 'taken') {
        lose(`${this.#seen?.spec?.holderIdentity ?? 'nobody'} holds the lease`);
      }
    }
    if (lost.signal.aborted) {
      this.#renewedAt = undefined;
    }
  }

  /** Takes or renews the lease if we may. */
  async #attempt(signal: AbortSignal): Promise<Attempt> {
    const sentAt = this.#clock.monotonicMillis();
    try {
      if (this.#renewedAt === undefined) {
        await this.#look(signal);
      }
      if (!this.#mayTake()) {
        return 'taken';
      }
      await this.#write(this.#claim(), signal);
      this.#renewedAt = sentAt;
      return 'held';
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error)) {
        return await this.#afterConflict(signal);
      }
      if (isNotFound(error)) {
        // Somebody deleted the lease: the next attempt creates it, unless another candidate was faster.
        this.#seen = undefined;
      }
      this.#options.onError?.(error);
      return 'failed';
    }
  }

  /** Somebody wrote between our reading and our writing: see who. */
  async #afterConflict(signal: AbortSignal): Promise<Attempt> {
    try {
      await this.#look(signal);
      return this.#mayTake() ? 'failed' : 'taken';
    } catch (error) {
      this.#options.onError?.(error);
      return 'failed';
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { leases, lease } = this.#options;
    try {
      this.#note(await leases.get(lease, { signal, timeoutMillis: this.#requestMillis }));
    } catch (error) {
      if (!isNotFound(error)) {
        throw error;
      }
      this.#seen = undefined;
    }
  }

  #note(lease: Lease): void {
    const changed = this.#seen?.metadata.resourceVersion !== lease.metadata.resourceVersion;
    const before = this.#seen?.spec?.holderIdentity;
    this.#seen = lease;
    if (changed) {
      this.#seenAt = this.#clock.monotonicMillis();
    }
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder !== before && holder !== this.#options.identity) {
      this.#options.onHolder?.(holder);
    }
  }

  #mayTake(): boolean {
    const { holderIdentity = '', leaseDurationSeconds = 0 } = this.#seen?.spec ?? {};
    if (holderIdentity === '' || holderIdentity === this.#options.identity) {
      return true;
    }
    return this.#clock.monotonicMillis() >= this.#seenAt + leaseDurationSeconds * 1000;
  }

  #claim(): LeaseSpec {
    const now = formatMicroTime(this.#clock.now());
    const old = this.#seen?.spec ?? {};
    const ours = old.holderIdentity === this.#options.identity;
    const transitions = old.leaseTransitions ?? 0;
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#leaseMillis / 1000),
      acquireTime: ours ? (old.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: ours || this.#seen === undefined ? transitions : transitions + 1,
    };
  }

  async #write(spec: LeaseSpec, signal?: AbortSignal): Promise<void> {
    const { leases, lease } = this.#options;
    const options = { signal, timeoutMillis: this.#requestMillis };
    const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
    const written =
      this.#seen === undefined
        ? await leases.create({ ...kind, metadata: metadataOf(lease), spec }, options)
        : await leases.update({ ...this.#seen, spec }, options);
    this.#note(written);
  }

  /** A request that takes longer must not use up the time for the next one. */
  get #requestMillis(): number {
    return this.#leaseMillis / 6;
  }

  /** Best effort: whoever waits need not wait for the lease to run out. */
  async #release(): Promise<void> {
    this.#renewedAt = undefined;
    if (this.#seen?.spec?.holderIdentity !== this.#options.identity) {
      return;
    }
    try {
      await this.#write({ ...this.#claim(), holderIdentity: '', leaseDurationSeconds: 1 });
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}

function metadataOf({ namespace, name }: ObjectRef): Lease['metadata'] {
  return namespace === undefined ? { name } : { namespace, name };
}
