// Many system calls in a stopped thread for the price of one stop: 55 us a batch, 0.2 us for each further call.
import {
  CALL_LOAD,
  CONTROL,
  CONTROL_SIZE,
  OP,
  OP_FORK_GUARD,
  OP_SIZE,
  OP_STOP_ON_ERROR,
} from '../../../shim/shim.generated.ts';
import { REG, SYS, unsigned } from '../arch/x86-64.ts';
import { encodeText } from '../image/text.ts';
import { LinuxError } from '../linux/error.ts';
import { readParts, writeParts } from '../linux/process-memory.ts';
import * as ptrace from '../linux/ptrace.ts';
import {
  awaitStop,
  lookForStop,
  REMOTE_CALL_MILLIS,
  type RemoteEvents,
  TraceeError,
} from './remote-run.ts';
import type { Resident, Slot } from './resident.ts';
import { RemoteData, RemoteResult, type RemoteWord } from './remote-word.ts';
import { syscallName } from './syscall-name.ts';
import type { TracedThread } from './traced-thread.ts';

/** Interrupts on, no direction, trap or resume flag: foreign code starts clean. */
const CLEAN_FLAGS = 0x202n;

const CONTROL_WORDS = CONTROL_SIZE / 8;
const OP_WORDS = OP_SIZE / 8;

interface Queued {
  readonly nr: number;
  readonly args: readonly RemoteWord[];
  readonly flags: number;
  readonly result: RemoteResult;
  /** what stands for the result until the call is made */
  readonly before: number;
}

/** Most batches have little of it. */
const LEAST_DATA_BYTES = 512;
const NO_DATA = Buffer.alloc(0);

/** No descriptor, and no address: a will that names a call which was never made does nothing. */
const NOT_MADE = -1;

/**
 * A batch for one thread. Queue calls, then {@link run} (or {@link start} on many threads and {@link finish} on each).
 * After the run it is empty and can be used again; earlier results and data stay readable.
 */
export class RemoteBatch {
  readonly thread: TracedThread;
  readonly events: RemoteEvents = { born: undefined, exec: false };
  readonly resident: Resident;
  readonly #slot: Slot;
  #queue: Queued[] = [];
  #will: Queued[] = [];
  #out: RemoteData[] = [];
  readonly #paths = new Map<string, RemoteData>();
  #data: Buffer;
  #dataUsed = 0;
  #ended = false;

  constructor(thread: TracedThread) {
    const { resident } = thread.process;
    if (!resident) throw new Error(`no interpreter in process ${thread.process.pid}`);
    this.thread = thread;
    this.resident = resident;
    this.#slot = resident.slot(thread);
    this.#data = NO_DATA;
  }

  /** Queues a call whose failure is a normal answer. */
  call(nr: number, ...args: RemoteWord[]): RemoteResult {
    return this.#push(nr, args, 0);
  }

  /** Queues a call that ends the batch when it fails; {@link finish} then throws. */
  must(nr: number, ...args: RemoteWord[]): RemoteResult {
    return this.#push(nr, args, OP_STOP_ON_ERROR);
  }

  /** Queues a fork whose child, should the engine die now, ends at once instead of becoming a second application. */
  fork(nr: number, ...args: RemoteWord[]): RemoteResult {
    return this.#push(nr, args, OP_STOP_ON_ERROR | OP_FORK_GUARD);
  }

  /** Queues a call that the thread makes only if the engine dies: what it must undo by itself then. */
  ifOrphaned(nr: number, ...args: RemoteWord[]): void {
    const result = new RemoteResult(nr, 0, { value: undefined });
    this.#will.push({ nr, args, flags: 0, result, before: NOT_MADE });
  }

  /**
   * Queues the close of a descriptor that an earlier batch was to close if the engine died. From the moment that this batch
   * is written in its place, it is closed once: another thread may have opened a file at its number by a second time.
   *  1. begun, the thread closes it in the batch, and the will finds -1;
   *  2. not begun, only the will is left, and finds its number.
   */
  closeOnce(fd: number): void {
    const closed = this.#push(SYS.close, [fd], OP_STOP_ON_ERROR, fd + 1);
    this.ifOrphaned(SYS.close, closed.plus(-1));
  }

