// The chart as helm renders it and the base as kustomize does, for the tests that compare them.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseAllDocuments } from 'yaml';
import { repository } from '../images/kit.ts';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface Rendered {
  readonly status: number | null;
  readonly stderr: string;
  readonly text: string;
}

/** helm, if it is here; `make helm` gets it. */
export function findHelm(): string | undefined {
  const script = join(repository(), 'deploy/helm/get-helm.sh');
  const found = spawnSync(script, ['--found'], { encoding: 'utf8' });
  return found.status === 0 ? found.stdout.trim() : undefined;
}

/** kubectl of the PATH, or the one that the local cluster is run with. */
export function findKubectl(): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const candidates = ['kubectl', ...globSync(join(cache, 'diapause/cluster-*/bin/kubectl'))];
  return candidates.find((path) => spawnSync(path, ['version', '--client']).status === 0);
}

/** @param values as for `--set` */
export function renderChart(helm: string, values: readonly string[] = []): Rendered {
  const chart = join(repository(), 'deploy/helm/diapause');
  const sets = values.flatMap((value) => ['--set', value]);
  return render(helm, ['template', 'diapause', chart, ...sets]);
}

export function renderBase(kubectl: string): Rendered {
  return render(kubectl, ['kustomize', join(repository(), 'deploy/base')]);
}

function render(command: string, args: readonly string[]): Rendered {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  return { status, stderr, text: stdout };
}

/** By kind, namespace and name. @throws YAMLParseError */
export function manifestsIn(text: string): ReadonlyMap<string, Manifest> {
  const found = new Map<string, Manifest>();
  for (const document of parseAllDocuments(text)) {
    const manifest = document.toJS() as Manifest | null;
    if (manifest !== null) {
      const { kind, metadata } = manifest;
      found.set(`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, manifest);
    }
  }
  return found;
}
