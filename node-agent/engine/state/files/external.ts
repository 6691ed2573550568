// What the user has declared to be outside of the saved tree: described in the images, never opened again by us.
import { deviceNumber } from './device-number.ts';
import type { OpenFile } from './open-file.ts';
import type { PathFacts } from './registry.ts';
import { canonicalResource, inodeResource, pairResource } from './resource.ts';

/** Declarations of one dump, and which of them were met. */
export class Externals {
  readonly #declared: ReadonlySet<string>;
  readonly #met = new Set<string>();

  /** @param names `file[MNT:INO]`, `tty[RDEV:DEV]`, `unix[INO]`, `pipe[INO]` */
  constructor(names: readonly string[] = []) {
    this.#declared = new Set(names.map((name) => canonicalResource(name) ?? name));
  }

  /** Name in the images of a file that is external; undefined for any other. */
  file({ mountId, stat }: Pick<PathFacts, 'mountId' | 'stat'>): string | undefined {
    if (mountId === undefined) return undefined;
    return this.#meet(() => pairResource('file', mountId, stat.ino));
  }

  isTerminal({ stat }: OpenFile): boolean {
    const { rdevMajor, rdevMinor } = stat;
    const rdev = deviceNumber((rdevMajor << 20) | rdevMinor);
    return this.#meet(() => pairResource('tty', rdev, deviceNumber(stat.dev))) !== undefined;
  }

  isUnixSocket(ino: number): boolean {
    return this.#meet(() => inodeResource('unix', ino)) !== undefined;
  }

  isPipe(ino: bigint): boolean {
    return this.#meet(() => inodeResource('pipe', ino)) !== undefined;
  }

  #meet(name: () => string): string | undefined {
    if (this.#declared.size === 0) return undefined;
    const met = name();
    if (!this.#declared.has(met)) return undefined;
    this.#met.add(met);
    return met;
  }

  /** What no process has open. */
  get unmet(): string[] {
    return [...this.#declared].filter((name) => !this.#met.has(name));
  }
}
