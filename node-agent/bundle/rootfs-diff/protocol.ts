// What the rootfs worker is told (one JSON object on stdin) and what it says (JSON lines on stdout). It is a
// process of its own: it enters mount namespaces and uses native calls, which the agent itself must not.
import type { TaskErrorCode } from '../../../crds/conditions.ts';
import type { Finding } from '../../engine/finding.ts';

export interface CollectRequest {
  readonly type: 'collect';
  /** the overlay's writable layer, as this process reaches it */
  readonly upper: string;
  /** the layers below it, topmost first */
  readonly lowers: readonly string[];
  /** `ns/mnt` of the container: content is read through its merged root */
  readonly mountNamespace: string;
  /** absolute paths in the container that belong to the runtime or the pod, with everything below */
  readonly exclude: readonly string[];
  /** existing directory that gets `rootfs-diff.tar` and `deleted.files` */
  readonly outputDirectory: string;
  /** wall clock; files changed later are newer than the saved memory */
  readonly frozenAtMillis: number;
  /** bytes of archive after which it fails, 0 for no limit */
  readonly maxBytes: number;
}

/** All of a volume, as one container has it mounted. */
export interface CollectVolumeRequest
  extends Pick<
    CollectRequest,
    'mountNamespace' | 'outputDirectory' | 'frozenAtMillis' | 'maxBytes'
  > {
  readonly type: 'collect-volume';
  readonly mountPoint: string;
}

export interface ApplyRequest {
  readonly type: 'apply';
  /** `ns/mnt` of the placeholder */
  readonly mountNamespace: string;
  /** directory that holds `rootfs-diff.tar` and `deleted.files` */
  readonly inputDirectory: string;
  /** default: the root */
  readonly mountPoint?: string;
  /** what is there goes first: the archive has all that was there */
  readonly clear?: boolean;
  /** mount points of the placeholder: nothing that carries one is removed or replaced */
  readonly protect: readonly string[];
  /** the root is in use already: first it becomes what its image is */
  readonly undo?: UndoRequest;
}

export interface UndoRequest extends Pick<CollectRequest, 'upper' | 'lowers' | 'exclude'> {}

export type RootfsRequest = CollectRequest | CollectVolumeRequest | ApplyRequest;

export interface RootfsResult {
  readonly entries: number;
  readonly deleted: number;
  /** of the archive */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

export interface RootfsFailure {
  readonly code: TaskErrorCode | undefined;
  readonly errno: string | undefined;
  readonly message: string;
}

export type RootfsEvent =
  | { readonly event: 'progress'; readonly bytes: number }
  | { readonly event: 'result'; readonly result: RootfsResult }
  | { readonly event: 'failed'; readonly failure: RootfsFailure };
