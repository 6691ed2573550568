// Where the program writes: facts to stdout, everything about the way there to stderr.

export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** width of the terminal that stderr is; undefined where it is none */
  readonly columns: number | undefined;
}

/** @param environment `TERM=dumb` and `CI` stand for no terminal */
export function processIo(process: NodeJS.Process): Io {
  const { stdout, stderr, env } = process;
  const draws = stderr.isTTY && env['TERM'] !== 'dumb';
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    get columns() {
      return draws ? stderr.columns : undefined;
    },
  };
}
