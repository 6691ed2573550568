// An agent's token in the hands of a thief: it is of use for the status of its own node's tasks, and for nothing else.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { API_VERSION, type TypedObject } from '../../crds/meta.ts';
import { LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Client } from '../../kube/client.ts';
import { RESOURCE_TYPES } from '../../src/cluster/types.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import { connect, type NodeName } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { Scene } from './testing/scene.ts';
import { agentToken, thiefWith, told } from './testing/stolen-token.ts';

const cluster = connect();
const ALLOWED = /^allowed$/;
const FORBIDDEN = /[Ff]orbidden/;

interface Question {
  readonly verb: string;
  readonly group?: string;
  readonly resource: string;
  readonly subresource?: string;
}

interface Review extends TypedObject {
  readonly spec: object;
  readonly status?: { readonly allowed: boolean };
}

async function may(client: Client, namespace: string, question: Question): Promise<boolean> {
  const reviews = client.resource<Review>({
    group: 'authorization.k8s.io',
    version: 'v1',
    plural: 'selfsubjectaccessreviews',
    namespaced: false,
  });
  const { status } = await reviews.create({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: { name: '' },
    spec: { resourceAttributes: { namespace, ...question } },
  });
  return status?.allowed === true;
}

const patchStatus = (client: Client, name: string): Promise<string> =>
  told(
    client
      .resource<NodeTask>(RESOURCE_TYPES.nodeTasks)
      .mergePatchStatus({ namespace: OPERATOR_NAMESPACE, name }, { status: { stage: 'stolen' } }),
  );

