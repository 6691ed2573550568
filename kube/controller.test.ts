import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ApiError } from './api-error.ts';
import { untilAborted } from './clock.ts';
import {
  Controller,
  type ControllerHooks,
  type ControllerOptions,
  GONE,
  type Reconciler,
  TerminalError,
} from './controller.ts';
import { objectKey, parseKey } from './keys.ts';
import { ListWatch } from './list-watch.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { WIDGETS, type Widget, widget } from './testing/kinds.ts';
import { until } from './testing/until.ts';

type Event = Parameters<NonNullable<ControllerHooks['reconciled']>>[0];

interface Bench {
  readonly clock: FakeClock;
  readonly controller: Controller<number, string>;
  readonly events: Event[];
  readonly acted: string[];
}

/** A controller without an API server; `act` throws or answers as the test wants. */
function bench(
  reconciler: Partial<Reconciler<number, string>> = {},
  options: Partial<ControllerOptions<number, string>> = {},
): Bench {
  const clock = new FakeClock();
  const events: Event[] = [];
  const acted: string[] = [];
  const controller = new Controller<number, string>({
    name: 'test',
    clock,
    random: () => 0.999999,
    backoff: { baseMillis: 100, maxMillis: 1000 },
    hooks: { reconciled: (event) => events.push(event) },
    reconciler: {
      observe: () => Promise.resolve(21),
      decide: (facts) => `do ${facts * 2}`,
      act: (step) => {
        acted.push(step);
        return Promise.resolve(undefined);
      },
      ...reconciler,
    },
    ...options,
  });
  return { clock, controller, events, acted };
}

let abort: AbortController;
beforeEach(() => {
  abort = new AbortController();
});
afterEach(() => abort.abort());

describe('a reconcile', () => {
  it('observes, decides, acts', async () => {
    const { clock, controller, events, acted } = bench();
    void controller.run(abort.signal);
    controller.enqueue('ns/a');
    await clock.advance(0);
    assert.deepEqual(acted, ['do 42']);
    assert.deepEqual(
      events.map(({ controller: name, key, result, failures }) => ({
        name,
        key,
        result,
        failures,
      })),
      [{ name: 'test', key: 'ns/a', result: 'success', failures: 0 }],
    );
  });

  it('ends where there is nothing', async () => {
    const { clock, controller, events, acted } = bench({ observe: () => Promise.resolve(GONE) });
    void controller.run(abort.signal);
    controller.enqueue('a');
    await clock.advance(60_000);
    assert.deepEqual([acted, events.map(({ result }) => result)], [[], ['gone']]);
  });

  it('comes again when the step asks for it', async () => {
    const { clock, controller, events } = bench({
      act: () => Promise.resolve({ requeueAfterMillis: 1000 }),
    });
    void controller.run(abort.signal);
    controller.enqueue('a');
    await clock.advance(2500);
    assert.deepEqual(
      events.map(({ result }) => result),
      ['requeue', 'requeue', 'requeue'],
    );
  });

  it('failures in any of the three come again after a back-off', async () => {
    let call = 0;
    const fail = (at: number): void => {
      if (++call === at) {
        throw new Error(`failure ${at}`);
      }
    };
    const { clock, controller, events } = bench({
      observe: async () => {
        fail(1);
        return await Promise.resolve(1);
      },
      decide: () => {
        fail(3);
        return '';
      },
      act: async () => {
        fail(6);
        return await Promise.resolve(undefined);
      },
    });
    void controller.run(abort.signal);
    controller.enqueue('a');
    await clock.advance(5000);
    assert.deepEqual(
      events.map(({ result, failures }) => [result, failures]),
      [
        ['error', 0],
        ['error', 1],
        ['error', 2],
        ['success', 3],
      ],
    );
  });

  it('a terminal error rests until the next change', async () => {
    let calls = 0;
    const { clock, controller, events } = bench({
      act: () => {
        calls++;
        return Promise.reject(new TerminalError('the spec makes no sense'));
      },
    });
    void controller.run(abort.signal);
    controller.enqueue('a');
    await clock.advance(60_000);
    assert.deepEqual([calls, events[0]?.result], [1, 'terminal']);
    controller.enqueue('a');
    await clock.advance(0);
    assert.equal(calls, 2);
  });

  it('tells conflicts from errors, and waits as long as the server asks', async () => {
    const facts = { verb: 'patch', resource: 'widgets', detail: '' };
    const errors = [
      new ApiError({ ...facts, status: 409, reason: 'Conflict' }),
      new ApiError({ ...facts, status: 429, reason: 'TooManyRequests', retryAfterSeconds: 30 }),
    ];
    const { clock, controller, events } = bench({
      act: () => {
        const error = errors.shift();
        return error === undefined ? Promise.resolve(undefined) : Promise.reject(error);
      },
    });
    void controller.run(abort.signal);
    controller.enqueue('a');
    await clock.advance(30_000);
    assert.deepEqual(
      events.map(({ result }) => result),
      ['conflict', 'error'],
    );
    await clock.advance(200);
    assert.equal(events.at(-1)?.result, 'success');
  });

  it('aborts one that takes too long', async () => {
    const { clock, controller, events } = bench({
      observe: async ({ signal }) => {
        await untilAborted(signal);
        throw signal.reason;
      },
    });
    void controller.run(abort.signal);
    controller.enqueue('a');
    await clock.advance(120_000);
    assert.equal(events[0]?.result, 'error');
  });
});

