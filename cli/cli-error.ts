// An error that a person reads: what happened, and what to do next.
import { EXIT, type ExitCode } from './exit-codes.ts';

export class CliError extends Error {
  /** what to do next, one step a line */
  readonly advice: readonly string[];
  readonly exitCode: ExitCode;

  constructor(
    message: string,
    advice: string | readonly string[],
    exitCode: ExitCode = EXIT.error,
  ) {
    super(message);
    this.name = 'CliError';
    this.advice = typeof advice === 'string' ? [advice] : advice;
    this.exitCode = exitCode;
  }
}

/** The command line makes no sense. @param verb whose help tells more */
export function usageError(message: string, verb?: string): CliError {
  const help = ['kubectl diapause', verb, '--help'].filter((part) => part !== undefined).join(' ');
  return new CliError(message, `see ${help}`, EXIT.usage);
}
