// Hooks and verification on the real cluster: the application tells itself what it was asked, and in which order.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hook } from '../../crds/hook.ts';
import { findCondition } from '../../kube/conditions.ts';
import { RESTORED_POD_CONDITION } from '../../crds/names.ts';
import { hasCondition, type Pod } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertUnharmed } from './testing/expectations.ts';
import { untilItRuns } from './testing/node-processes.ts';
import { armKill } from './testing/operator.ts';
import { bundleName, isReady, Scene, verdict } from './testing/scene.ts';
import { type PodManifest, PYTHON_IMAGE } from './testing/witness.ts';
import { pod as sketchedPod } from '../../deploy/demo/manifests.ts';

const PORT = 8000;
const PYTHON = '/usr/bin/python3';
/** Answers every request, and writes down that it was asked; `/moved` leads elsewhere. */
const PROGRAM = `
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        if self.path != "/ready": print(self.command, self.path, flush=True)
        self.send_response(302 if self.path == "/moved" else 200)
        if self.path == "/moved": self.send_header("Location", "http://127.0.0.1:${PORT}/never")
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_POST = answer
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("", ${PORT}), Handler).serve_forever()
`;

/** Asks the program from inside its container. */
const exec = (path: string): Hook => ({
  exec: {
    command: [
      PYTHON,
      '-c',
      `import urllib.request as r; r.urlopen("http://127.0.0.1:${PORT}${path}")`,
    ],
  },
});
const fails: Hook = { exec: { command: [PYTHON, '-c', 'raise SystemExit("out of paper")'] } };
const http = (path: string, method: 'GET' | 'POST' = 'POST'): Hook => ({
  http: { port: PORT, path, method },
});

function application(name: string): PodManifest {
  const readinessProbe = { httpGet: { path: '/ready', port: PORT }, periodSeconds: 1 };
  const command = [PYTHON, '-c', PROGRAM];
  const sketch = { name, nodeName: 'node-a', image: PYTHON_IMAGE, command, readinessProbe };
  return sketchedPod(sketch) as PodManifest;
}

const cluster = connect();

/** What the program was asked so far. */
async function asked(scene: Scene, pod: string): Promise<readonly string[]> {
  return (await scene.kubectl.run(['logs', pod])).split('\n').filter(Boolean);
}

