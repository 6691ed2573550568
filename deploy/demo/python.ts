// A Python program of two processes and many threads, with random tokens in every place a process keeps things.
import type { Application } from './application.ts';
import { type Check, check, gapsBetween, type SelfReport } from './check.ts';
import { pod } from './manifests.ts';
import { retry } from './retry.ts';

const CHECK = ['/usr/bin/python3', '/app/check.py'];
/** Longer than one sleep of the program: by then it has ended one that began before the checkpoint. */
const PATIENCE_MILLIS = 40_000;

export interface PythonFacts extends SelfReport {
  /** of its pod */
  readonly address: string;
  readonly tokens: Readonly<Record<string, string>>;
  readonly counters: Readonly<Record<string, number>>;
  readonly rounds: { readonly sleep: { readonly done: number; readonly moved: number } };
}

export function python(): Application<PythonFacts> {
  return {
    name: 'python',
    about:
      'Python: a child behind pipes, threads in locks, conditions and sleeps, an unlinked file, random tokens',
    pods: (nodeName) => [
      pod({ name: 'python', image: 'demo/python:dev', nodeName, env: { GREETING: 'before' } }),
    ],
    // A cold start would find this value: the restored program must know the old one.
    overrides: { env: [{ name: 'GREETING', value: 'after' }] },
    async prepare(kubectl) {
      const facts = await retry(20_000, () => this.observe(kubectl, 'python'));
      return `its tokens: ${Object.values(facts.tokens).join(' ')}`;
    },
    observe: (kubectl, podName) => kubectl.ask<PythonFacts>(podName, CHECK),
    gaps: gapsBetween,
    judgeSource: (before, after) => judgeAlike(before, after),
    async verifyRestored(kubectl, podName, before) {
      const restored = await retry(
        PATIENCE_MILLIS,
        () => this.observe(kubectl, podName),
        (facts) => facts.rounds.sleep.moved > 0 || facts.errors.length > 0,
      );
      const greeting = await kubectl.exec(podName, [
        '/usr/bin/python3',
        '-c',
        'import os; print(os.environ["GREETING"])',
      ]);
      return [
        ...judgeAlike(before, restored),
        ...judgeMoved(before, restored),
        check('new pod has another environment', greeting.trim() === 'after', greeting.trim()),
      ];
    },
  };
}

/** The same program, further on. */
export function judgeAlike(before: PythonFacts, after: PythonFacts): readonly Check[] {
  const changed = Object.keys(before.tokens).filter(
    (name) => before.tokens[name] !== after.tokens[name],
  );
  const stalled = Object.keys(before.counters).filter(
    (name) => (after.counters[name] ?? 0) <= (before.counters[name] ?? 0),
  );
  return [
    check(
      `${Object.keys(before.tokens).length} tokens`,
      changed.length === 0,
      `changed: ${changed.join(', ')}`,
    ),
    check('counters go on', stalled.length === 0, `stalled: ${stalled.join(', ')}`),
    check('no error, no EINTR', after.errors.length === 0, after.errors),
  ];
}

/** It sees its pod's address, so it notices itself that it is elsewhere. */
export function judgeMoved(before: PythonFacts, restored: PythonFacts): readonly Check[] {
  const { moved } = restored.rounds.sleep;
  return [
    check('sleep from before ended in time', moved > 0, `${moved} sleeps spanned the restore`),
    check('runs in the new pod', restored.address !== before.address, restored.address),
  ];
}
