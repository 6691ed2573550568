// Hooks and probes of a restored pod: what they make of its verification, and that a successor asks again.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  NodeTaskStatus,
  RestorePayload,
  TaskAction,
  TaskHook,
} from '../../../crds/node-task.ts';
import { Bench, CONTAINERS } from '../testing/bench.ts';
import type { FakeToolsOptions } from '../testing/fake-tools.ts';
import { agentOn } from '../testing/run-agent.ts';

const container = CONTAINERS[0]!;
const action = (command: string): TaskAction => ({
  exec: { container, command: command.split(' ') },
});
const hook = (command: string, onError: TaskHook['onError'] = 'Fail'): TaskHook => ({
  ...action(command),
  onError,
  timeoutSeconds: 5,
});

interface Told {
  readonly status: NodeTaskStatus;
  readonly commands: readonly string[];
}

/** A dump, and a restore of it with these hooks and this probe. */
async function restored(
  payload: Pick<RestorePayload, 'hooks' | 'probe'>,
  exec?: FakeToolsOptions['exec'],
): Promise<Told> {
  await using bench = await Bench.start('diapause-init');
  await using _agent = await agentOn(bench, exec === undefined ? {} : { exec });
  const { result } = await bench.untilEnded(bench.giveDump());
  bench.scenario([{ do: 'result' }]);
  const status = await bench.untilEnded(bench.giveRestore(result?.bundleDigest ?? '', payload));
  return { status, commands: bench.commands };
}

describe('a restored pod', () => {
  it('without hooks and probe is compared with its bundle all the same', async () => {
    const { status } = await restored({});
    assert.equal(status.state, 'Succeeded');
    assert.equal(status.result?.verification?.passed, true);
    assert.match(
      status.result.verification.message,
      /^every file of the bundle has its digest \(manifest sha256:[0-9a-f]{64}\); 3 of 9 saved pages of 1 process were read back .*; no probe was asked for$/,
    );
  });

  it('has its hooks run around the restore, and its probe afterwards', async () => {
    const hooks = { pre: [hook('prepare')], post: [hook('tell')] };
    const probe = { ...action('ping'), timeoutSeconds: 5 };
    const { status, commands } = await restored({ hooks, probe });
    assert.deepEqual(commands, ['prepare', 'tell', 'ping']);
    assert.match(status.result?.verification?.message ?? '', /spec\.verify\.probe passed$/);
  });

  it('is not restored when a pre hook fails', async () => {
    const hooks = { pre: [hook('false')], post: [hook('never')] };
    const { status, commands } = await restored({ hooks });
    assert.equal(status.error?.code, 'HookFailed');
    assert.equal(status.committed, undefined);
    assert.deepEqual(commands, ['false']);
  });

  it('is not verified when a post hook fails, but runs', async () => {
    const hooks = { pre: [], post: [hook('false'), hook('false again', 'Ignore')] };
    const { status } = await restored({ hooks, probe: { ...action('never'), timeoutSeconds: 5 } });
    assert.equal(status.state, 'Succeeded');
    const { passed, reason, message } = status.result?.verification ?? {};
    assert.deepEqual([passed, reason], [false, 'HookFailed']);
    assert.match(message ?? '', /^spec\.hooks\.post\[0\]/);
    assert.deepEqual(
      status.result?.report?.map(({ code }) => code),
      ['HookFailed'],
    );
  });

  it('is probed again until it answers', async () => {
    let asked = 0;
    const exec = () => Promise.resolve({ exitCode: ++asked < 3 ? 1 : 0, stdout: '', stderr: 'no' });
    const { status } = await restored({ probe: { ...action('ping'), timeoutSeconds: 10 } }, exec);
    assert.equal(status.result?.verification?.passed, true);
    assert.equal(asked, 3);
  });

  it('that does not answer in time is told so, with the last answer', async () => {
    const { status } = await restored({ probe: { ...action('false'), timeoutSeconds: 1 } });
    assert.equal(status.state, 'Succeeded');
    const { passed, reason, message } = status.result?.verification ?? {};
    assert.deepEqual([passed, reason], [false, 'ProbeFailed']);
    assert.match(message ?? '', /^spec\.verify\.probe: not within 1 s: false in container app/);
  });
});
