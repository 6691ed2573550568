// What a running root may differ in from the saved one, and what it may not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SavedTree } from '../state/records.ts';
import type { FilterChain } from '../state/seccomp.ts';
import { judgeRoot, type RootFacts, type WantedStream } from './judge.ts';

const CAPABILITIES = {
  inheritable: 0n,
  permitted: 0xffn,
  effective: 0xffn,
  bounding: 0xffn,
  ambient: 0n,
};

/** A root of a container, as the runtime starts it. */
const RUNNING: RootFacts = {
  status: {
    uids: [0, 0, 0, 0],
    gids: [0, 0, 0, 0],
    groups: [2, 1],
    capabilities: CAPABILITIES,
    noNewPrivileges: false,
    nsSids: [900, 1],
    nsPgids: [900, 1],
  },
  securebits: 0,
  filters: [],
  hardLimits: [10n, 20n],
  ownsRoot: true,
  streams: ['own', 'pipe', 'pipe'],
};

const CREDS = {
  ...{ uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0 },
  ...{ capInh: [0, 0], capPrm: [0xff, 0], capEff: [0xff, 0], capBnd: [0xff, 0], capAmb: [] },
  ...{ secbits: 0, groups: [1, 2], noNewPrivs: 0 },
};

/** Only what is looked at. */
function savedTree(creds: Partial<typeof CREDS> = {}, filters: FilterChain = []): SavedTree {
  const rlimits = { rlimits: [10n, 20n].map((max) => ({ cur: 1n, max })) };
  const core = { tc: { rlimits }, threadCore: { creds: { ...CREDS, ...creds } } };
  const pstree = { pid: 1, ppid: 0, pgid: 1, sid: 1, threads: [1] };
  return {
    processes: [{ pid: 1, pstree, core, threads: [{ tid: 1, core, filters }] }],
  } as unknown as SavedTree;
}

const codesOf = (
  saved: SavedTree,
  now: RootFacts,
  wanted: readonly WantedStream[] = [],
): string[] => judgeRoot(saved, wanted, now).map(({ code }) => code);

const withStatus = (status: Partial<RootFacts['status']>): RootFacts => ({
  ...RUNNING,
  status: { ...RUNNING.status, ...status },
});

const filter = (byte: number): FilterChain[number] => ({
  program: Buffer.alloc(8, byte),
  flags: 0,
});

const CASES: readonly (readonly [string, SavedTree, RootFacts, readonly string[]])[] = [
  ['nothing changed', savedTree(), RUNNING, []],
  [
    'another user',
    savedTree(),
    withStatus({ uids: [7, 7, 7, 7] }),
    ['CredentialsChanged', 'CredentialsChanged', 'CredentialsChanged'],
  ],
  [
    'effective capabilities put aside come back with exec, as the saved root had them',
    savedTree(),
    withStatus({ capabilities: { ...CAPABILITIES, effective: 1n } }),
    [],
  ],
  [
    'capabilities dropped for good',
    savedTree(),
    withStatus({ capabilities: { ...CAPABILITIES, permitted: 1n, effective: 1n, bounding: 1n } }),
    ['CredentialsChanged', 'CredentialsChanged', 'CredentialsChanged'],
  ],
  [
    'permitted capabilities dropped under no_new_privs do not come back',
    savedTree({ noNewPrivs: 1 }),
    withStatus({
      noNewPrivileges: true,
      capabilities: { ...CAPABILITIES, permitted: 1n, effective: 1n },
    }),
    ['CredentialsChanged', 'CredentialsChanged'],
  ],
  [
    'the saved root had put permitted ones aside, which exec would give back',
    savedTree({ capPrm: [1, 0], capEff: [1, 0] }),
    withStatus({ capabilities: { ...CAPABILITIES, permitted: 1n, effective: 1n } }),
    ['CredentialsChanged', 'CredentialsChanged'],
  ],
  [
    'no_new_privs set since',
    savedTree(),
    withStatus({ noNewPrivileges: true }),
    ['CredentialsChanged'],
  ],
  ['another supplementary group', savedTree(), withStatus({ groups: [1] }), ['CredentialsChanged']],
  ['keep-caps is forgotten by exec', savedTree(), { ...RUNNING, securebits: 16 }, []],
  [
    'the pod has a filter, and the saved tree had more',
    savedTree({}, [filter(1), filter(2)]),
    { ...RUNNING, filters: [filter(1)] },
    [],
  ],
  [
    'a filter installed since',
    savedTree({}, [filter(1)]),
    { ...RUNNING, filters: [filter(1), filter(2)] },
    ['SeccompChanged'],
  ],
  [
    'another filter',
    savedTree({}, [filter(1)]),
    { ...RUNNING, filters: [filter(2)] },
    ['SeccompChanged'],
  ],
  ['another session', savedTree(), withStatus({ nsSids: [900, 0] }), ['SessionChanged']],
  ['another group', savedTree(), withStatus({ nsPgids: [900, 9] }), ['SessionChanged']],
  [
    'a limit lowered for good',
    savedTree(),
    { ...RUNNING, hardLimits: [10n, 19n] },
    ['LimitLowered'],
  ],
  ['a limit raised', savedTree(), { ...RUNNING, hardLimits: [11n, 20n] }, []],
  ['chroot', savedTree(), { ...RUNNING, ownsRoot: false }, ['RootDirectoryChanged']],
];

for (const [name, saved, now, codes] of CASES) {
  test(name, () => assert.deepEqual(codesOf(saved, now), codes));
}

test('a stream of the container must still be where it was', () => {
  const wanted = [{ number: 1, kind: 'pipe' }] as const;
  assert.deepEqual(codesOf(savedTree(), RUNNING, wanted), []);
  for (const stream of ['own', 'closed', 'terminal'] as const) {
    const now = { ...RUNNING, streams: ['own', stream, 'pipe'] } as const;
    assert.deepEqual(codesOf(savedTree(), now, wanted), ['StandardStreamChanged']);
  }
});

test('a refusal names what was and what is', () => {
  const [finding] = judgeRoot(savedTree(), [], withStatus({ noNewPrivileges: true }));
  assert.equal(finding?.object, 'no_new_privs: 0 then, 1 once rewound');
  assert.match(finding.advice, /new pod/);
});
