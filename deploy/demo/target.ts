// Which cluster the demo runs on: its own two nodes, or the one of KUBECONFIG; images get there either way.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { Kubectl } from './kubectl.ts';
import type { Narrator } from './narrator.ts';

export const NAMESPACE = 'diapause-demo';
export const CHECKOUT = join(import.meta.dirname, '../..');
const DEMO_IMAGES = ['demo-redis', 'demo-python', 'demo-futex'];
const OPERATOR_IMAGES = ['controller', 'agent', 'init'];
const OPERATOR_NAMESPACE = 'diapause-system';
export const OWN_KUBECONFIG = join(CHECKOUT, '.cluster/kubeconfig');
const CLUSTER_SCRIPT = join(CHECKOUT, 'deploy/cluster/cluster.sh');

export interface Target {
  readonly kubectl: Kubectl;
  /** where the applications start, and where they are brought back */
  readonly sourceNode: string;
  readonly targetNode: string;
  /** for people: what to put before kubectl */
  readonly hint: string;
}

/** Runs a program of ours; what it prints is progress for the user. */
async function runProgram(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], cwd: CHECKOUT });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject);
  child.on('close', resolve);
  const status = await promise;
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed (see above)`);
  }
}

const archives = (names: readonly string[]) =>
  names.map((name) => join(CHECKOUT, 'build/images', `${name}.tar`));

function buildImages(names: readonly string[]): Promise<void> {
  return runProgram(process.execPath, [join(CHECKOUT, 'deploy/images/main.ts'), ...names]);
}

/** The cluster of this checkout: booted, with Diapause, with the demo's images. */
export async function ownCluster(narrator: Narrator): Promise<Target> {
  await narrator.step('Two nodes of Kubernetes on this machine', () =>
    runProgram(CLUSTER_SCRIPT, ['up']),
  );
  await narrator.step('Diapause, by kubectl apply -k deploy/base', () =>
    runProgram(CLUSTER_SCRIPT, ['deploy']),
  );
  await narrator.step('Images of the applications, from Debian packages', async () => {
    await buildImages(DEMO_IMAGES);
    await runProgram(CLUSTER_SCRIPT, ['load', ...archives(DEMO_IMAGES)]);
  });
  return {
    kubectl: new Kubectl(join(CHECKOUT, '.cluster/bin/kubectl'), OWN_KUBECONFIG, NAMESPACE),
    sourceNode: 'node-a',
    targetNode: 'node-b',
    hint: `eval "$(deploy/cluster/cluster.sh env)"`,
  };
}

/** How images reach the nodes of a cluster that a tool made, by the name of its context. */
export function imageLoader(
  context: string,
  archive: string,
): readonly [command: string, ...args: string[]] | undefined {
  const [tool = '', ...rest] = context.split('-');
  const cluster = rest.join('-');
  if (tool === 'kind' && cluster !== '') {
    return ['kind', 'load', 'image-archive', archive, '--name', cluster];
  }
  if (tool === 'k3d' && cluster !== '') {
    return ['k3d', 'image', 'import', archive, '--cluster', cluster];
  }
  if (context === 'minikube') {
    return ['minikube', 'image', 'load', archive];
  }
  return undefined;
}

async function loadImages(kubectl: Kubectl, narrator: Narrator): Promise<void> {
  const context = (await kubectl.run(['config', 'current-context'])).trim();
  for (const archive of archives([...OPERATOR_IMAGES, ...DEMO_IMAGES])) {
    const [command, ...args] = imageLoader(context, archive) ?? [];
    if (command === undefined) {
      narrator.say(
        `Context ${context} is not one of kind, k3d or minikube: import ${archive} into its nodes yourself`,
      );
    } else {
      await runProgram(command, args);
    }
  }
}

interface Node {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly unschedulable?: boolean; readonly taints?: readonly unknown[] };
}

/** The cluster of a kubeconfig: two free nodes of it, or one that is both. */
export async function foreignCluster(kubeconfig: string, narrator: Narrator): Promise<Target> {
  const kubectl = new Kubectl('kubectl', kubeconfig, NAMESPACE);
  await narrator.step('Images, from npm and Debian packages', async () => {
    await buildImages([...OPERATOR_IMAGES, ...DEMO_IMAGES]);
    await loadImages(kubectl, narrator);
  });
  await narrator.step('Diapause, by kubectl apply -k deploy/base', async () => {
    const base = join(CHECKOUT, 'deploy/base');
    await kubectl.run(['apply', '--server-side', '--force-conflicts', '-k', base]);
    const status = ['rollout', 'status', 'deployment,daemonset', '--timeout=170s'];
    await kubectl.run(['-n', OPERATOR_NAMESPACE, ...status]);
  });
  const free = (await kubectl.list<Node>('nodes')).filter(
    ({ spec }) => spec.unschedulable !== true && (spec.taints ?? []).length === 0,
  );
  const [source, target = source] = free.map((node) => node.metadata.name);
  if (source === undefined || target === undefined) {
    throw new Error('no node of this cluster takes ordinary pods: kubectl get nodes');
  }
  return {
    kubectl,
    sourceNode: source,
    targetNode: target,
    hint: `export KUBECONFIG=${kubeconfig}`,
  };
}