describe('the end', () => {
  it('lets running work finish, and says what did not', async () => {
    const abandoned: (readonly string[])[] = [];
    const { clock, controller, events } = bench(
      {
        observe: ({ key }) => (key === 'deaf' ? new Promise(() => undefined) : Promise.resolve(1)),
      },
      { drainMillis: 1000 },
    );
    const withHooks = new Controller<number, string>({
      name: 'test',
      clock,
      drainMillis: 1000,
      hooks: { abandoned: (_name, keys) => abandoned.push(keys) },
      reconciler: {
        observe: () => new Promise(() => undefined),
        decide: () => '',
        act: () => Promise.resolve(undefined),
      },
    });
    const ended = Promise.all([controller.run(abort.signal), withHooks.run(abort.signal)]);
    controller.enqueue('a');
    withHooks.enqueue('deaf');
    await settle();
    abort.abort();
    await clock.advance(2000);
    await ended;
    assert.deepEqual([abandoned, events.length], [[['deaf']], 1]);
    controller.enqueue('b');
    await clock.advance(0);
    assert.equal(events.length, 1);
  });
});

describe('with an API server', () => {
  let server: FakeApiServer;
  beforeEach(async () => {
    server = await FakeApiServer.start({ kinds: [WIDGETS] });
  });
  afterEach(async () => {
    await server.close();
  });

  it('brings every object to the wanted state, through failures', async () => {
    const client = server.client();
    const widgets = client.resource<Widget>(WIDGETS);
    const listWatch = new ListWatch<Widget>({
      resource: widgets,
      backoff: { baseMillis: 5, maxMillis: 20 },
    });
    const controller = new Controller<Widget, { set: number } | 'nothing'>({
      name: 'sizes',
      backoff: { baseMillis: 5, maxMillis: 50 },
      reconciler: {
        observe: ({ key }) => Promise.resolve(listWatch.get(key) ?? GONE),
        decide: ({ spec, status }) =>
          status?.seen === spec.size ? 'nothing' : { set: spec.size ?? 0 },
        act: async (step, { key, signal }) => {
          if (step !== 'nothing') {
            const status = { seen: step.set };
            await widgets.mergePatchStatus(parseKey(key), { status }, { signal });
          }
          return undefined;
        },
      },
    });
    controller.watches(listWatch, ({ metadata }) => [objectKey(metadata)]);
    for (let i = 0; i < 20; i++) {
      server.seed(WIDGETS, widget(`w${i}`, { size: i }));
    }
    server.faults.add({ verb: 'patch', times: 10, action: { type: 'status', code: 500 } });
    server.faults.add({ verb: 'list', times: 2, action: { type: 'drop', when: 'before' } });
    const running = [listWatch.run(abort.signal), controller.run(abort.signal)];
    const w3 = await widgets.get({ namespace: 'default', name: 'w3' });
    await until(
      'the first status of w3',
      () => server.peek<Widget>(WIDGETS, w3.metadata)?.status !== undefined,
    );
    const latest = await widgets.get(w3.metadata);
    await widgets.update({ ...latest, spec: { size: 44 } });
    const seen = () => server.all<Widget>(WIDGETS).map(({ status }) => status?.seen);
    await until('every status', () => seen().every((value) => value !== undefined));
    await until('the change', () => seen().includes(44));
    abort.abort();
    await Promise.all(running);
    client.close();
  });

  it('looks at everything again at each resync, events or not', async () => {
    const clock = new FakeClock();
    const listWatch = new ListWatch<Widget>({ resource: server.client().resource(WIDGETS) });
    server.seed(WIDGETS, widget('a'));
    server.seed(WIDGETS, widget('b'));
    const { controller, events } = bench({}, { clock, resyncMillis: 1000 });
    controller.watches(listWatch, ({ metadata }) => [objectKey(metadata)]);
    const running = [listWatch.run(abort.signal), controller.run(abort.signal)];
    await until('the first round', () => events.length === 2);
    await clock.advance(1100);
    assert.deepEqual(events.map(({ key }) => key).slice(2), ['default/a', 'default/b']);
    abort.abort();
    await clock.advance(100);
    await Promise.all(running);
  });

  it('begins only when its caches are filled', async () => {
    const listWatch = new ListWatch<Widget>({ resource: server.client().resource(WIDGETS) });
    const { controller, events } = bench();
    controller.watches(listWatch, ({ metadata }) => [objectKey(metadata)]);
    controller.enqueue('default/a');
    const running = controller.run(abort.signal);
    await settle();
    assert.equal(events.length, 0);
    const watching = listWatch.run(abort.signal);
    await until('the first', () => events.length === 1);
    abort.abort();
    await Promise.all([running, watching]);
  });
});
