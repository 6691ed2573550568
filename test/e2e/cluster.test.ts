// The cluster itself: what the other end-to-end tests take for granted.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import test from 'node:test';

const root = join(import.meta.dirname, '../..');
const NAMESPACE = 'cluster-test';

function kubectl(args: readonly string[], input = ''): string {
  return execFileSync(join(root, '.cluster/bin/kubectl'), args, {
    encoding: 'utf8',
    env: { ...process.env, KUBECONFIG: join(root, '.cluster/kubeconfig') },
    input,
    timeout: 120_000,
  });
}

function clusterScript(...args: readonly string[]): string {
  return execFileSync(join(root, 'deploy/cluster/cluster.sh'), args, {
    encoding: 'utf8',
    timeout: 120_000,
  });
}

const claim = (name: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: NAMESPACE },
  spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage: '1Gi' } } },
});

/** The cluster's smallest image: it sleeps. */
const pod = (name: string, nodeName: string, claimName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: NAMESPACE },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'sleep',
        image: 'local/pause:1',
        volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
      },
    ],
    volumes: [{ name: 'shared', persistentVolumeClaim: { claimName } }],
  },
});

function apply(...objects: readonly object[]): void {
  kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

test('a claim without a storage class binds, on both nodes, and its volume is emptied afterwards', () => {
  apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  try {
    apply(claim('shared'), pod('on-a', 'node-a', 'shared'), pod('on-b', 'node-b', 'shared'));
    const pods = ['wait', '--for=condition=Ready', 'pod/on-a', 'pod/on-b', '--timeout=60s'];
    kubectl(['-n', NAMESPACE, ...pods]);
    const jsonpath = '-o=jsonpath={.spec.volumeName}';
    const volume = kubectl(['-n', NAMESPACE, 'get', 'pvc', 'shared', jsonpath]);
    assert.match(volume, /^pool-\d+$/);
    const directory = join(root, '.cluster/run/volumes', volume.slice('pool-'.length));
    execFileSync('touch', [join(directory, 'file')]);
    kubectl(['delete', 'namespace', NAMESPACE, '--timeout=60s']);
    kubectl(['wait', '--for=jsonpath={.status.phase}=Available', `pv/${volume}`, '--timeout=60s']);
    assert.equal(execFileSync('ls', ['-A', directory], { encoding: 'utf8' }), '');
  } finally {
    kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=60s']);
  }
});

test('names of services resolve by a service, from a node', () => {
  const address = (namespace: string, service: string) =>
    kubectl(['-n', namespace, 'get', 'service', service, '-o=jsonpath={.spec.clusterIP}']);
  const script = `const resolver = new (require('node:dns/promises').Resolver)();
    resolver.setServers(['${address('kube-system', 'kube-dns')}']);
    resolver.resolve4('kubernetes.default.svc.cluster.local').then((found) => console.log(found[0]));`;
  const found = clusterScript('exec', 'node-a', process.execPath, '-e', script);
  assert.equal(found.trim(), address('default', 'kubernetes'));
});

// Last: whatever ran on that node starts again meanwhile.
test('a node that lost its power comes back', () => {
  clusterScript('crash', 'node-b');
  assert.throws(() => clusterScript('exec', 'node-b', 'true'), /node-b is not running/);
  clusterScript('start', 'node-b');
  kubectl(['wait', '--for=condition=Ready', 'node/node-b', '--timeout=60s']);
  assert.equal(clusterScript('exec', 'node-b', 'hostname').trim(), 'node-b');
});
