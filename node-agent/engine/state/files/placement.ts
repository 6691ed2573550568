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
  const wanted = new Set(moves.map((move) => move.to));
  let pending = moves.filter((move) => move.from !== move.to);
  const settled = new Set(moves.filter((m) => m.from === m.to).map((m) => m.to));
  while (pending.length > 0) {
    const sources = new Set(pending.map((move) => move.from));
    const free = pending.find((move) => !sources.has(move.to));
    if (free) {
      steps.push({ kind: 'copy', from: free.from, to: free.to });
      pending = pending.filter((move) => move !== free);
      settled.add(free.to);
      const done = !pending.some((move) => move.from === free.from);
      if (done && !settled.has(free.from) && !wanted.has(free.from)) {
        steps.push({ kind: 'close', fd: free.from });
      }
      continue;
    }
    const { from } = pending[0] as Move;
    steps.push({ kind: 'copy', from, to: spare });
    pending = pending.map((move) => (move.from === from ? { from: spare, to: move.to } : move));
  }
  return steps;
}
