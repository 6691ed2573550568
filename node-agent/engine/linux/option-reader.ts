// Many options of one socket at once.
import { SYS } from '../arch/x86-64.ts';
import { CallBatch } from './call-batch.ts';

export interface OptionName {
  readonly level: number;
  readonly name: number;
  /** longest value; absent: an integer */
  readonly bytes?: number;
}

/** Length, then the value. */
const LENGTH_BYTES = 8;
const MAX_VALUE_BYTES = 16;
const CELL_BYTES = LENGTH_BYTES + MAX_VALUE_BYTES;
const INT_BYTES = 4;
const ABSENT = 0xffffffff;

/** Prepared for one list of options. */
export class OptionReader {
  readonly options: readonly OptionName[];
  readonly #batch: CallBatch;
  readonly #empty: Buffer;

  constructor(options: readonly OptionName[]) {
    this.options = options;
    this.#batch = new CallBatch(options.length, options.length * CELL_BYTES);
    this.#empty = Buffer.alloc(options.length * CELL_BYTES);
    options.forEach(({ level, name, bytes = INT_BYTES }, i) => {
      const cell = i * CELL_BYTES;
      this.#empty.writeUInt32LE(bytes, cell);
      const [length, value] = [this.#batch.at(cell), this.#batch.at(cell + LENGTH_BYTES)];
      this.#batch.set(i, SYS.getsockopt, 0, level, name, value, length);
    });
  }

  /** @param fd a socket of this process */
  read(fd: number): OptionValues {
    const { length } = this.options;
    this.#batch.data.set(this.#empty);
    for (let i = 0; i < length; i++) this.#batch.setArgument(i, 0, fd);
    this.#batch.run(length);
    for (let i = 0; i < length; i++) {
      if (this.#batch.result(i) < 0) this.#batch.view.setUint32(i * CELL_BYTES, ABSENT, true);
    }
    return new OptionValues(Buffer.from(this.#batch.data));
  }
}

/** By their places in the list. */
export class OptionValues {
  readonly #cells: Buffer;

  constructor(cells: Buffer) {
    this.#cells = cells;
  }

  /** Length of the answer; undefined where the socket has no such option. */
  length(place: number): number | undefined {
    const length = this.#cells.readUInt32LE(place * CELL_BYTES);
    return length === ABSENT ? undefined : length;
  }

  integer(place: number): number | undefined {
    const known = this.length(place) !== undefined;
    return known ? this.#cells.readInt32LE(place * CELL_BYTES + LENGTH_BYTES) : undefined;
  }

  bytes(place: number): Buffer | undefined {
    const length = this.length(place);
    const from = place * CELL_BYTES + LENGTH_BYTES;
    return length === undefined ? undefined : this.#cells.subarray(from, from + length);
  }
}
