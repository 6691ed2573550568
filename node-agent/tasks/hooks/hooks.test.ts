// Hooks of a dump on the node: their order, what their failures mean, and that `post` runs whatever happens.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import type { NodeTaskStatus, TaskHook } from '../../../crds/node-task.ts';
import { TaskFailure } from '../../task-failure.ts';
import { Bench, BUNDLE_NAME, CONTAINERS } from '../testing/bench.ts';
import type { FakeToolsOptions } from '../testing/fake-tools.ts';
import { agentOn } from '../testing/run-agent.ts';
import { KEPT_FROZEN, REFUSES } from '../testing/scenario.ts';
import { requestPod } from './http-request.ts';

const container = CONTAINERS[0]!;
const hook = (command: string, onError: TaskHook['onError'] = 'Fail'): TaskHook => ({
  exec: { container, command: command.split(' ') },
  onError,
  timeoutSeconds: 5,
});

interface Told {
  readonly status: NodeTaskStatus;
  readonly commands: readonly string[];
  readonly bundles: readonly string[];
}

/** A dump with these hooks. */
async function dumped(
  hooks: { readonly pre: readonly TaskHook[]; readonly post: readonly TaskHook[] },
  options: FakeToolsOptions & { readonly prepare?: (bench: Bench) => void } = {},
  payload: object = {},
): Promise<Told> {
  await using bench = await Bench.start();
  options.prepare?.(bench);
  await using _agent = await agentOn(bench, options);
  const status = await bench.untilEnded(bench.giveDump({ hooks, ...payload }));
  assert.equal(bench.victimState, 'S');
  return { status, commands: bench.commands, bundles: bench.bundles() };
}

