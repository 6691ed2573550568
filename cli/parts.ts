// The bytes of a Migration are those of its Checkpoint and its Restore: they are watched along and shown under its name.
import type { Migration } from '../crds/migration.ts';
import { waitForObject } from '../kube/wait.ts';
import {
  CHECKPOINT,
  type DiapauseObject,
  endOf,
  MIGRATION,
  type NamedObject,
  RESTORE,
} from './kinds.ts';
import { progressOf, type ProgressView } from './output/progress.ts';
import type { Session } from './session.ts';

/** Longer than any of our objects may take; the whole ends first. */
const LIMIT_MILLIS = 24 * 3600 * 1000;

/** Objects that do a part of the work, as far as they exist (pure). */
export function partsOf(whole: DiapauseObject): readonly NamedObject[] {
  if (whole.kind !== MIGRATION.kind) {
    return [];
  }
  const { checkpointName, restoreName } = (whole as Migration).status ?? {};
  return [
    ...(checkpointName === undefined ? [] : [{ kind: CHECKPOINT, name: checkpointName }]),
    ...(restoreName === undefined ? [] : [{ kind: RESTORE, name: restoreName }]),
  ];
}

/** Shows an object's progress, or that of the part which is at work. Ends with its scope. */
export class WholeAndParts implements Disposable {
  readonly #session: Session;
  readonly #view: ProgressView;
  readonly #stop = new AbortController();
  readonly #watched = new Set<string>();
  /** part that told bytes last and goes on */
  #teller: string | undefined;

  constructor(session: Session, view: ProgressView) {
    this.#session = session;
    this.#view = view;
  }

  show(whole: DiapauseObject): void {
    for (const part of partsOf(whole)) {
      const key = `${part.kind.singular}/${part.name}`;
      if (!this.#watched.has(key)) {
        this.#watched.add(key);
        void this.#watch(whole, part, key);
      }
    }
    if (this.#teller === undefined) {
      this.#view.show(progressOf(whole));
    }
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error('the whole has ended'));
  }

  async #watch(whole: DiapauseObject, { kind, name }: NamedObject, key: string): Promise<void> {
    const { label } = progressOf(whole);
    try {
      const resource = await this.#session.resource<DiapauseObject>(kind);
      const ref = { namespace: whole.metadata.namespace, name };
      const hasEnded = (part: DiapauseObject | undefined): boolean => {
        const ended = part !== undefined && endOf(part) !== undefined;
        const tells = !ended && (part?.status?.progress?.bytesTotal ?? 0) > 0;
        if (part !== undefined && tells) {
          this.#view.show({ ...progressOf(part), label });
        }
        this.#teller = tells ? key : this.#teller === key ? undefined : this.#teller;
        return ended;
      };
      const { signal } = this.#stop;
      await waitForObject(resource, ref, hasEnded, { timeoutMillis: LIMIT_MILLIS, signal });
    } catch {
      // Only the bytes are missing: the whole itself is followed elsewhere, with every complaint.
    }
  }
}
