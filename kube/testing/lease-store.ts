// One Lease in memory, with the API server's rules for it, for tests that move time by hand.
import { ApiError } from '../api-error.ts';
import type { Lease } from '../lease.ts';

/** Leases in memory, with the API server's rules, without time of their own. */
export class LeaseStore {
  lease: Lease | undefined;
  /** while true every request fails */
  broken = false;
  /** asked for before each answer: a slow way back */
  wayBack: () => Promise<void> = () => Promise.resolve();
  #version = 0;

  get(): Promise<Lease> {
    return this.#answer(() => this.lease ?? refuse(404, 'NotFound'));
  }

  create(lease: Lease): Promise<Lease> {
    return this.#answer(() =>
      this.lease === undefined ? this.#put(lease) : refuse(409, 'AlreadyExists'),
    );
  }

  update(lease: Lease): Promise<Lease> {
    return this.#answer(() => {
      if (this.lease === undefined) {
        return refuse(404, 'NotFound');
      }
      const current = this.lease.metadata.resourceVersion === lease.metadata.resourceVersion;
      return current ? this.#put(lease) : refuse(409, 'Conflict');
    });
  }

  #put(lease: Lease): Lease {
    const resourceVersion = String(++this.#version);
    this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion } };
    return this.lease;
  }

  async #answer(act: () => Lease): Promise<Lease> {
    await Promise.resolve();
    const answer = this.broken ? refuse(0, 'ConnectionFailed') : act();
    await this.wayBack();
    return answer;
  }
}

function refuse(status: number, reason: string): never {
  throw new ApiError({ status, reason, verb: 'x', resource: 'leases', detail: '' });
}
