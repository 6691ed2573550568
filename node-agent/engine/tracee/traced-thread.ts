// One traced thread: where it stands, and what it must get back.
import { REG, type Registers, signed } from '../arch/x86-64.ts';
import * as ptrace from '../linux/ptrace.ts';
import { interruptedCall, namedRegisters, type SeenCall } from './seen-call.ts';
import type { TracedProcess } from './traced-process.ts';
import type { WaitObservation } from './wait-observation.ts';

/** Place of the last stop: only in the signal loop does the kernel apply its restart rules when let go. */
export type StopPlace = 'signal-loop' | 'syscall' | 'birth';

/** A thread that this engine has seized. Mutable: the tracer updates it with every report. */
export class TracedThread {
  readonly tid: number;
  readonly process: TracedProcess;
  stopped = false;
  place: StopPlace = 'signal-loop';
  /** in a group stop (SIGSTOP and the like) when it was seized or frozen: it goes back to that by itself */
  groupStopped = false;
  /** parent of a vfork child: cannot stop before the child execs or ends */
  inVfork = false;
  /** a SIGSTOP that came while it did our work: sent again after the detach */
  heldStop = false;
  /** the relative wait in which it was seen before the freeze */
  wait: WaitObservation | undefined;
  /** the call in which it was seen last, asleep or stopped */
  seenCall: SeenCall | undefined;
  #nsTid: number | undefined;
  #registers: Registers | undefined;
  #mask: bigint | undefined;
  #rseq: { readonly configuration: ptrace.RseqConfiguration | undefined } | undefined;
  #touched = false;

  constructor(tid: number, process: TracedProcess) {
    this.tid = tid;
    this.process = process;
  }

  /** Thread id as the application knows it. */
  get nsTid(): number {
    this.#nsTid ??= this.process.readNsTid(this.tid);
    return this.#nsTid;
  }
  set nsTid(value: number) {
    this.#nsTid = value;
  }

  /** Registers of the application, read once at the first stop; remote work does not change them. */
  get registers(): Registers {
    this.#registers ??= ptrace.getRegisters(this.tid);
    return this.#registers;
  }
  /** {@link registers}, but with the call in the place of restart_syscall(2), for who cannot go on with that. */
  get namedRegisters(): Registers {
    return namedRegisters(this.registers, this.seenCall);
  }
  /** What the application shall have when it is let go. */
  set registers(value: Registers) {
    this.#registers = value;
    this.#touched = true;
  }

  /** Registers that it has from now on, whatever becomes of the engine; it must be stopped in the signal loop. */
  amend(registers: Registers): void {
    ptrace.setRegisters(this.tid, registers);
    this.#registers = registers;
  }

  /** Its registration for restartable sequences, undefined when it has none. */
  get rseq(): ptrace.RseqConfiguration | undefined {
    this.#rseq ??= { configuration: ptrace.rseqConfiguration(this.tid) };
    return this.#rseq.configuration;
  }

  /** Blocked signals of the application. */
  get signalMask(): bigint {
    this.#mask ??= ptrace.getSignalMask(this.tid);
    return this.#mask;
  }
  set signalMask(value: bigint) {
    this.#mask = value;
    this.#touched = true;
  }

  /** Remote work is about to overwrite registers and mask: remember both. */
  saveBeforeUse(): void {
    void this.registers;
    void this.signalMask;
    this.#touched = true;
  }

  /** Has it, or may it have, other registers than the application's? */
  get isBorrowed(): boolean {
    return this.#touched;
  }

  /** Forgets what was read: the thread has run since. Which call it goes on with no later stop would tell. */
  forget(): void {
    if (this.#registers) this.seenCall = interruptedCall(this.#registers) ?? this.seenCall;
    this.#registers = undefined;
    this.#mask = undefined;
    this.#rseq = undefined;
    this.#touched = false;
  }

  /**
   * Sends it to foreign code with all signals blocked. Registers first: were the engine killed between the two, the
   * application's own code would run on with its signals blocked for ever, while ours blocks and unblocks by itself.
   */
  sendTo(registers: Registers, mask: bigint): void {
    ptrace.setRegisters(this.tid, registers);
    ptrace.setSignalMask(this.tid, mask);
  }

  /**
   * Writes mask and registers back, in this order for the same reason; the thread must be stopped in the signal loop. From
   * then on it is the application's again, whatever becomes of the engine and its memory in the process.
   */
  writeBack(): void {
    if (!this.#touched) return;
    ptrace.setSignalMask(this.tid, this.signalMask);
    ptrace.setRegisters(this.tid, this.registers);
    this.#touched = false;
  }

  /** Number of the system call it is in, negative outside of one. */
  get currentCall(): number {
    return Number(signed(this.registers[REG.origRax]!));
  }
}
