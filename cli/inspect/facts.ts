// What `inspect` finds in a bundle. Structure, names and sizes only: no content of memory, files, pipes or sockets.

export interface ProcessFacts {
  readonly pid: number;
  /** 0: the root of the tree */
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** the leader first */
  readonly threads: readonly number[];
  /** as the kernel calls it, at most 15 letters */
  readonly command: string;
  readonly state: 'alive' | 'dead' | 'stopped';
  readonly executable?: string;
  readonly directory?: string;
  readonly descriptors: readonly DescriptorFacts[];
  readonly areas: readonly AreaFacts[];
}

export interface DescriptorFacts {
  readonly fd: number;
  /** `file`, `pipe`, `tcp`, `unix`, `eventfd` ... */
  readonly type: string;
  /** path, addresses, counter: what tells it apart */
  readonly object: string;
  readonly closeOnExec: boolean;
}

export interface AreaFacts {
  readonly start: bigint;
  readonly end: bigint;
  /** `rwxp`, as in /proc/PID/maps */
  readonly permissions: string;
  readonly bytes: number;
  /** of these, bytes whose content lies in this bundle */
  readonly savedBytes: number;
  /** bytes whose content lies in the parent of an incremental bundle */
  readonly parentBytes: number;
  /** path, `[heap]`, `[stack]`, `[anon]` ... */
  readonly name: string;
}

export interface FileSize {
  readonly file: string;
  readonly bytes: number;
}

export interface ContainerFacts {
  readonly container: string;
  readonly processes: readonly ProcessFacts[];
  /** everything that lies in its folder, largest first */
  readonly files: readonly FileSize[];
}

/** Sums over one process (pure). */
export function memoryOf({ areas }: ProcessFacts): {
  readonly mappedBytes: number;
  readonly savedBytes: number;
} {
  return {
    mappedBytes: areas.reduce((sum, { bytes }) => sum + bytes, 0),
    savedBytes: areas.reduce((sum, { savedBytes }) => sum + savedBytes, 0),
  };
}
