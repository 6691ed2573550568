// What a rootfs difference does not hold, or not exactly: a few by name, the rest counted.
import type { Finding, Severity } from '../../engine/finding.ts';
import { readable } from './raw-path.ts';

const NAMED_AT_MOST = 8;

const KINDS = {
  SocketFile: ['note', 'a socket is made anew by whoever listens on it'],
  DeviceNode: ['loss', 'device nodes are not saved; let the image or the pod bring it'],
  FileNameNotUtf8: [
    'loss',
    'the deletion of this file cannot be recorded; give it a name in UTF-8',
  ],
  FileChangedLater: [
    'note',
    'changed between the freeze and the copy, so it is newer than the memory; use afterDump: Stop for an exact copy',
  ],
  MountInTheWay: ['loss', 'the pod has a mount there, which stays as it is'],
} as const satisfies Record<string, readonly [Severity, string]>;

export type RootfsFindingCode = keyof typeof KINDS;

export class FindingList {
  readonly #paths = new Map<RootfsFindingCode, string[]>();
  readonly #counts = new Map<RootfsFindingCode, number>();

  add(code: RootfsFindingCode, path: string): void {
    const count = this.#counts.get(code) ?? 0;
    this.#counts.set(code, count + 1);
    if (count < NAMED_AT_MOST) {
      this.#paths.set(code, [...(this.#paths.get(code) ?? []), readable(path)]);
    }
  }

  /** One finding for each code. */
  all(): Finding[] {
    return [...this.#paths].map(([code, paths]) => {
      const [severity, advice] = KINDS[code];
      const more = (this.#counts.get(code) ?? 0) - paths.length;
      const object = `${paths.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
      return { code, severity, pid: 0, object, advice };
    });
  }
}
