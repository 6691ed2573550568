// Moving received descriptors to the numbers that the application knows, whatever stands in the way.

/** `from` was received, `to` is wanted. Several may come from one. */
export interface Move {
  readonly from: number;
  readonly to: number;
}

export type Step =
  /** dup3(2) */
  | { readonly kind: 'copy'; readonly from: number; readonly to: number }
  | { readonly kind: 'close'; readonly fd: number };

/**
 * Orders moves so that none overwrites what a later one needs; cycles go through `spare`.
 *
 * @param spare a free number that nobody wants
 * @returns steps after which exactly the wanted numbers are taken; a move to its own place needs none
 */
export function planMoves(moves: readonly Move[], spare: number): Step[] {
  const steps: Step[] = [];
  const wanted = new Set(moves.map(({ to }) => to));
  const pending = new PendingMoves(moves.filter(({ from, to }) => from !== to));
  for (;;) {
    const move = pending.takeFree();
    if (move) {
      const { from, to } = move;
      steps.push({ kind: 'copy', from, to });
      if (!pending.isSource(from) && !wanted.has(from)) steps.push({ kind: 'close', fd: from });
      continue;
    }
    // What is left are cycles.
    const source = pending.anySource();
    if (source === undefined) return steps;
    steps.push({ kind: 'copy', from: source, to: spare });
    pending.changeSource(source, spare);
  }
}

/** Moves that are still to be made, and which of them overwrite nothing that another one needs. */
class PendingMoves {
  /** where each number's file comes from */
  readonly #sources = new Map<number, number>();
  /** where the file at each number goes to */
  readonly #targets = new Map<number, Set<number>>();
  readonly #free: number[];

  constructor(moves: readonly Move[]) {
    for (const { from, to } of moves) {
      this.#sources.set(to, from);
      const targets = this.#targets.get(from);
      if (targets) targets.add(to);
      else this.#targets.set(from, new Set([to]));
    }
    this.#free = [...this.#sources.keys()].filter((to) => !this.isSource(to)).reverse();
  }

  isSource(number: number): boolean {
    return this.#targets.has(number);
  }

  anySource(): number | undefined {
    const [first] = this.#targets.keys();
    return first;
  }

  takeFree(): Move | undefined {
    const to = this.#free.pop();
    const from = to === undefined ? undefined : this.#sources.get(to);
    if (to === undefined || from === undefined) return undefined;
    this.#sources.delete(to);
    const targets = this.#targets.get(from);
    targets?.delete(to);
    if (targets?.size === 0) this.#leave(from);
    return { from, to };
  }

  /** The file at `from` stands at `spare`, too: the moves take it from there. */
  changeSource(from: number, spare: number): void {
    const targets = this.#targets.get(from) ?? new Set<number>();
    this.#targets.set(spare, targets);
    for (const to of targets) this.#sources.set(to, spare);
    this.#leave(from);
  }

  /** Nobody needs what stands at this number any more. */
  #leave(number: number): void {
    this.#targets.delete(number);
    if (this.#sources.has(number)) this.#free.push(number);
  }
}
