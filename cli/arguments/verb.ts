// A verb is one value in one file of verbs/; the list verbs/verbs.ts is the only register.
import type { ExitCode } from '../exit-codes.ts';
import type { Session } from '../session.ts';
import type { Arguments } from './arguments.ts';
import type { Option, Positional } from './option.ts';

export interface Verb {
  readonly name: string;
  /** one line for the list of verbs */
  readonly summary: string;
  readonly positionals: readonly Positional[];
  readonly options: readonly Option[];
  /** behind `kubectl diapause` */
  readonly examples: readonly string[];
  /** @throws CliError, ApiError: told by the caller */
  run(args: Arguments, session: Session): Promise<ExitCode>;
}