describe('a stolen token of an agent', () => {
  let scene: Scene;
  let thief: Client;
  const tasks = new Map<NodeName, string>();

  /** A task that its agent has ended with a failure: the holder that it names does not exist. */
  async function endedTask(nodeName: NodeName, uid: string): Promise<string> {
    const name = `stolen-${nodeName}`;
    const id = `containerd://${'ab'.repeat(32)}`;
    const holder = { namespace: scene.namespace, name: 'none', uid: 'none' };
    const task = {
      apiVersion: API_VERSION,
      kind: 'NodeTask',
      metadata: { name, namespace: OPERATOR_NAMESPACE },
      spec: {
        nodeName,
        owner: { kind: 'Checkpoint', namespace: scene.namespace, name: 'owner', uid },
        deadline: new Date(Date.now() + 600_000).toISOString(),
        type: 'Verify',
        verify: {
          store: { holder, holderContainerID: id, mountPath: '/store', bundlePath: 'a/b' },
          bundleDigest: `sha256:${'0'.repeat(64)}`,
        },
      },
    };
    await cluster.kubectl(OPERATOR_NAMESPACE).apply(toYaml(task));
    await eventually(
      `${name} has failed`,
      () => cluster.tasks.get({ namespace: OPERATOR_NAMESPACE, name }),
      ({ status }) => status?.state === 'Failed',
    );
    return name;
  }

  before(async () => {
    scene = await Scene.create(cluster, 'stolen');
    // Tasks without an owner are swept away.
    await scene.checkpoint('owner', 'nobody', { suspend: true, limits: { timeoutSeconds: 600 } });
    const owner = await cluster.checkpoints.get({ namespace: scene.namespace, name: 'owner' });
    for (const nodeName of ['node-a', 'node-b'] as const) {
      tasks.set(nodeName, await endedTask(nodeName, owner.metadata.uid ?? ''));
    }
    const labelSelector = `${LABELS.role}=agent`;
    const agents = await cluster.pods.list({ namespace: OPERATOR_NAMESPACE, labelSelector });
    const agent = agents.items.find(({ spec }) => spec.nodeName === 'node-a');
    thief = thiefWith(await agentToken(cluster, agent?.metadata.name ?? 'no agent on node-a'));
  });

  after(async () => {
    thief.close();
    const names = [...tasks.values()];
    await cluster
      .kubectl(OPERATOR_NAMESPACE)
      .run(['delete', 'nodetask', ...names, '--ignore-not-found']);
    await scene[Symbol.asyncDispose]();
  });

  it('writes the status of tasks of its own node, and of no other', async () => {
    assert.match(await patchStatus(thief, tasks.get('node-a')!), ALLOWED);
    const other = await patchStatus(thief, tasks.get('node-b')!);
    assert.match(other, /task of another node than node-a/);
  });

  it('changes nothing else of a task, not even of its own', async () => {
    const stolen = thief.resource<NodeTask>(RESOURCE_TYPES.nodeTasks);
    const ref = { namespace: OPERATOR_NAMESPACE, name: tasks.get('node-a')! };
    const task = await stolen.get(ref);
    const { resourceVersion: _version, uid: _uid, ...metadata } = task.metadata;
    const labels = { stolen: 'yes' };
    const another = { ...task, metadata: { ...metadata, name: 'stolen-another' } };
    for (const [what, answer] of [
      ['spec', () => stolen.mergePatch(ref, { spec: { cancel: true } })],
      ['labels', () => stolen.mergePatch(ref, { metadata: { labels } })],
      ['whole', () => stolen.update({ ...task, status: {} })],
      ['new', () => stolen.create(another)],
      ['deletion', () => stolen.delete(ref)],
    ] as const) {
      assert.match(await told(answer()), FORBIDDEN, what);
    }
    // Through the status the API server itself takes no notice of labels.
    await told(stolen.mergePatchStatus(ref, { metadata: { labels } }));
    assert.equal((await stolen.get(ref)).metadata.labels?.['stolen'], undefined);
  });

  it('reads no secrets and no pods, runs nothing, gets no further tokens', async () => {
    const QUESTIONS: readonly Question[] = [
      { verb: 'get', resource: 'secrets' },
      { verb: 'list', resource: 'secrets' },
      { verb: 'get', resource: 'configmaps' },
      { verb: 'list', resource: 'pods' },
      { verb: 'create', resource: 'pods' },
      { verb: 'patch', resource: 'pods' },
      { verb: 'delete', resource: 'pods' },
      { verb: 'create', resource: 'pods', subresource: 'exec' },
      { verb: 'create', resource: 'pods', subresource: 'eviction' },
      { verb: 'create', resource: 'serviceaccounts', subresource: 'token' },
      { verb: 'patch', resource: 'nodes' },
      { verb: 'patch', resource: 'nodes', subresource: 'status' },
      { verb: 'patch', group: 'diapause.dev', resource: 'checkpoints' },
      { verb: 'patch', group: 'diapause.dev', resource: 'checkpoints', subresource: 'status' },
      { verb: 'patch', group: 'diapause.dev', resource: 'restores', subresource: 'status' },
      { verb: 'create', group: 'diapause.dev', resource: 'restores' },
      { verb: 'restore', group: 'diapause.dev', resource: 'checkpoints' },
      { verb: 'patch', group: 'apps', resource: 'daemonsets' },
      { verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' },
      { verb: 'impersonate', resource: 'users' },
    ];
    for (const namespace of [OPERATOR_NAMESPACE, 'kube-system', scene.namespace]) {
      const answers = await Promise.all(
        QUESTIONS.map(async (question) => (await may(thief, namespace, question)) && question),
      );
      assert.deepEqual(answers.filter(Boolean), [], namespace);
    }
    // The question is put right: what it may is told.
    const own = {
      verb: 'patch',
      group: 'diapause.dev',
      resource: 'nodetasks',
      subresource: 'status',
    };
    assert.equal(await may(thief, OPERATOR_NAMESPACE, own), true);
    const secrets = thief.resource({
      group: '',
      version: 'v1',
      plural: 'secrets',
      namespaced: true,
    });
    assert.match(await told(secrets.list({ namespace: 'kube-system' })), FORBIDDEN);
    const pods = thief.resource(RESOURCE_TYPES.pods);
    assert.match(await told(pods.list({ namespace: OPERATOR_NAMESPACE })), FORBIDDEN);
  });

  it('is of no use at all when it is bound to no node', async () => {
    const other = thiefWith(await agentToken(cluster));
    const said = await patchStatus(other, tasks.get('node-a')!);
    other.close();
    assert.match(said, /this token is not bound to a node/);
  });
});