describe('hooks on the real cluster', { concurrency: 4 }, () => {
  let scene: Scene;
  const sources = new Map<string, Pod>();

  before(async () => {
    scene = await Scene.create(cluster, 'hooks');
    const names = ['ordered', 'refused', 'moved', 'saved', 'stopped'];
    const pods = await scene.run(...names.map(application));
    pods.forEach((pod) => sources.set(pod.metadata.name, pod));
  });

  after(() => scene[Symbol.asyncDispose]());

  it('run around the freeze, by exec and by http', async () => {
    const hooks = {
      pre: [exec('/pause'), http('/flush')],
      post: [http('/on', 'GET'), exec('/off')],
    };
    await scene.checkpoint('ordered', 'ordered', { hooks });
    assert.match(verdict(await scene.settledCheckpoint('ordered')), /^Completed: /);
    assert.deepEqual(await asked(scene, 'ordered'), [
      'GET /pause',
      'POST /flush',
      'GET /on',
      'GET /off',
    ]);
    assertUnharmed(sources.get('ordered')!, await scene.pod('ordered'));
  });

  it('that fail end the Checkpoint before the pod is touched, and the others undo what was done', async () => {
    const hooks = { pre: [exec('/pause'), fails, exec('/never')], post: [http('/on')] };
    await scene.checkpoint('refused', 'refused', { hooks });
    const ended = await scene.settledCheckpoint('refused');
    assertFailed(ended, /^HookFailed: spec\.hooks\.pre\[1\]: .*status 1: out of paper/);
    assert.equal(ended.status?.timing?.frozenAt, undefined);
    assert.deepEqual(await asked(scene, 'refused'), ['GET /pause', 'POST /on']);
    assertUnharmed(sources.get('refused')!, await scene.pod('refused'));
  });

  it('that come afterwards wait until a source that was kept frozen is let go', async () => {
    const hooks = { pre: [exec('/pause')], post: [exec('/on'), fails] };
    await scene.checkpoint('stopped', 'stopped', { afterDump: 'Stop', hooks });
    assert.match(verdict(await scene.settledCheckpoint('stopped')), /^Completed: /);
    await sleep(1_000);
    assert.deepEqual(await asked(scene, 'stopped'), ['GET /pause']);
    const ref = { namespace: scene.namespace, name: 'stopped' };
    await cluster.checkpoints.mergePatch(ref, { spec: { afterDump: 'Resume' } });
    const ended = await eventually(
      'the source runs',
      () => cluster.checkpoints.get(ref),
      ({ status }) => findCondition(status?.conditions, 'SourceFrozen')?.status === 'False',
    );
    assert.deepEqual(await asked(scene, 'stopped'), ['GET /pause', 'GET /on']);
    const told = findCondition(ended.status?.conditions, 'SourceFrozen');
    assert.match(told?.message ?? '', /spec\.hooks\.post\[1\]: .*out of paper/);
    assert.match(verdict(ended), /^Completed: /);
    assertUnharmed(sources.get('stopped')!, await scene.pod('stopped'));
  });

  it('follow no redirect', async () => {
    const ignored = { ...http('/moved'), onError: 'Ignore' } as const;
    await scene.checkpoint('moved', 'moved', { hooks: { pre: [ignored] } });
    const ended = await scene.settledCheckpoint('moved');
    assert.match(verdict(ended), /^Completed: /);
    const [note] = ended.status?.report?.filter(({ code }) => code === 'HookFailed') ?? [];
    assert.match(note?.message ?? '', /status 302; redirects are not followed$/);
    assert.deepEqual(await asked(scene, 'moved'), ['POST /moved']);
  });

  it('run inside a restored pod, which is verified before it is ready', async () => {
    await scene.checkpoint('saved', 'saved');
    const saved = await scene.settledCheckpoint('saved');
    assert.match(verdict(saved), /^Completed: /);
    const target = { newPod: { nodeName: 'node-b' } };
    const probe = { http: { port: PORT, path: '/probe', method: 'GET' } } as const;
    await scene.restore('well', 'saved', {
      target,
      hooks: { pre: [{ exec: { command: [PYTHON, '-c', ''] } }], post: [exec('/woken')] },
      verify: { probe: { ...probe, timeoutSeconds: 20 } },
    });
    await scene.restore('ill', 'saved', {
      target,
      verify: { probe: { ...fails, timeoutSeconds: 10 } },
    });
    const [well, ill] = await Promise.all([
      scene.settledRestore('well'),
      scene.settledRestore('ill'),
    ]);
    assert.match(verdict(well), /^Completed: /);
    const verified = findCondition(well.status?.conditions, 'Verified');
    assert.equal(verified?.status, 'True');
    const digest = saved.status?.bundle?.digest ?? 'none';
    assert.ok(verified.message.includes(digest), verified.message);
    assert.match(verified.message, /; \d+ of \d+ saved pages of 1 process were read back/);
    assert.deepEqual(await asked(scene, 'well'), ['GET /woken', 'GET /probe']);

    assertFailed(ill, /^ProbeFailed: /);
    const failed = findCondition(ill.status?.conditions, 'Verified');
    assert.match(failed?.message ?? '', /^spec\.verify\.probe: not within 10 s: .*out of paper/);
    const left = await scene.pod('ill');
    assert.equal(hasCondition(left, RESTORED_POD_CONDITION), false);
    assert.equal(hasCondition(left, 'Ready'), false);
    await untilItRuns(left, 1_000);
    await sleep(2_000);
    assert.equal((await scene.pod('ill')).metadata.deletionTimestamp, undefined);
  });
});

describe('an agent that dies between the hooks', () => {
  it('leaves the others to its successor', async () => {
    await using scene = await Scene.create(cluster, 'hooks-crash');
    const [source] = await scene.run(application('crashed'));
    assert.ok(source);
    const owner = { namespace: scene.namespace, name: 'crashed' };
    const trap = await armKill(cluster, { nodeName: 'node-a', owner, step: 'engine' });
    const hooks = { pre: [exec('/pause')], post: [exec('/on')] };
    const [met] = await Promise.all([
      trap.sprung,
      scene.checkpoint('crashed', 'crashed', { hooks }),
    ]);
    assert.ok(met);
    const ended = await scene.settledCheckpoint('crashed');
    await eventually(
      'the post hook ran last',
      () => asked(scene, 'crashed'),
      (paths) => paths.at(0) === 'GET /pause' && paths.at(-1) === 'GET /on',
    );
    assertUnharmed(source, await scene.pod('crashed'));
    const bundles = isReady(ended) ? [bundleName(ended)] : [];
    await scene.untilNothingIsLeft(bundles);
  });
});
