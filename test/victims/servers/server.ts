// What a test has to know of a server that it saves and restores.
import type { Line } from './line.ts';
import type { Protocol } from './protocols.ts';

export interface ServerPlace {
  /** its own directory, which everybody may write */
  readonly dir: string;
  readonly port: number;
}

export interface Server {
  readonly name: string;
  /** commands that must be there */
  readonly needs: readonly string[];
  /** says that it can be asked */
  readonly readyLine: RegExp;
  readonly protocol: Protocol;
  /** has it begin again with new processes, or read its settings, and what its output has when that is done */
  readonly reload?: { readonly signal: NodeJS.Signals; readonly done: RegExp };
  /** has it end in order; default: SIGTERM */
  readonly stop?: NodeJS.Signals;
  /** default: whatever a server says when its clients vanish */
  readonly complaint?: RegExp;
  prepare?(place: ServerPlace): void;
  command(place: ServerPlace): readonly string[];
  /** once it runs */
  fill?(place: ServerPlace): void;
  line(place: ServerPlace): Line;
  /** more work, by a program that says when anything goes wrong */
  load?(place: ServerPlace): Line;
  /** its own check of what it holds. @throws Error */
  check?(place: ServerPlace): void;
}
