// completion: the script that teaches a shell this program's words; __complete: what the scripts ask.
import type { Verb } from '../arguments/verb.ts';
import { type Candidate, DIRECTIVE, wanted } from '../completion/candidates.ts';
import { namesOf } from '../completion/names.ts';
import { SCRIPTS, type Shell, SHELLS } from '../completion/scripts.ts';
import { EXIT } from '../exit-codes.ts';
import type { Session } from '../session.ts';

export const completionVerb: Verb = {
  name: 'completion',
  summary: 'Print the completion script of a shell',
  positionals: [{ name: 'SHELL', required: true, choices: SHELLS }],
  options: [],
  examples: [
    'completion bash > /etc/bash_completion.d/diapause',
    'completion kubectl > /usr/local/bin/kubectl_complete-diapause',
  ],
  async run(args, { io }) {
    const [shell = ''] = args.positionals;
    io.out(SCRIPTS[shell as Shell]);
    return EXIT.done;
  },
};

/**
 * Answers with one candidate a line, its description behind a tab, and the directive last.
 * @param words those before the one being written, and that one last
 */
export async function complete(
  words: readonly string[],
  verbs: readonly Verb[],
  session: Session,
): Promise<void> {
  const what = wanted(words, verbs);
  const candidates: readonly Candidate[] =
    what.type === 'candidates'
      ? what.candidates
      : what.type === 'names'
        ? (await namesOf(what.of, session)).map((value) => ({ value }))
        : [];
  const word = words.at(-1) ?? '';
  for (const { value, description } of candidates) {
    if (value.startsWith(word)) {
      session.io.out(description === undefined ? `${value}\n` : `${value}\t${description}\n`);
    }
  }
  session.io.out(`:${what.type === 'files' ? DIRECTIVE.default : DIRECTIVE.noFiles}\n`);
}
