// A C program whose threads block in futex waits of every kind and behind robust mutexes.
import type { Application } from './application.ts';
import { type Check, check, gapsBetween, type SelfReport } from './check.ts';
import { pod } from './manifests.ts';
import { retry } from './retry.ts';

const PATIENCE_MILLIS = 40_000;

export interface FutexFacts extends SelfReport {
  /** of its pod */
  readonly address: string;
  readonly token: string;
  /** calls that answered EINTR */
  readonly interrupted: number;
  readonly forever: 'waiting' | 'woken';
  readonly robust: Readonly<Record<'thread' | 'process', 'held' | 'owner-dead' | 'wrong'>>;
  readonly rounds: Readonly<Record<string, { readonly done: number; readonly moved: number }>>;
}

export function futex(): Application<FutexFacts> {
  return {
    name: 'futex',
    about: 'C: FUTEX_WAIT with no, relative and absolute time-out, nanosleep, robust mutexes',
    pods: (nodeName) => [pod({ name: 'futex', image: 'demo/futex:dev', nodeName })],
    async prepare(kubectl) {
      const facts = await retry(20_000, () => this.observe(kubectl, 'futex'));
      return `its token: ${facts.token}; waits: ${Object.keys(facts.rounds).join(', ')}, for ever`;
    },
    observe: (kubectl, podName) => kubectl.ask<FutexFacts>(podName, ['/app/futex', 'status']),
    gaps: gapsBetween,
    judgeSource: judgeWaiting,
    async verifyRestored(kubectl, podName, before) {
      const restored = await retry(
        PATIENCE_MILLIS,
        () => this.observe(kubectl, podName),
        (facts) => allMoved(facts) || facts.errors.length > 0,
      );
      const afterDeath = await kubectl.ask<FutexFacts>(podName, ['/app/futex', 'owners-die']);
      return [
        ...judgeWaiting(before, restored),
        ...judgeMoved(before, restored),
        ...judgeOwnersDead(afterDeath),
      ];
    },
  };
}

function allMoved(facts: FutexFacts): boolean {
  return Object.values(facts.rounds).every(({ moved }) => moved > 0);
}

/** As long as nobody told the owners to die, everything must still wait. */
export function judgeWaiting(before: FutexFacts, after: FutexFacts): readonly Check[] {
  const isHeld = after.robust.thread === 'held' && after.robust.process === 'held';
  return [
    check('no EINTR', after.interrupted === 0, after.errors),
    check('no wrong answer', after.errors.length === 0, after.errors),
    check('its token', after.token === before.token, `${after.token}, was ${before.token}`),
    check('waits for ever', after.forever === 'waiting', after.forever),
    check('owners live', isHeld, after.robust),
  ];
}

export function judgeMoved(before: FutexFacts, restored: FutexFacts): readonly Check[] {
  return [
    check('waits from before ended in time', allMoved(restored), restored.rounds),
    check('runs in the new pod', restored.address !== before.address, restored.address),
  ];
}

/** After the command, answered by the restored program itself. */
export function judgeOwnersDead(facts: FutexFacts): readonly Check[] {
  const { robust, forever, errors, interrupted } = facts;
  const isDead = robust.thread === 'owner-dead' && robust.process === 'owner-dead';
  return [
    check('EOWNERDEAD for both heirs', isDead, robust),
    check('woken by hand', forever === 'woken', forever),
    check('no EINTR to the end', interrupted === 0 && errors.length === 0, errors),
  ];
}
