import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RUNTIME_FLAGS } from './engine/runtime-flags.ts';
import { readSettings } from './settings.ts';

const ENV = { NODE_NAME: 'node-a', POD_NAME: 'agent-1', POD_UID: 'uid-1', POD_IP: '10.0.0.1' };

test('names come from the downward API, everything else has a default', () => {
  const settings = readSettings(ENV, '/app/agent.js');
  assert.equal(settings.nodeName, 'node-a');
  assert.deepEqual(settings.agent, { name: 'agent-1', uid: 'uid-1' });
  assert.equal(settings.podAddress, '10.0.0.1');
  assert.deepEqual(settings.engineCommand.slice(1), [...RUNTIME_FLAGS, '/app/engine.js']);
  assert.deepEqual(settings.rootfsCommand.slice(1), ['/app/rootfs.js']);
  assert.equal(settings.runtimeSockets[0], '/run/containerd/containerd.sock');
});

test('from the source tree the programs are the sources', () => {
  const { engineCommand, rootfsCommand } = readSettings(ENV, '/x/node-agent/main.ts');
  assert.equal(engineCommand.at(-1), '/x/node-agent/engine/main.ts');
  assert.equal(rootfsCommand[1], '/x/node-agent/bundle/rootfs-diff/worker.ts');
});

test('sockets, port and parallelism can be set; nonsense is named', () => {
  const env = { ...ENV, DIAPAUSE_RUNTIME_SOCKETS: '/a,/b', DIAPAUSE_HEALTH_PORT: '0' };
  const settings = readSettings(env, '/app/agent.js');
  assert.deepEqual(settings.runtimeSockets, ['/a', '/b']);
  assert.equal(settings.healthPort, 0);
  const wrong = { ...ENV, DIAPAUSE_MAX_PARALLEL: 'many' };
  assert.throws(() => readSettings(wrong, '/app/agent.js'), /DIAPAUSE_MAX_PARALLEL=many/);
});

test('without a node name there is no agent', () => {
  assert.throws(() => readSettings({ ...ENV, NODE_NAME: '' }, '/app/agent.js'), /NODE_NAME/);
});
