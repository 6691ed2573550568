import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { statusAsGoJson } from './cri-messages.ts';
import { createRuntimeClient } from './runtime-client.ts';
import { startFakeRuntime } from './testing/fake-runtime.ts';

const ID = 'ab'.repeat(32);
const signal = new AbortController().signal;
const ANSWER = {
  status: {
    id: ID,
    state: 1,
    metadata: { name: 'app' },
    created_at: '1795491636430215125',
    labels: { 'io.kubernetes.pod.uid': 'u-1' },
  },
  info: {
    info: JSON.stringify({
      pid: 4711,
      sandboxID: 'cd'.repeat(32),
      runtimeType: 'io.containerd.runc.v2',
      runtimeSpec: { mounts: [{ destination: '/data', type: 'bind', source: '/x' }] },
    }),
  },
};

test('the socket tells pid, specification and labels', async () => {
  await using runtime = await startFakeRuntime(ANSWER);
  const client = createRuntimeClient({ socketPaths: [runtime.socketPath], taskFolders: [] });
  const found = await client.inspect(ID, signal);
  assert.equal(found.pid, 4711);
  assert.equal(found.runtimeType, 'io.containerd.runc.v2');
  assert.equal(found.spec.mounts?.[0]?.destination, '/data');
  assert.deepEqual(found.status?.labels, { 'io.kubernetes.pod.uid': 'u-1' });
  // Nanoseconds since 1970 are beyond what a double holds.
  assert.match(statusAsGoJson(found.status!), /"created_at":1795491636430215125[,}]/);
});

test('an unknown container, one that ended and one that is another are told apart', async () => {
  await using runtime = await startFakeRuntime({ grpcStatus: 5 });
  const client = createRuntimeClient({ socketPaths: [runtime.socketPath], taskFolders: [] });
  await assert.rejects(client.inspect(ID, signal), { code: 'ContainerNotFound' });
  runtime.answer = { ...ANSWER, status: { ...ANSWER.status, state: 2 } };
  await assert.rejects(client.inspect(ID, signal), { code: 'ContainerNotRunning' });
  runtime.answer = { ...ANSWER, status: { ...ANSWER.status, id: 'ef'.repeat(32) } };
  await assert.rejects(client.inspect(ID, signal), { code: 'ContainerMismatch' });
});

test('a runtime that fails or is absent is a passing failure that names every socket', async () => {
  await using runtime = await startFakeRuntime({ grpcStatus: 14 });
  const client = createRuntimeClient({
    socketPaths: ['/nowhere/cri.sock', runtime.socketPath],
    taskFolders: ['/nowhere/tasks'],
  });
  await assert.rejects(client.inspect(ID, signal), {
    code: 'TaskFailed',
    retryable: true,
    message: /nowhere.*gRPC status 14.*nowhere\/tasks/,
  });
});

test('a runtime that never answers does not outlast the caller', async () => {
  await using runtime = await startFakeRuntime('hang');
  const client = createRuntimeClient({ socketPaths: [runtime.socketPath], taskFolders: [] });
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('deadline of the task')), 20);
  await assert.rejects(client.inspect(ID, abort.signal), { message: 'deadline of the task' });
});

test('without a socket the files of the runtime are read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'diapause-tasks-'));
  try {
    await mkdir(join(folder, ID));
    await writeFile(join(folder, ID, 'init.pid'), '4712');
    await writeFile(join(folder, ID, 'config.json'), '{"root":{"path":"rootfs"}}');
    const client = createRuntimeClient({ socketPaths: ['/nowhere'], taskFolders: [folder] });
    const found = await client.inspect(ID, signal);
    assert.equal(found.pid, 4712);
    assert.equal(found.spec.root?.path, 'rootfs');
    assert.equal(found.status, undefined);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a command runs inside a container, and its end is told whatever it is', async () => {
  await using runtime = await startFakeRuntime(ANSWER);
  const client = createRuntimeClient({
    socketPaths: ['/nowhere', runtime.socketPath],
    taskFolders: [],
  });
  runtime.exec = ({ containerId, command, timeoutSeconds }) => ({
    exitCode: 3,
    stdout: `${containerId} ${command.join('|')} ${timeoutSeconds}`,
    stderr: 'no',
  });
  const request = { containerId: ID, command: ['redis-cli', 'a b'], timeoutSeconds: 7 };
  assert.deepEqual(await client.exec(request, signal), {
    exitCode: 3,
    stdout: `${ID} redis-cli|a b 7`,
    stderr: 'no',
  });
});

test('a command that the runtime refuses or does not end has failed, and is not tried elsewhere', async () => {
  await using runtime = await startFakeRuntime({ grpcStatus: 4 });
  await using second = await startFakeRuntime(ANSWER);
  let ran = 0;
  second.exec = () => ({ exitCode: ++ran, stdout: '', stderr: '' });
  const socketPaths = [runtime.socketPath, second.socketPath];
  const client = createRuntimeClient({ socketPaths, taskFolders: [] });
  const request = { containerId: ID, command: ['sleep'], timeoutSeconds: 7 };
  await assert.rejects(client.exec(request, signal), { code: 'HookFailed', message: /status 4/ });
  assert.equal(ran, 0);
  runtime.answer = 'hang';
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('deadline of the task')), 20);
  await assert.rejects(client.exec(request, abort.signal), { message: 'deadline of the task' });
});

test('nothing is begun for a caller whose time is over', async () => {
  await using runtime = await startFakeRuntime(ANSWER);
  const client = createRuntimeClient({ socketPaths: [runtime.socketPath], taskFolders: [] });
  let ran = 0;
  runtime.exec = () => ({ exitCode: ++ran, stdout: '', stderr: '' });
  const over = AbortSignal.abort(new Error('deadline of the task'));
  const request = { containerId: ID, command: ['sleep'], timeoutSeconds: 7 };
  await assert.rejects(client.exec(request, over), { message: 'deadline of the task' });
  await assert.rejects(client.inspect(ID, over), { message: 'deadline of the task' });
  await client.inspect(ID, signal);
  assert.equal(ran, 0);
});
