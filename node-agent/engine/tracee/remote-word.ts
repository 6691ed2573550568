// What a remote call is given and what it gives: numbers, results of earlier calls of its batch, memory of the tracee.
import type { TraceeAddress } from '../linux/process-memory.ts';
import { syscallName } from './syscall-name.ts';

/** What a later call of the same batch may use before it is known: the result of an earlier one. */
export class RemoteResult {
  readonly call: number;
  index: number;
  readonly offset: number;
  #cell: { value: bigint | undefined };

  constructor(call: number, index: number, cell: { value: bigint | undefined }, offset = 0) {
    this.call = call;
    this.index = index;
    this.#cell = cell;
    this.offset = offset;
  }

  /** The result plus a number, as an argument. */
  plus(offset: number): RemoteResult {
    return new RemoteResult(this.call, this.index, this.#cell, this.offset + offset);
  }

  get known(): boolean {
    return this.#cell.value !== undefined;
  }

  /** `-errno` on failure. @throws Error before the batch ran, or when it ended before this call */
  get value(): bigint {
    if (this.#cell.value === undefined) {
      throw new Error(`remote ${syscallName(this.call)} has not run`);
    }
    return this.#cell.value + BigInt(this.offset);
  }
  set value(value: bigint) {
    this.#cell.value = value;
  }

  get number(): number {
    return Number(this.value);
  }
}

/** A piece of the tracee's scratch memory: written before the batch, readable after it. */
export class RemoteData {
  readonly address: TraceeAddress;
  readonly length: number;
  readonly offset: number;
  /** everything that its batch could write to, once that has run */
  all: Buffer | undefined;

  constructor(address: TraceeAddress, offset: number, length: number) {
    this.address = address;
    this.offset = offset;
    this.length = length;
  }

  /** Its bytes after the batch. */
  get bytes(): Buffer {
    return this.#ran.subarray(this.offset, this.offset + this.length);
  }

  get #ran(): Buffer {
    if (!this.all) throw new Error('remote data is read before its batch has run');
    return this.all;
  }

  word(index: number): bigint {
    return this.#ran.readBigUInt64LE(this.offset + index * 8);
  }
  signedWord(index: number): bigint {
    return this.#ran.readBigInt64LE(this.offset + index * 8);
  }
  int32(offset: number): number {
    return this.#ran.readInt32LE(this.offset + offset);
  }
}

export type RemoteWord = number | bigint | RemoteResult | RemoteData;