describe('hooks of a dump', () => {
  it('run in their order, before and after', async () => {
    const pre = [hook('flush'), hook('pause')];
    const { status, commands, bundles } = await dumped({ pre, post: [hook('go on')] });
    assert.equal(status.state, 'Succeeded', JSON.stringify(status));
    assert.deepEqual(commands, ['flush', 'pause', 'go on']);
    assert.deepEqual(bundles, [BUNDLE_NAME]);
  });

  it('end the dump before the engine has begun, and what they did is undone', async () => {
    const pre = [hook('pause'), hook('false now'), hook('never')];
    const { status, commands, bundles } = await dumped({ pre, post: [hook('go on')] });
    assert.equal(status.error?.code, 'HookFailed');
    assert.match(status.error.message, /^spec\.hooks\.pre\[1\]: false in container app .*status 1/);
    assert.deepEqual(commands, ['pause', 'false now', 'go on']);
    assert.deepEqual(bundles, []);
    assert.equal(status.result?.freezeMillis, undefined);
  });

  it('are only told of with onError Ignore', async () => {
    const ignored = [hook('false', 'Ignore')];
    const { status, bundles } = await dumped({ pre: ignored, post: ignored });
    assert.equal(status.state, 'Succeeded');
    const messages = status.result?.report?.map(({ code, message }) => `${code} ${message}`) ?? [];
    assert.equal(
      messages.filter((text) => text.startsWith('HookFailed spec.hooks.pre[0]')).length,
      1,
    );
    assert.equal(
      messages.filter((text) => text.startsWith('HookFailed spec.hooks.post[0]')).length,
      1,
    );
    assert.deepEqual(bundles, [BUNDLE_NAME]);
  });

  it('that fail afterwards fail the dump, the others run nevertheless', async () => {
    const post = [hook('false'), hook('go on')];
    const { status, commands, bundles } = await dumped({ pre: [], post });
    assert.equal(status.error?.code, 'HookFailed');
    assert.match(status.error.message, /^spec\.hooks\.post\[0\]/);
    assert.deepEqual(commands, ['false', 'go on']);
    assert.deepEqual(bundles, []);
  });

  it('run afterwards when the engine refuses, and the refusal stays the reason', async () => {
    const { status, commands } = await dumped(
      { pre: [hook('pause', 'Ignore')], post: [hook('false')] },
      { prepare: (bench) => bench.scenario(REFUSES) },
    );
    assert.equal(status.error?.code, 'Unsupported');
    assert.match(status.error.message, /besides, spec\.hooks\.post\[0\]/);
    assert.deepEqual(commands, ['pause', 'false']);
  });

  it('ask nothing afterwards of a source that stays frozen, until it is let go', async () => {
    await using bench = await Bench.start();
    bench.scenario(KEPT_FROZEN);
    const wasFrozen: boolean[] = [];
    const exec: FakeToolsOptions['exec'] = () => {
      wasFrozen.push(bench.frozen);
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
    };
    await using _agent = await agentOn(bench, { exec });
    const hooks = { pre: [hook('flush')], post: [hook('go on')] };
    const saved = await bench.untilEnded(bench.giveDump({ hooks, afterDump: 'KeepFrozen' }));
    assert.equal(saved.state, 'Succeeded');
    assert.deepEqual(bench.commands, ['flush']);
    const thawed = await bench.untilEnded(bench.giveThaw(hooks.post));
    assert.equal(thawed.state, 'Succeeded');
    assert.deepEqual(bench.commands, ['flush', 'go on']);
    assert.deepEqual(wasFrozen, [false, false]);
  });

  it('that fail once a frozen source was let go are told, and it runs', async () => {
    await using bench = await Bench.start();
    bench.scenario(KEPT_FROZEN);
    await using _agent = await agentOn(bench);
    await bench.untilEnded(bench.giveDump({ afterDump: 'KeepFrozen' }));
    const thawed = await bench.untilEnded(bench.giveThaw([hook('false'), hook('go on')]));
    assert.equal(thawed.state, 'Succeeded');
    assert.deepEqual(bench.commands, ['false', 'go on']);
    assert.equal(bench.frozen, false);
    const messages = thawed.result?.report?.map(({ code, message }) => `${code} ${message}`);
    assert.equal(messages?.length, 1);
    assert.match(messages[0] ?? '', /^HookFailed spec\.hooks\.post\[0\].*status 1/);
  });

  it('do not run in a rehearsal', async () => {
    const { commands } = await dumped(
      { pre: [hook('a')], post: [hook('b')] },
      {},
      { dryRun: true },
    );
    assert.deepEqual(commands, []);
  });

  it('run afterwards for a task that is cancelled in the middle of one', async () => {
    await using bench = await Bench.start();
    const begun = Promise.withResolvers<void>();
    const exec: FakeToolsOptions['exec'] = ([word], signal) =>
      new Promise((resolve, reject) => {
        if (word !== 'pause') {
          return resolve({ exitCode: 0, stdout: '', stderr: '' });
        }
        begun.resolve();
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    await using _agent = await agentOn(bench, { exec });
    const task = bench.giveDump({ hooks: { pre: [hook('pause')], post: [hook('go on')] } });
    await begun.promise;
    await bench.cancel(task);
    assert.equal((await bench.untilEnded(task)).state, 'Canceled');
    assert.deepEqual(bench.commands, ['pause', 'go on']);
  });
});

describe('a request to a pod', () => {
  const ANSWERS: readonly (readonly [status: number, says: RegExp | undefined])[] = [
    [200, undefined],
    [204, undefined],
    [302, /status 302; redirects are not followed/],
    [404, /status 404/],
    [503, /status 503/],
  ];
  for (const [answer, says] of ANSWERS) {
    it(`that is answered with ${answer} ${says === undefined ? 'succeeds' : 'fails'}`, async () => {
      const asked: string[] = [];
      const server = createServer((request, response) => {
        asked.push(`${request.method} ${request.url}`);
        response.writeHead(answer, { location: '/elsewhere' }).end('long'.repeat(100_000));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const http = { podIP: '127.0.0.1', port, path: '/on?now', method: 'POST' } as const;
      const done = requestPod(http, AbortSignal.timeout(5_000));
      await (says === undefined ? done : assert.rejects(done, says));
      assert.deepEqual(asked, ['POST /on?now']);
      server.closeAllConnections();
      server.close();
    });
  }

  it('goes to addresses only, never to names', async () => {
    const http = { podIP: 'localhost', port: 80, path: '/', method: 'GET' } as const;
    await assert.rejects(requestPod(http, AbortSignal.timeout(5_000)), (error) => {
      assert.ok(error instanceof TaskFailure);
      assert.match(error.message, /no address of a pod/);
      return true;
    });
  });
});