  /** Queues the reading of a descriptor that an earlier call writes to memory, for later calls and for wills. */
  load(data: RemoteData, offset = 0): RemoteResult {
    return this.#push(CALL_LOAD, [data.address + BigInt(offset)], 0);
  }

  #push(nr: number, args: RemoteWord[], flags: number, before = NOT_MADE): RemoteResult {
    if (this.#queue.length + this.#will.length >= this.#slot.calls) {
      throw new Error(`more than ${this.#slot.calls} calls in one batch`);
    }
    const result = new RemoteResult(nr, this.#queue.length, { value: undefined });
    this.#queue.push({ nr, args, flags, result, before });
    return result;
  }

  /** Is there room for so many further calls and bytes? */
  hasRoom(calls: number, bytes: number): boolean {
    return (
      this.#queue.length + this.#will.length + calls <= this.#slot.calls &&
      this.#dataUsed + bytes + 16 <= this.#slot.dataBytes
    );
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Bytes for the tracee to read (and to change: they are read back). */
  bytes(content: Uint8Array): RemoteData {
    const data = this.space(content.length);
    this.#data.set(content, data.offset);
    return data;
  }

  /** A NUL-terminated string, Latin-1 so that every byte of a path survives. */
  text(value: string): RemoteData {
    return this.bytes(Buffer.from(`${value}\0`, 'latin1'));
  }

  /** A NUL-terminated path as the images have it (text.ts). The same one again takes no more room. */
  path(value: string): RemoteData {
    let data = this.#paths.get(value);
    if (!data) {
      const text = encodeText(value);
      data = this.space(text.length + 1);
      this.#data.set(text, data.offset);
      this.#paths.set(value, data);
    }
    return data;
  }

  /** Zeroed room for an answer, 16-byte aligned. */
  space(length: number): RemoteData {
    const offset = (this.#dataUsed + 15) & ~15;
    if (offset + length > this.#slot.dataBytes) {
      throw new Error(`more than ${this.#slot.dataBytes} bytes of data in one batch`);
    }
    const before = this.#dataUsed;
    this.#dataUsed = offset + length;
    if (this.#dataUsed > this.#data.length) {
      const wanted = Math.max(LEAST_DATA_BYTES, this.#dataUsed * 2);
      const grown = Buffer.allocUnsafe(Math.min(this.#slot.dataBytes, wanted));
      this.#data.copy(grown, 0, 0, before);
      this.#data = grown;
    }
    // From the end of what lies before it: nothing of the engine's own memory goes along.
    this.#data.fill(0, before, offset + length);
    const data = new RemoteData(this.#slot.dataAt + BigInt(offset), offset, length);
    this.#out.push(data);
    return data;
  }

  /** Runs the batch and waits for its end. */
  run(millis = REMOTE_CALL_MILLIS): this {
    this.start();
    return this.finish(millis);
  }

  /** Sets the thread going; nothing may be queued before {@link finish}. */
  start(): void {
    const { thread } = this;
    const { pid } = thread.process;
    thread.saveBeforeUse();
    const calls = [...this.#queue, ...this.#will];
    const block = new BigUint64Array(CONTROL_WORDS + calls.length * OP_WORDS);
    this.resident.writeControlBlock(block, thread, this.#slot, {
      calls: this.#queue.length,
      will: this.#will.length,
    });
    const halves = new Int32Array(block.buffer);
    calls.forEach((queued, i) => encode(queued, halves, (CONTROL_SIZE + i * OP_SIZE) / 4));
    writeParts(pid, [
      { at: this.#slot.base, bytes: new Uint8Array(block.buffer) },
      { at: this.#slot.dataAt, bytes: this.#data.subarray(0, this.#dataUsed) },
    ]);
    const registers = BigUint64Array.from(thread.registers);
    registers[REG.rip] = this.resident.entry;
    registers[REG.rdi] = this.#slot.base;
    registers[REG.origRax] = unsigned(-1);
    registers[REG.rax] = 0n;
    registers[REG.rflags] = CLEAN_FLAGS;
    thread.sendTo(registers, this.resident.quietMask);
    if (!ptrace.resume(thread.tid))
      throw new TraceeError(thread.tid, { kind: 'killed', signal: 9 });
  }

  /** One look whether a batch that was started has come to its end, without waiting. @throws TraceeError */
  hasEnded(): boolean {
    this.#ended ||= lookForStop(this.thread, this.#end, this.events);
    return this.#ended;
  }

  get #end() {
    return { kind: 'signal', signal: this.resident.endSignal } as const;
  }

  /**
   * Waits for the end of the batch and reads its answers.
   *
   * @throws LinuxError for the first failed `must` call
   */
  finish(millis = REMOTE_CALL_MILLIS): this {
    const { thread } = this;
    const { pid } = thread.process;
    if (!this.#ended) awaitStop(thread, this.#end, this.events, millis);
    thread.place = 'signal-loop';
    const block = new BigInt64Array(CONTROL_WORDS + this.#queue.length * OP_WORDS);
    const data = Buffer.allocUnsafe(this.#dataUsed);
    readParts(pid, [
      { at: this.#slot.base, bytes: new Uint8Array(block.buffer) },
      { at: this.#slot.dataAt, bytes: data },
    ]);
    const done = new Uint32Array(block.buffer)[CONTROL.done / 4]!;
    for (let i = 0; i < done; i++) {
      this.#queue[i]!.result.value = block[CONTROL_WORDS + i * OP_WORDS + OP.ret / 8]!;
    }
    for (const out of this.#out) out.all = data;
    const last = this.#queue[done - 1];
    this.#reset();
    if (last && last.flags & OP_STOP_ON_ERROR && last.result.value < 0n) {
      throw new LinuxError(`remote ${syscallName(last.nr)}`, Number(-last.result.value), {
        pid: thread.process.nsPid,
        object: describe(last.args),
      });
    }
    return this;
  }

  #reset(): void {
    this.#queue = [];
    this.#will = [];
    this.#out = [];
    this.#paths.clear();
    this.#dataUsed = 0;
    this.#ended = false;
  }
}

/** In words of 32 bits: this runs some ten thousand times in a restore, and bigints would take most of it. */
function encode({ nr, args, flags, before }: Queued, block: Int32Array, at: number): void {
  let refs = 0;
  putNumber(nr, block, at + OP.nr / 4);
  putNumber(before, block, at + OP.ret / 4);
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    const place = at + OP.a / 4 + i * 2;
    if (typeof argument === 'number') putNumber(argument, block, place);
    else if (typeof argument === 'bigint') putBig(argument, block, place);
    else if (argument instanceof RemoteData) putBig(argument.address, block, place);
    else if (argument.known) putBig(argument.value, block, place);
    else {
      refs |= 1 << i;
      putBig(BigInt(argument.index) | (BigInt(argument.offset) << 16n), block, place);
    }
  }
  block[at + OP.refs / 4] = refs;
  block[at + OP.flags / 4] = flags;
}

/** A number of at most 53 bits, in two's complement. */
function putNumber(value: number, block: Int32Array, at: number): void {
  block[at] = value;
  block[at + 1] = Math.floor(value / 2 ** 32);
}

function putBig(value: bigint, block: Int32Array, at: number): void {
  block[at] = Number(BigInt.asIntN(32, value));
  block[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
}

function describe(args: readonly RemoteWord[]): string {
  return `(${args
    .map((a) => {
      if (a instanceof RemoteData) return 'data';
      if (a instanceof RemoteResult) return a.known ? String(a.value) : `result ${a.index}`;
      return typeof a === 'bigint' && a > 65535n ? `0x${a.toString(16)}` : String(a);
    })
    .join(', ')})`;
}
