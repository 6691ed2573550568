import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ApiError } from './api-error.ts';
import { pause, untilAborted } from './clock.ts';
import { LEASES, LeaderElection, type Lease, type LeaderElectionOptions } from './lease.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { LeaseStore } from './testing/lease-store.ts';
import { until } from './testing/until.ts';

const REF = { namespace: 'system', name: 'controller' };

function candidate(
  store: LeaseStore,
  clock: FakeClock,
  identity: string,
  options: Partial<LeaderElectionOptions> = {},
): LeaderElection {
  return new LeaderElection({
    leases: store,
    lease: REF,
    identity,
    clock,
    random: () => 0,
    ...options,
  });
}

let clock: FakeClock;
let store: LeaseStore;
let abort: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  store = new LeaseStore();
  abort = new AbortController();
});
afterEach(() => abort.abort());

const holder = () => store.lease?.spec?.holderIdentity;

describe('one candidate', () => {
  it('creates the lease, renews at a third of its duration, and gives it back', async () => {
    const election = candidate(store, clock, 'a');
    const ended = election.lead(abort.signal, untilAborted);
    await clock.advance(0);
    assert.ok(election.leads);
    const { spec } = store.lease ?? {};
    assert.deepEqual(
      [spec?.holderIdentity, spec?.leaseDurationSeconds, spec?.leaseTransitions],
      ['a', 15, 0],
    );
    assert.equal(spec?.renewTime, '2030-01-01T00:00:00.000000Z');
    await clock.advance(5_000);
    assert.equal(store.lease?.spec?.renewTime, '2030-01-01T00:00:05.000000Z');
    assert.equal(store.lease?.spec?.acquireTime, spec?.acquireTime);
    abort.abort();
    assert.equal(await ended, 'stopped');
    assert.deepEqual([holder(), store.lease?.spec?.leaseDurationSeconds], ['', 1]);
    assert.ok(!election.leads);
    assert.equal(clock.timers, 0);
  });

  it('keeps the lease until the work has really ended', async () => {
    const work = Promise.withResolvers<void>();
    const ended = candidate(store, clock, 'a').lead(abort.signal, () => work.promise);
    await clock.advance(0);
    abort.abort();
    await clock.advance(60_000);
    assert.equal(holder(), 'a');
    assert.equal(store.lease?.spec?.renewTime, '2030-01-01T00:01:00.000000Z');
    work.resolve();
    assert.equal(await ended, 'stopped');
    assert.equal(holder(), '');
  });

  it('ends with its work, and passes its failure on', async () => {
    const election = candidate(store, clock, 'a');
    assert.equal(await election.lead(abort.signal, () => Promise.resolve()), 'finished');
    const failure = new Error('work failed');
    await assert.rejects(
      election.lead(abort.signal, () => Promise.reject(failure)),
      (error) => error === failure,
    );
    assert.equal(holder(), '');
  });

  it('stops waiting when told to', async () => {
    store.broken = true;
    const ended = candidate(store, clock, 'a').lead(abort.signal, untilAborted);
    await clock.advance(10_000);
    abort.abort();
    assert.equal(await ended, 'stopped');
  });

  it('stops its work at the renew deadline, before anybody else may begin', async () => {
    const election = candidate(store, clock, 'a');
    let stoppedAt = Number.POSITIVE_INFINITY;
    const ended = election.lead(abort.signal, async (signal) => {
      await untilAborted(signal);
      stoppedAt = clock.monotonicMillis();
    });
    await clock.advance(5_000);
    store.broken = true;
    await clock.advance(9_999);
    assert.ok(election.leads);
    await clock.advance(1);
    assert.ok(!election.leads);
    assert.equal(await ended, 'lost');
    assert.equal(stoppedAt, 15_000);
  });

  it('counts from when a renewal was sent, not from when its answer came', async () => {
    const election = candidate(store, clock, 'a');
    const ended = election.lead(abort.signal, untilAborted);
    await clock.advance(0);
    store.wayBack = () => pause(clock, 2_000, abort.signal);
    await clock.advance(7_000);
    store.broken = true;
    await clock.advance(7_999);
    assert.ok(election.leads);
    await clock.advance(1);
    assert.ok(!election.leads);
    assert.equal(await ended, 'lost');
  });

  it('survives failed renewals that succeed in time', async () => {
    const election = candidate(store, clock, 'a');
    const ended = election.lead(abort.signal, untilAborted);
    await clock.advance(0);
    store.broken = true;
    await clock.advance(8_500);
    store.broken = false;
    await clock.advance(60_000);
    assert.ok(election.leads);
    abort.abort();
    assert.equal(await ended, 'stopped');
  });

  it('survives a renewal whose answer was lost', async () => {
    const errors: unknown[] = [];
    const election = candidate(store, clock, 'a', { onError: (error) => errors.push(error) });
    const ended = election.lead(abort.signal, untilAborted);
    await clock.advance(0);
    // Written on the server, but we do not know the new version.
    store.lease = { ...store.lease, metadata: { ...REF, resourceVersion: 'x' } } as Lease;
    await clock.advance(60_000);
    assert.ok(election.leads);
    assert.deepEqual(errors, []);
    abort.abort();
    await ended;
  });

  it('creates a deleted lease again', async () => {
    const election = candidate(store, clock, 'a');
    const ended = election.lead(abort.signal, untilAborted);
    await clock.advance(0);
    store.lease = undefined;
    await clock.advance(7_000);
    assert.equal(holder(), 'a');
    assert.ok(election.leads);
    abort.abort();
    await ended;
  });

  it('stops at once when it sees another holder', async () => {
    const ended = candidate(store, clock, 'a').lead(abort.signal, untilAborted);
    await clock.advance(0);
    store.lease = {
      ...store.lease,
      metadata: { ...REF, resourceVersion: 'stolen' },
      spec: { ...store.lease?.spec, holderIdentity: 'thief' },
    } as Lease;
    await clock.advance(5_000);
    assert.equal(await ended, 'lost');
    assert.equal(holder(), 'thief');
  });
});

