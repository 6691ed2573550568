import assert from 'node:assert/strict';
import { afterEach, beforeEach, it } from 'node:test';
import type { Client } from './client.ts';
import type { Resource } from './resource.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { WIDGETS, type Widget, widget } from './testing/kinds.ts';
import { until } from './testing/until.ts';
import { WaitTimeout, waitForObject } from './wait.ts';

const REF = { namespace: 'default', name: 'a' };
const LONG = { timeoutMillis: 60_000 };

let server: FakeApiServer;
let client: Client;
let widgets: Resource<Widget>;

beforeEach(async () => {
  server = await FakeApiServer.start({ kinds: [WIDGETS] });
  client = server.client();
  widgets = client.resource<Widget>(WIDGETS);
});
afterEach(async () => {
  client.close();
  await server.close();
});

it('is content with what is there already', async () => {
  server.seed(WIDGETS, widget('a', { size: 1 }));
  server.seed(WIDGETS, widget('b', { size: 2 }));
  const found = await waitForObject(widgets, REF, (object) => object?.spec.size === 1, LONG);
  assert.equal(found?.metadata.name, 'a');
});

it('waits for a change, and for the end', async () => {
  const changed = waitForObject(widgets, REF, (object) => object?.spec.size === 2, LONG);
  await until('watching', () => server.watches.count() === 1);
  await widgets.create(widget('a', { size: 1 }));
  await widgets.mergePatch(REF, { spec: { size: 2 } });
  assert.equal((await changed)?.spec.size, 2);
  const gone = waitForObject(widgets, REF, (object) => object === undefined, LONG);
  await widgets.delete(REF);
  assert.equal(await gone, undefined);
  await until('nothing is left open', () => server.watches.count() === 0);
});

it('gives up early when the predicate throws', async () => {
  server.seed(WIDGETS, widget('a', { size: 13 }));
  const failed = new Error('the restore has failed');
  const waiting = waitForObject(
    widgets,
    REF,
    (object) => {
      if (object?.spec.size === 13) {
        throw failed;
      }
      return false;
    },
    LONG,
  );
  await assert.rejects(waiting, (error) => error === failed);
});

it('gives up in time, and says what it saw', async () => {
  server.seed(WIDGETS, widget('a', { size: 1 }));
  const clock = new FakeClock();
  const waiting = waitForObject(widgets, REF, () => false, { timeoutMillis: 5000, clock });
  const rejected = assert.rejects(
    waiting,
    (error) => error instanceof WaitTimeout && error.last?.metadata.name === 'a',
  );
  await until('watching', () => server.watches.count() === 1);
  await clock.advance(5000);
  await rejected;
});

it('ends with its signal', async () => {
  const abort = new AbortController();
  const reason = new Error('interrupted');
  const waiting = waitForObject(widgets, REF, () => false, { ...LONG, signal: abort.signal });
  await until('watching', () => server.watches.count() === 1);
  abort.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
});
