// The small files of a container's folder: what checkpointctl, CRI-O and containerd want to know (kubernetes.md 6).
import { lstat } from 'node:fs/promises';
import { statusAsGoJson } from '../container/cri-messages.ts';
import type { FoundContainer } from '../container/find-container.ts';
import type { Directory } from './directory.ts';
import { CONTAINER_FILES } from './layout.ts';

const NANOS_PER_MILLI = 1_000_000n;

export interface MetadataOptions {
  readonly frozenAtMillis: number;
  /** leads to the node's root: sources of bind mounts are paths there */
  readonly nodeRoot: string;
}

/** Writes `config.dump`, `spec.dump`, `status.dump`, `status` and `bind.mounts`. */
export async function writeMetadata(
  folder: Directory,
  container: FoundContainer,
  options: MetadataOptions,
): Promise<void> {
  const { spec, status } = container.runtime;
  await folder.writeFile(CONTAINER_FILES.config, JSON.stringify(configOf(container, options)));
  await folder.writeFile(CONTAINER_FILES.spec, JSON.stringify(spec));
  if (status !== undefined) {
    await folder.writeFile(CONTAINER_FILES.status, statusAsGoJson(status));
  }
  await folder.writeFile(CONTAINER_FILES.runtimeStatus, runtimeStatus(container));
  const mounts = await bindMounts(container, options.nodeRoot);
  await folder.writeFile(CONTAINER_FILES.bindMounts, JSON.stringify(mounts));
}

function configOf(
  { id, name, runtime, imageID }: FoundContainer,
  options: MetadataOptions,
): object {
  const { status } = runtime;
  return {
    id: id.hex,
    name,
    rootfsImage: status?.image?.image ?? imageID,
    rootfsImageRef: status?.image_ref ?? imageID,
    rootfsImageName: status?.image?.image ?? '',
    runtime: 'runc',
    createdTime: timeOf(status?.created_at),
    checkpointedTime: new Date(options.frozenAtMillis).toISOString(),
    restoredTime: '0001-01-01T00:00:00Z',
    restored: false,
  };
}

/** containerd's own record of a running container: nanoseconds since 1970. */
function runtimeStatus({ runtime, process }: FoundContainer): string {
  const { created_at: createdAt = '0', started_at: startedAt = '0' } = runtime.status ?? {};
  return `{"CreatedAt":${createdAt},"StartedAt":${startedAt},"FinishedAt":0,"ExitCode":0,"Pid":${process.pid},"Reason":"","Message":""}`;
}

/** Go's zero time where the runtime did not tell. */
function timeOf(nanos: string | undefined): string {
  return nanos === undefined || nanos === '0'
    ? '0001-01-01T00:00:00Z'
    : new Date(Number(BigInt(nanos) / NANOS_PER_MILLI)).toISOString();
}

interface BindMount {
  readonly source: string;
  readonly destination: string;
  readonly file_type: 'directory' | 'file';
  readonly permissions: number;
}

async function bindMounts({ runtime }: FoundContainer, nodeRoot: string): Promise<BindMount[]> {
  const mounts: BindMount[] = [];
  for (const { type, source, destination } of runtime.spec.mounts ?? []) {
    if (type === 'bind' && source !== undefined) {
      const stat = await lstat(`${nodeRoot}${source}`).catch(() => undefined);
      mounts.push({
        source,
        destination,
        file_type: stat?.isDirectory() === false ? 'file' : 'directory',
        permissions: (stat?.mode ?? 0) & 0o777,
      });
    }
  }
  return mounts;
}
