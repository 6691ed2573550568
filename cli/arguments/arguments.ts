// The values of one command line, read by type. Every complaint names the option.
import { parseDuration } from '../../kube/duration.ts';
import { type CliError, usageError } from '../cli-error.ts';

type Value = string | boolean | readonly (string | boolean)[];

export class Arguments {
  readonly positionals: readonly string[];
  readonly #verb: string;
  readonly #values: Readonly<Record<string, Value | undefined>>;

  constructor(
    verb: string,
    values: Readonly<Record<string, Value | undefined>>,
    positionals: readonly string[],
  ) {
    this.#verb = verb;
    this.#values = values;
    this.positionals = positionals;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** @throws CliError unless it is a whole number of at least `min` */
  integer(name: string, min = 0): number | undefined {
    const text = this.text(name);
    const value = Number(text);
    if (text !== undefined && (!/^\d+$/.test(text) || value < min)) {
      throw this.wrong(`--${name}: "${text}" is not a whole number of at least ${min}`);
    }
    return text === undefined ? undefined : value;
  }

  /** Milliseconds of a duration like `90s`. @throws CliError for anything else */
  durationMillis(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) {
      return undefined;
    }
    try {
      const millis = parseDuration(text);
      if (millis > 0) {
        return millis;
      }
    } catch {
      // said below
    }
    throw this.wrong(`--${name}: "${text}" is not a duration; write it like 90s, 10m or 1h30m`);
  }

  /** Whole seconds of a duration, rounded up: what the fields named ...Seconds take. */
  seconds(name: string): number | undefined {
    const millis = this.durationMillis(name);
    return millis === undefined ? undefined : Math.ceil(millis / 1000);
  }

  /** `KEY=VALUE` of a repeated option. @throws CliError for one without `=` */
  pairs(name: string): Readonly<Record<string, string>> | undefined {
    const texts = this.texts(name);
    const entries = texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) {
        throw this.wrong(`--${name}: "${text}" is not KEY=VALUE`);
      }
      return [text.slice(0, at), text.slice(at + 1)] as const;
    });
    return entries.length === 0 ? undefined : Object.fromEntries(entries);
  }

  wrong(message: string): CliError {
    return usageError(message, this.#verb);
  }
}
