// Roles: the controller is granted what it asks for, nobody what would give secrets or programs away.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { SeenRequest } from '../../kube/testing/fake-api-server.ts';
import { until } from '../../kube/testing/until.ts';
import { RESOURCE_TYPES } from '../../src/cluster/types.ts';
import { NAMESPACE } from '../../src/testing/builders.ts';
import { schedule } from '../../src/testing/schedule-facts.ts';
import { KINDS, SmallCluster } from '../../src/testing/small-cluster.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface Role {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly rules: readonly Rule[];
}

/** All roles of the base. */
const ROLES = readRoles();

function readRoles(): readonly Role[] {
  const folder = new URL('.', import.meta.url);
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => parseAllDocuments(readFileSync(new URL(file, folder), 'utf8')))
    .map((document) => document.toJS() as Role | null)
    .filter((object) => object !== null)
    .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
}

/** What a role named so grants in a namespace, as `verb group/resource`. */
function granted(name: string, namespace?: string): ReadonlySet<string> {
  const inForce = ROLES.filter(
    ({ kind, metadata }) =>
      metadata.name === name && (kind === 'ClusterRole' || metadata.namespace === namespace),
  );
  return new Set(inForce.flatMap(({ rules }) => rules.flatMap(grants)));
}

function grants({ apiGroups, resources, verbs }: Rule): readonly string[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
  );
}

/** Server-side apply is a patch. */
function permissionFor({ verb, plural, subresource }: SeenRequest): string {
  const group = KINDS.find((kind) => kind.plural === plural)?.group ?? '';
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  return `${verb === 'apply' ? 'patch' : verb} ${group}/${resource}`;
}

function isController({ headers }: SeenRequest): boolean {
  return headers['user-agent']?.includes('diapause-controller') === true;
}

/** Checkpoints, a frozen source, a Restore, a schedule with a drain and a retention, and deletions. */
async function muchWork(cluster: SmallCluster): Promise<void> {
  const client = cluster.server.client();
  cluster.createCheckpoint({ afterDump: 'Stop' });
  await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
  const checkpoints = client.resource(RESOURCE_TYPES.checkpoints);
  const first = { namespace: NAMESPACE, name: 'redis-1' };
  await checkpoints.mergePatch(first, { spec: { afterDump: 'Resume' } });
  cluster.createRestore({ target: { newPod: { nodeName: 'node-b' } } });
  await cluster.untilReason(() => cluster.restore(), 'Completed');
  cluster.createCheckpoint({ mode: 'DryRun' }, 'rehearsal');
  await cluster.untilReason(() => cluster.checkpoint('rehearsal'), 'DryRunPassed');
  await checkpoints.delete(first);
  const { metadata: _ours, ...rest } = schedule({
    schedule: '0 0 1 1 *',
    triggers: { onNodeDrain: true, minIntervalSeconds: 0 },
    retention: { keepLast: 1 },
    runNow: '1',
  });
  const named = { name: 'hourly', namespace: NAMESPACE };
  cluster.server.seed(RESOURCE_TYPES.checkpointSchedules, { ...rest, metadata: named });
  const kept = () =>
    cluster.server.peek<ReturnType<typeof schedule>>(RESOURCE_TYPES.checkpointSchedules, named);
  // Of the pod, and of the restored one if that runs already.
  await until('a run', () => (kept()?.status?.totals?.checkpoints ?? 0) > 0, 20_000);
  // Runs are told apart by their second.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const nodes = client.resource(RESOURCE_TYPES.nodes);
  await nodes.mergePatch({ name: 'node-a' }, { spec: { unschedulable: true } });
  await until('the older one goes', () => deletions(cluster) > 0, 20_000);
}

function deletions({ server }: SmallCluster): number {
  return server.requests.filter(
    (request) =>
      isController(request) && permissionFor(request) === 'delete diapause.dev/checkpoints',
  ).length;
}

describe('the role of the controller', () => {
  it('grants all that it asks for', async () => {
    await using cluster = await SmallCluster.start();
    await muchWork(cluster);
    const asked = cluster.server.requests.filter(isController);
    assert.ok(asked.length > 100);
    const refused = asked.filter(
      (request) => !granted('diapause-controller', request.namespace).has(permissionFor(request)),
    );
    const wants = refused.map(
      (one) => `${permissionFor(one)} in ${one.namespace ?? 'the cluster'}`,
    );
    assert.deepEqual([...new Set(wants)], []);
  });

  it('grants NodeTasks only where they live', () => {
    const elsewhere = [...granted('diapause-controller', NAMESPACE)];
    assert.deepEqual(
      elsewhere.filter((permission) => permission.includes('nodetasks')),
      [],
    );
    assert.ok(
      granted('diapause-controller', OPERATOR_NAMESPACE).has('create diapause.dev/nodetasks'),
    );
  });
});

describe('roles', () => {
  it('grant nobody Secrets, tokens, programs in pods, roles, or everything', () => {
    const forbidden =
      /\*|secrets|serviceaccounts|token|pods\/(exec|attach|portforward|ephemeralcontainers|proxy)|nodes\/proxy|roles|rolebindings| (bind|escalate) |certificatesigningrequests/;
    for (const { metadata, rules } of ROLES) {
      const found = rules.flatMap(grants).filter((permission) => forbidden.test(permission));
      assert.deepEqual(found, [], metadata.name);
    }
  });

  it('let agents write nothing but the status of NodeTasks', () => {
    const writing = [...granted('diapause-agent', OPERATOR_NAMESPACE)].filter(
      (permission) => !/^(get|list|watch) /.test(permission),
    );
    const harmless = writing.filter((permission) => !permission.startsWith('impersonate'));
    assert.deepEqual(harmless, ['patch diapause.dev/nodetasks/status']);
  });

  it('let users see and edit every kind of theirs, but restore only by a verb of its own', () => {
    const kinds = readdirSync(new URL('../../crds/', import.meta.url))
      .filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
      .map((file) => parse(readFileSync(new URL(`../../crds/${file}`, import.meta.url), 'utf8')))
      .map((definition: { spec: { names: { plural: string } } }) => definition.spec.names.plural)
      .filter((plural) => plural !== 'nodetasks');
    assert.ok(kinds.includes('checkpointschedules'));
    const [view, edit] = [granted('diapause-view'), granted('diapause-edit')];
    for (const plural of kinds) {
      for (const verb of ['get', 'list', 'watch']) {
        assert.ok(view.has(`${verb} diapause.dev/${plural}`), `view: ${verb} ${plural}`);
      }
      for (const verb of ['create', 'update', 'patch', 'delete']) {
        assert.ok(edit.has(`${verb} diapause.dev/${plural}`), `edit: ${verb} ${plural}`);
      }
    }
    const ofUsers = [...view, ...edit];
    assert.ok(ofUsers.every((permission) => !/status|nodetasks|^restore /.test(permission)));
    assert.deepEqual([...granted('diapause-restore')], ['restore diapause.dev/checkpoints']);
  });
});
