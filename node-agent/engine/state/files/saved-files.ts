// The files of a saved tree as its images have them, each image read once.
import { IMAGES } from '../../image/image-files.ts';
import { RemapType } from '../../image/messages/enums.ts';
import type { FileEntry, FileLockEntry, RegFileEntry } from '../../image/messages/files.ts';
import type { SkPacketEntry, TcpStreamEntry } from '../../image/messages/sockets.ts';
import type { TtyInfoEntry } from '../../image/messages/terminals.ts';
import type { ImageReader } from '../../image/reader.ts';
import type { BpfMapContent } from '../../linux/bpf.ts';
import type { PipeContent } from './pipe-content.ts';
import { isSharedMemoryFile } from './location.ts';

/** A datagram or piece of a stream that was queued. */
export interface QueuedPacket {
  readonly entry: SkPacketEntry;
  readonly bytes: Uint8Array;
}

/** Queues of a TCP connection: received and not read, then sent and not acknowledged. */
export interface SavedStream {
  readonly entry: TcpStreamEntry;
  readonly bytes: Uint8Array;
}

export class SavedFiles {
  readonly images: ImageReader;
  readonly entries: ReadonlyMap<number, FileEntry>;
  readonly #ghosts: ReadonlyMap<number, number>;
  readonly #named: ReadonlySet<number>;
  readonly #ended: ReadonlySet<number>;
  #pipes: ReadonlyMap<number, PipeContent> | undefined;
  #fifos: ReadonlyMap<number, PipeContent> | undefined;
  #queues: ReadonlyMap<number, readonly QueuedPacket[]> | undefined;

  /** @throws ImageError */
  constructor(images: ImageReader) {
    this.images = images;
    this.entries = new Map(images.openFiles.map((entry) => [entry.id, entry]));
    const remaps = images.records(IMAGES.remapFpath);
    const ofProcesses = remaps.filter(({ remapType }) => remapType === RemapType.PROCFS);
    this.#ended = new Set(ofProcesses.map(({ origId }) => origId));
    this.#ghosts = new Map(
      remaps
        .filter(({ remapType }) => remapType === RemapType.GHOST)
        .map(({ origId, remapId }) => [origId, remapId]),
    );
    // Nothing else is overwritten, whatever the images say.
    const isShared = (id: number): boolean =>
      isSharedMemoryFile(this.entries.get(id)?.reg?.name ?? '');
    this.#named = new Set(
      remaps
        .filter(({ keepsName, origId }) => keepsName === true && isShared(origId))
        .map(({ origId }) => origId),
    );
  }

  /** @throws Error when the images do not have it */
  entry(id: number): FileEntry {
    const entry = this.entries.get(id);
    if (!entry) throw new Error(`files.img has no file ${id}`);
    return entry;
  }

  /** The path of what is open: its own message, or that of a FIFO. */
  pathOf({ id, reg, fifo }: FileEntry): RegFileEntry | undefined {
    return reg ?? (fifo && this.entries.get(fifo.regfId ?? id)?.reg);
  }

  /** Undefined when tty-info.img does not have it. */
  terminal(infoId: number): TtyInfoEntry | undefined {
    return this.images.records(IMAGES.ttyInfo).find(({ id }) => id === infoId);
  }

  /** Does a ghost's name stay after the restore? */
  keepsName(id: number): boolean {
    return this.#named.has(id);
  }

  /** Ghost id of a file that was unlinked, or whose content travels with the images though it has a name. */
  ghostOf(id: number): number | undefined {
    return this.#ghosts.get(id);
  }

  /** Undefined when the images lack it. */
  bpfMap(mapId: number): BpfMapContent | undefined {
    for (const { record, read } of this.images.payloads(IMAGES.bpfmapData)) {
      if (record.mapId !== mapId) continue;
      const bytes = read();
      const { count, keysBytes } = record;
      return { count, keys: bytes.subarray(0, keysBytes), values: bytes.subarray(keysBytes) };
    }
    return undefined;
  }

  /** Does a file lie in the directory of a process that had ended? */
  isOfEnded(id: number): boolean {
    return this.#ended.has(id);
  }

  locks(): readonly FileLockEntry[] {
    return this.images.records(IMAGES.filelocks);
  }

  /** An established connection that was kept. */
  stream(ino: number): SavedStream | undefined {
    for (const { record, read } of this.images.payloads(IMAGES.tcpStream(ino))) {
      return { entry: record, bytes: read() };
    }
    return undefined;
  }

  pipeContent(pipeId: number): PipeContent | undefined {
    this.#pipes ??= this.#readPipes(IMAGES.pipesData);
    return this.#pipes.get(pipeId);
  }

  fifoContent(pipeId: number): PipeContent | undefined {
    this.#fifos ??= this.#readPipes(IMAGES.fifoData);
    return this.#fifos.get(pipeId);
  }

  /** What a socket had still to read, oldest first. */
  queueOf(id: number): readonly QueuedPacket[] {
    this.#queues ??= this.#readQueues();
    return this.#queues.get(id) ?? [];
  }

  #readPipes(image: typeof IMAGES.pipesData): ReadonlyMap<number, PipeContent> {
    const contents = new Map<number, PipeContent>();
    for (const { record, read } of this.images.payloads(image)) {
      contents.set(record.pipeId, { entry: record, bytes: read() });
    }
    return contents;
  }

  #readQueues(): ReadonlyMap<number, readonly QueuedPacket[]> {
    const queues = new Map<number, QueuedPacket[]>();
    for (const { record, read } of this.images.payloads(IMAGES.skQueues)) {
      const queue = queues.get(record.idFor) ?? [];
      queue.push({ entry: record, bytes: read() });
      queues.set(record.idFor, queue);
    }
    return queues;
  }
}
