// What could come next on a command line (pure). Shell scripts ask with `__complete`; the answer is cobra's protocol, which
// kubectl's own completion speaks to plugins, too.
import { GLOBAL_OPTIONS, type Named, type Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';

/** Bits of cobra's directive: what the shell does with the answer. */
export const DIRECTIVE = { default: 0, noFiles: 4 } as const;

export interface Candidate {
  readonly value: string;
  readonly description?: string;
}

export type Wanted =
  | { readonly type: 'candidates'; readonly candidates: readonly Candidate[] }
  /** names that only the API server or the kubeconfig knows */
  | { readonly type: 'names'; readonly of: Exclude<Named, 'file'> }
  | { readonly type: 'files' };

/** @param words those before the one being written, and that one last, perhaps empty */
export function wanted(words: readonly string[], verbs: readonly Verb[]): Wanted {
  const word = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const verb = verbs.find(({ name }) => before.includes(name));
  const options = [...(verb?.options ?? []), ...GLOBAL_OPTIONS];
  const open = openOption(before.at(-1), options);
  if (open !== undefined) {
    return values(open);
  }
  if (word.startsWith('-')) {
    return { type: 'candidates', candidates: optionCandidates(options) };
  }
  if (verb === undefined) {
    const candidates = verbs.map(({ name, summary }) => ({ value: name, description: summary }));
    return { type: 'candidates', candidates };
  }
  return positional(verb, before, options);
}

/** The option whose value is being written. */
function openOption(previous: string | undefined, options: readonly Option[]): Option | undefined {
  return options.find(
    ({ name, short, value }) =>
      value !== undefined &&
      (previous === `--${name}` || (short !== undefined && previous === `-${short}`)),
  );
}

function optionCandidates(options: readonly Option[]): readonly Candidate[] {
  return options.map(({ name, help }) => ({ value: `--${name}`, description: help }));
}

function values({ choices, completes }: Pick<Option, 'choices' | 'completes'>): Wanted {
  if (choices !== undefined) {
    return { type: 'candidates', candidates: choices.map((value) => ({ value })) };
  }
  if (completes === undefined) {
    return { type: 'candidates', candidates: [] };
  }
  return completes === 'file' ? { type: 'files' } : { type: 'names', of: completes };
}

function positional(verb: Verb, before: readonly string[], options: readonly Option[]): Wanted {
  const given = before
    .slice(before.indexOf(verb.name) + 1)
    .filter(
      (word, index, all) =>
        !word.startsWith('-') && openOption(all[index - 1], options) === undefined,
    );
  const last = verb.positionals.at(-1);
  const next = verb.positionals[given.length] ?? (last?.repeated === true ? last : undefined);
  return next === undefined ? { type: 'candidates', candidates: [] } : values(next);
}
