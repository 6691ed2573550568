// One open file description as the freeze finds it: its facts, and who holds it at which number.
import { closeFd } from '../../linux/descriptors.ts';
import { type Duplicate, duplicateFile, type Signalled } from '../../linux/duplicate.ts';
import type { FileStat } from '../../linux/file-facts.ts';
import type { ProcessHandles } from '../../linux/process-handles.ts';
import { SocketFacts } from '../../linux/socket-facts.ts';
import { refusal, type Severity } from '../../finding.ts';
import type { ProcessSubject } from '../state-kind.ts';
import type { FdInfo } from './fdinfo.ts';

/** A descriptor in the table of a process, as the engine numbers processes. */
export interface DescriptorAt {
  readonly pid: number;
  readonly fd: number;
}

/** A descriptor of the application. */
export interface Holder {
  readonly subject: ProcessSubject;
  readonly fd: number;
  readonly closeOnExec: boolean;
}

/** Facts that a look from outside gives. */
export interface OpenFileFacts {
  readonly link: string;
  readonly stat: FileStat;
  readonly info: FdInfo;
}

/** Where an open file was found. */
export interface FilePlace {
  /** where it can be reached: a process of the tree, or the engine for what was found in a queue */
  readonly source: DescriptorAt;
  /** process that findings name */
  readonly subject: ProcessSubject;
  readonly handles: ProcessHandles;
}

/** Every duplicate and inherited copy of a descriptor is one open file. */
export class OpenFile implements OpenFileFacts {
  readonly id: number;
  /** where it can be reached: a process of the tree, or the engine for what was found in a queue */
  readonly source: DescriptorAt;
  /** process that findings name */
  readonly subject: ProcessSubject;
  readonly link: string;
  readonly stat: FileStat;
  readonly info: FdInfo;
  readonly holders: Holder[] = [];
  readonly #handles: ProcessHandles;
  #duplicate: Duplicate | undefined;
  #socket: SocketFacts | undefined;

  constructor(id: number, place: FilePlace, facts: OpenFileFacts) {
    this.id = id;
    this.source = place.source;
    this.subject = place.subject;
    this.#handles = place.handles;
    this.link = facts.link;
    this.stat = facts.stat;
    this.info = facts.info;
  }

  /** The magic link through which it can be opened anew. */
  get magicLink(): string {
    return `/proc/${this.source.pid}/fd/${this.source.fd}`;
  }

  /**
   * The engine's own descriptor of it. It must be closed before the thaw: while it lives, a reader sees no end of
   * file and a socket is not shut, though the application closed it.
   */
  get duplicate(): number {
    return this.#taken.fd;
  }

  /** Whom it signals; undefined where the kind of file has nobody. */
  get signalled(): Signalled | undefined {
    return this.#taken.signalled;
  }

  get #taken(): Duplicate {
    const { pid, fd } = this.source;
    return (this.#duplicate ??= duplicateFile(this.#handles.of(pid), fd, pid));
  }

  /** What a socket tells of itself: read once. */
  get socket(): SocketFacts {
    return (this.#socket ??= new SocketFacts(this.duplicate));
  }

  closeDuplicate(): void {
    if (this.#duplicate !== undefined) closeFd(this.#duplicate.fd);
    this.#duplicate = undefined;
  }

  /** `fd 7 -> socket:[123]`, for people. */
  get description(): string {
    return `fd ${this.holders[0]?.fd ?? this.source.fd} -> ${this.link}`;
  }

  /** Tells that it cannot be saved, or not exactly. */
  report(severity: Severity, code: string, advice: string): void {
    this.subject.report({
      ...refusal(code, this.subject.process.nsPid, this.description, advice),
      severity,
    });
  }

  /** A refusal: the dump ends after the collection. */
  refuse(code: string, advice: string): undefined {
    this.report('refusal', code, advice);
    return undefined;
  }
}
