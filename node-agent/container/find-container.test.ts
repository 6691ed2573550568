// Finding a container, against real processes, namespaces and control groups.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { findContainer, type FindOptions } from './find-container.ts';
import { isFrozen, thaw } from './freezer.ts';
import type { RuntimeContainer } from './runtime-client.ts';
import { startNamespacedProcess, whyNoNamespaces } from './testing/namespaced-process.ts';

const POD = { namespace: 'team', name: 'pod', uid: 'u-1' };
const skip = whyNoNamespaces() ?? false;
const freshId = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex');

function options(pid: number, extra: Partial<RuntimeContainer> = {}): FindOptions {
  const container = {
    pid,
    status: undefined,
    runtimeType: 'io.containerd.runc.v2',
    sandboxId: undefined,
    spec: {},
    ...extra,
  };
  return {
    runtime: { inspect: () => Promise.resolve(container) },
    view: { nodeRoot: '', nodeProcess: '/proc/self' },
    signal: new AbortController().signal,
  };
}

const wanted = (id: string) => ({
  name: 'app',
  containerID: `containerd://${id}`,
  imageID: 'sha256:1',
});

test('a container is found with its inner pid and its freezer', { skip }, async () => {
  const id = freshId();
  await using process = await startNamespacedProcess(id);
  using found = await findContainer(wanted(id), POD, options(process.pid));
  assert.equal(found.process.pid, process.pid);
  assert.equal(found.innerPid, 1);
  const freezerFile = found.cgroup.freezerFile ?? '';
  assert.ok(freezerFile.startsWith(process.group ?? '?'), freezerFile);
  writeFileSync(freezerFile, freezerFile.endsWith('.state') ? 'FROZEN' : '1');
  assert.equal(isFrozen(freezerFile), true);
  assert.equal(thaw(freezerFile), true);
  assert.equal(isFrozen(freezerFile), false);
  assert.equal(thaw(`${process.group}-none/cgroup.freeze`), false);
});

test('a process outside the container’s control group is a stranger', { skip }, async () => {
  await using process = await startNamespacedProcess();
  await assert.rejects(findContainer(wanted(freshId()), POD, options(process.pid)), {
    code: 'ContainerMismatch',
  });
});

test('a group of another container does not do', { skip }, async () => {
  await using process = await startNamespacedProcess(freshId());
  await assert.rejects(findContainer(wanted(freshId()), POD, options(process.pid)), {
    code: 'ContainerMismatch',
    message: /no control group/,
  });
});

test('a process of the node’s own pid namespace is refused', { skip }, async () => {
  const id = freshId();
  await using process = await startNamespacedProcess(id);
  const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(sleeper, 'spawn');
  writeFileSync(`${process.group}/cgroup.procs`, String(sleeper.pid));
  const finding = findContainer(wanted(id), POD, options(sleeper.pid ?? 0));
  await assert.rejects(finding, { code: 'Unsupported', message: /hostPID/ });
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
});

test('labels of another pod, another container, another runtime', { skip }, async () => {
  const id = freshId();
  await using process = await startNamespacedProcess(id);
  const labelled = (labels: Record<string, string>): FindOptions =>
    options(process.pid, { status: { id, state: 1, labels } });
  for (const labels of [
    { 'io.kubernetes.pod.uid': 'u-2' },
    { 'io.kubernetes.container.name': 'other' },
    { 'io.kubernetes.pod.namespace': 'other' },
  ]) {
    await assert.rejects(findContainer(wanted(id), POD, labelled(labels)), {
      code: 'ContainerMismatch',
    });
  }
  const kata = options(process.pid, { runtimeType: 'io.containerd.kata.v2' });
  await assert.rejects(findContainer(wanted(id), POD, kata), { code: 'Unsupported' });
});

test('pid 0, pid 1 and a pid that ended are refused', async () => {
  for (const pid of [0, 1]) {
    await assert.rejects(findContainer(wanted(freshId()), POD, options(pid)), {
      code: 'ContainerMismatch',
    });
  }
  const child = spawn('true');
  await once(child, 'exit');
  await assert.rejects(findContainer(wanted(freshId()), POD, options(child.pid!)), {
    code: 'ContainerNotRunning',
  });
});
