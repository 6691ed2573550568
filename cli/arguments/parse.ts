// From the words of the command line to a verb and its arguments.
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { usageError } from '../cli-error.ts';
import { Arguments } from './arguments.ts';
import { nearest } from './nearest.ts';
import { GLOBAL_OPTIONS, type Option } from './option.ts';
import type { Verb } from './verb.ts';

export interface Command {
  readonly verb: Verb;
  readonly args: Arguments;
}

/**
 * @returns undefined when no verb is named
 * @throws CliError for an unknown verb or option, a missing or superfluous argument, a value that is not a choice
 */
export function parseCommand(
  words: readonly string[],
  verbs: readonly Verb[],
): Command | undefined {
  const { tokens } = parseArgs({
    args: [...words],
    options: parserOptions(GLOBAL_OPTIONS),
    strict: false,
    tokens: true,
  });
  const first = tokens.find((token) => token.kind === 'positional');
  if (first === undefined) {
    return undefined;
  }
  const verb = verbs.find(({ name }) => name === first.value);
  if (verb === undefined) {
    const like = nearest(
      first.value,
      verbs.map(({ name }) => name),
    );
    throw usageError(
      `there is no verb "${first.value}"${like === undefined ? '' : `; did you mean ${like}?`}`,
    );
  }
  return { verb, args: parseVerb(verb, words.toSpliced(first.index, 1)) };
}

/** Where an unfinished command line leads to, as far as it says. */
export function connectionOptions(words: readonly string[]): {
  readonly namespace: string | undefined;
  readonly context: string | undefined;
  readonly kubeconfig: string | undefined;
} {
  const options = parserOptions(GLOBAL_OPTIONS);
  const { values } = parseArgs({ args: [...words], options, strict: false });
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  return { namespace: text('namespace'), context: text('context'), kubeconfig: text('kubeconfig') };
}

function parseVerb(verb: Verb, words: readonly string[]): Arguments {
  const options = [...verb.options, ...GLOBAL_OPTIONS];
  const { values, positionals } = parseStrictly(verb, words.map(bareDryRun), options);
  const args = new Arguments(verb.name, values, positionals);
  if (args.flag('help')) {
    return args;
  }
  for (const option of options) {
    checkChoice(option, args);
  }
  checkPositionals(verb, args);
  return args;
}

/** kubectl's `--dry-run` without a value. */
function bareDryRun(word: string): string {
  return word === '--dry-run' ? '--dry-run=client' : word;
}

function parseStrictly(verb: Verb, words: readonly string[], options: readonly Option[]) {
  try {
    return parseArgs({
      args: [...words],
      options: parserOptions(options),
      allowPositionals: true,
    });
  } catch (error) {
    // Node's own sentence, without its second one about positional arguments.
    const message = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error);
    const unknown = /^Unknown option '--([^']+)'/.exec(message)?.[1];
    const like =
      unknown &&
      nearest(
        unknown,
        options.map(({ name }) => name),
      );
    throw usageError(like ? `${message}; did you mean --${like}?` : message, verb.name);
  }
}

function parserOptions(options: readonly Option[]): ParseArgsOptionsConfig {
  return Object.fromEntries(
    options.map(({ name, short, value, repeated = false }) => [
      name,
      {
        type: value === undefined ? 'boolean' : 'string',
        multiple: repeated,
        ...(short === undefined ? {} : { short }),
      } as const,
    ]),
  );
}

function checkChoice({ name, choices, repeated = false }: Option, args: Arguments): void {
  const given = repeated ? args.texts(name) : [args.text(name)];
  for (const value of given) {
    if (value !== undefined && choices !== undefined && !choices.includes(value)) {
      throw args.wrong(`--${name}: "${value}" is none of ${choices.join(', ')}`);
    }
  }
}

function checkPositionals({ positionals }: Verb, args: Arguments): void {
  const missing = positionals.find(
    ({ required }, index) => required && args.positionals[index] === undefined,
  );
  if (missing !== undefined) {
    throw args.wrong(`${missing.name} is missing`);
  }
  const wrong = positionals.find(
    ({ choices }, index) => choices?.includes(args.positionals[index] ?? '') === false,
  );
  if (wrong?.choices !== undefined) {
    const given = args.positionals[positionals.indexOf(wrong)];
    throw args.wrong(`${wrong.name}: "${given}" is none of ${wrong.choices.join(', ')}`);
  }
  const last = positionals.at(-1);
  const extra = args.positionals[positionals.length];
  if (extra !== undefined && last?.repeated !== true) {
    throw args.wrong(`"${extra}" is one argument too many`);
  }
}