describe('two candidates', () => {
  it('the second takes over at once after a good end', async () => {
    const seen: string[] = [];
    const first = candidate(store, clock, 'a').lead(abort.signal, untilAborted);
    await clock.advance(0);
    const other = new AbortController();
    const second = candidate(store, clock, 'b', { onHolder: (name) => seen.push(name) });
    const ended = second.lead(other.signal, untilAborted);
    await clock.advance(30_000);
    assert.ok(!second.leads);
    abort.abort();
    await first;
    await clock.advance(3_000);
    assert.ok(second.leads);
    assert.equal(store.lease?.spec?.leaseTransitions, 1);
    assert.deepEqual(seen, ['a', '']);
    other.abort();
    await ended;
  });

  it('the second waits the whole duration by its own clock, whatever the times in the lease say', async () => {
    store.lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...REF, resourceVersion: '7' },
      spec: {
        holderIdentity: 'dead',
        leaseDurationSeconds: 15,
        renewTime: '2001-01-01T00:00:00.000000Z',
      },
    };
    const election = candidate(store, clock, 'b');
    const ended = election.lead(abort.signal, untilAborted);
    await clock.advance(14_999);
    assert.ok(!election.leads);
    await clock.advance(3_000);
    assert.ok(election.leads);
    abort.abort();
    await ended;
  });
});

it('five candidates under a failing API server never work at the same time', async () => {
  let seed = 42;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  let working = 0;
  let terms = 0;
  const partitioned = new Set<string>();
  const ends = ['a', 'b', 'c', 'd', 'e'].map(async (identity) => {
    while (!abort.signal.aborted) {
      const leases = {
        get: () => cut(identity) ?? store.get(),
        create: (lease: Lease) => cut(identity) ?? store.create(lease),
        update: (lease: Lease) => cut(identity) ?? store.update(lease),
      };
      const election = candidate(store, clock, identity, { leases, random });
      await election.lead(abort.signal, async (signal) => {
        assert.equal(++working, 1, `${identity} works beside another`);
        terms++;
        await untilAborted(signal);
        working--;
      });
    }
  });
  const cut = (identity: string): Promise<never> | undefined =>
    partitioned.has(identity)
      ? Promise.reject(new ApiError({ status: 0, reason: 'x', verb: '', resource: '', detail: '' }))
      : undefined;
  for (let second = 0; second < 2000; second++) {
    if (random() < 0.05) {
      partitioned.add(holder() ?? 'a');
    }
    if (random() < 0.03) {
      partitioned.clear();
    }
    store.broken = random() < 0.2;
    await clock.advance(1000);
  }
  assert.ok(terms > 10, `only ${terms} terms: the test tests nothing`);
  abort.abort();
  await Promise.all(ends);
  assert.equal(working, 0);
});

it('works with an API server', async () => {
  await using server = await FakeApiServer.start({
    kinds: [{ ...LEASES, kind: 'Lease', statusSubresource: false }],
  });
  const client = server.client();
  const elect = (identity: string): LeaderElection =>
    new LeaderElection({
      leases: client.resource<Lease>(LEASES),
      lease: REF,
      identity,
      leaseMillis: 1000,
    });
  const first = elect('a');
  const second = elect('b');
  const other = new AbortController();
  const ended = [first.lead(abort.signal, untilAborted), second.lead(other.signal, untilAborted)];
  await until('a leader', () => first.leads || second.leads);
  const [leaderAbort, follower] = first.leads ? [abort, second] : [other, first];
  assert.ok(!follower.leads);
  leaderAbort.abort();
  await until('the next leader', () => follower.leads);
  abort.abort();
  other.abort();
  await Promise.all(ended);
  await settle();
  assert.equal(server.peek<Lease>(LEASES, REF)?.spec?.holderIdentity, '');
  client.close();
});
