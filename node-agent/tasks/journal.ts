// What this agent is in the middle of, on the node's disk: written before each step that a crash must not forget.
import * as fs from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Report } from '../../crds/meta.ts';
import type { NodeTaskSpec, NodeTaskStatus, TaskResult } from '../../crds/node-task.ts';
import type { SealedBundle } from '../bundle/staging.ts';
import type { DumpResult } from '../engine/protocol.ts';
import { errnoOf } from '../task-failure.ts';
import type { EngineIdentity } from './engine-process.ts';
import type { Compared } from './hooks/after-restore.ts';
import { tryLock } from './file-lock.ts';

const SUFFIX = '.json';
const UNFINISHED_SUFFIX = '.tmp';
const LOCK_FILE = 'lock';
const LOCK_ATTEMPTS = 120;
const LOCK_PAUSE_MILLIS = 500;

/**
 * Where a task stands. `begun`: nothing outside this node's memory has changed. `staging`: a directory may lie on
 * the store. `rewinding`: an engine may be taking the program of a running pod away; `rewound`: placeholders wait in its
 * place. `engine`: an engine may hold the application. `saved`: its images are complete. `sealing`: the bundle
 * is complete but for its name, or the restored processes run. `ended`: only the report is missing.
 */
export type JournalStep =
  | 'begun'
  | 'staging'
  | 'rewinding'
  | 'rewound'
  | 'engine'
  | 'saved'
  | 'sealing'
  | 'ended';

/** The engine's part of a dump, done. Times are wall clock, milliseconds since 1970. */
export interface SavedDump {
  readonly result: DumpResult;
  readonly frozenAtMillis: number;
  readonly resumedAtMillis: number | undefined;
}

/** Known from some step on. */
export interface JournalFacts {
  readonly engine?: EngineIdentity;
  /** to be thawed should this go wrong */
  readonly freezerFiles?: readonly string[];
  readonly saved?: SavedDump;
  readonly sealed?: SealedBundle;
  /** hooks were begun: `due` until those that come afterwards have been tried */
  readonly postHooks?: 'due' | 'done';
  /** what the user is told of hooks whose failure does not count */
  readonly hookNotes?: readonly Report[];
  /** of a restore: what of the processes was read back */
  readonly compared?: Omit<Compared, 'bundleDigest'>;
  /** what will be reported once the bundle has its name, or of the processes that run */
  readonly result?: TaskResult;
  /** the last word on the task */
  readonly status?: NodeTaskStatus;
}

export interface JournalRecord {
  readonly version: 1;
  readonly task: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly spec: NodeTaskSpec;
  };
  /** how often an agent has begun with it */
  readonly attempt: number;
  /** after a reboot nothing that was started runs any more */
  readonly bootId: string;
  readonly step: JournalStep;
  readonly facts: JournalFacts;
}

export const currentBootId = (): string =>
  readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

export interface JournalOptions {
  readonly folder: string;
  /** util-linux flock(1) */
  readonly flockProgram: string;
  readonly bootId?: string;
}

export class Journal {
  readonly #folder: string;
  readonly #bootId: string;
  readonly #lock: fs.FileHandle;

  private constructor(folder: string, bootId: string, lock: fs.FileHandle) {
    this.#folder = folder;
    this.#bootId = bootId;
    this.#lock = lock;
  }

  /**
   * Opens the journal for this agent alone: another one of this node may still be ending.
   *
   * @throws Error when that other one does not end within a minute
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { folder, flockProgram, bootId = currentBootId() } = options;
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const lock = await fs.open(join(folder, LOCK_FILE), 'w', 0o600);
    for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
      if (await tryLock(lock, 'exclusive', flockProgram)) {
        return new Journal(folder, bootId, lock);
      }
      await sleep(LOCK_PAUSE_MILLIS);
    }
    await lock.close();
    throw new Error(`another agent of this node still uses ${folder}; end it first`);
  }

  /** Lets the next agent have it. */
  async close(): Promise<void> {
    await this.#lock.close();
  }

  get bootId(): string {
    return this.#bootId;
  }

  /** What an earlier agent left. Files that were being written when it died are removed: the old ones count. */
  async records(onDamaged: (file: string, error: unknown) => void): Promise<JournalRecord[]> {
    const records: JournalRecord[] = [];
    for (const file of await fs.readdir(this.#folder)) {
      const path = join(this.#folder, file);
      if (file.endsWith(UNFINISHED_SUFFIX)) {
        await fs.rm(path, { force: true });
      } else if (file.endsWith(SUFFIX)) {
        try {
          records.push(parseRecord(await fs.readFile(path, 'utf8')));
        } catch (error) {
          onDamaged(path, error);
        }
      }
    }
    return records;
  }

  /** The entry of a task, begun now or by an earlier agent. */
  entry(task: JournalRecord['task'], earlier?: JournalRecord): JournalEntry {
    const record: JournalRecord = earlier ?? {
      version: 1,
      task,
      attempt: 0,
      bootId: this.#bootId,
      step: 'begun',
      facts: {},
    };
    return new JournalEntry(this.#folder, this.#bootId, record);
  }
}

export class JournalEntry {
  readonly #folder: string;
  readonly #bootId: string;
  #record: JournalRecord;

  constructor(folder: string, bootId: string, record: JournalRecord) {
    this.#folder = folder;
    this.#bootId = bootId;
    this.#record = record;
  }

  get record(): JournalRecord {
    return this.#record;
  }

  get step(): JournalStep {
    return this.#record.step;
  }

  get facts(): JournalFacts {
    return this.#record.facts;
  }

  /** Notes that an agent begins (again) with this task. */
  async begin(): Promise<void> {
    const attempt = this.#record.attempt + 1;
    await this.#write({ ...this.#record, attempt, bootId: this.#bootId });
  }

  /** Durable when it resolves. Facts of earlier steps stay. */
  async note(step: JournalStep, facts: JournalFacts = {}): Promise<void> {
    await this.#write({ ...this.#record, step, facts: { ...this.#record.facts, ...facts } });
  }

  /** Back to the start: everything done was undone. What hooks began is still to be ended. */
  async restart(): Promise<void> {
    const { postHooks } = this.facts;
    const facts = postHooks === undefined ? {} : { postHooks };
    await this.#write({ ...this.#record, step: 'begun', facts });
  }

  async remove(): Promise<void> {
    await fs.rm(this.#path, { force: true });
    await this.#syncFolder();
  }

  get #path(): string {
    return join(this.#folder, `${this.#record.task.uid}${SUFFIX}`);
  }

  async #write(record: JournalRecord): Promise<void> {
    this.#record = record;
    const unfinished = `${this.#path}${UNFINISHED_SUFFIX}`;
    const handle = await fs.open(unfinished, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify(record));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(unfinished, this.#path);
    await this.#syncFolder();
  }

  async #syncFolder(): Promise<void> {
    const handle = await fs.open(this.#folder, 'r');
    try {
      await handle.sync();
    } catch (error) {
      // Some file systems (overlay in tests, FUSE) know no fsync of directories.
      if (errnoOf(error) !== 'EINVAL') {
        throw error;
      }
    } finally {
      await handle.close();
    }
  }
}

function parseRecord(text: string): JournalRecord {
  const record = JSON.parse(text) as Partial<JournalRecord> | null;
  if (record?.version !== 1 || typeof record.task?.uid !== 'string') {
    throw new Error('not a journal record of this version');
  }
  return record as JournalRecord;
}
