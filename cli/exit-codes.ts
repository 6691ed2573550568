// What the program's exit code says. Documented in docs/cli.md; scripts depend on it.

export const EXIT = {
  done: 0,
  /** the API server refused or did not answer, a file could not be read */
  error: 1,
  /** the command line makes no sense */
  usage: 2,
  /** the object asked about ended as Failed */
  failed: 3,
  /** the time to wait was over; the work goes on */
  timeout: 4,
  /** a report holds refusals */
  refused: 5,
  /** Ctrl-C; the work goes on */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
