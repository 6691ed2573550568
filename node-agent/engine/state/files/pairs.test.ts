// Connections within a pod are saved and go on in another one, whose loopback knows nothing of them. Needs root.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  type Contained,
  startContained,
  startPlaceholder,
} from '../../../../test/victims/confined.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim, type Victim } from '../../../../test/victims/victim.ts';
import type { DumpTask, DumpTree } from '../../protocol.ts';

enterPrivateNamespaces();

const PROGRAM = buildVictim('pairs');

/** Where each of them is saved to. */
function treesOf(t: TestContext, containers: readonly Contained[]): DumpTree[] {
  return containers.map(({ victim }, i) => {
    const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
    t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
    return { name: `container${i}`, rootPid: victim.pid, imagesDir };
  });
}

const dump = async (trees: readonly DumpTree[], more: Partial<DumpTask> = {}): Promise<EngineEnd> =>
  await startEngine({
    ...dumpTask(trees[0]!.rootPid, trees[0]!.imagesDir, more),
    establishedSockets: 'KeepPairs',
    trees,
  }).ended;

/** A new pod: placeholders in one network namespace, whose loopback is up. */
async function startPod(t: TestContext, containers: readonly Contained[]): Promise<Victim[]> {
  const placeholders: Victim[] = [];
  for (const contained of containers) {
    const networkOf = placeholders[0]?.pid;
    const options = networkOf === undefined ? {} : { networkOf };
    const placeholder = await startPlaceholder(contained, 'all', options);
    t.after(() => placeholder[Symbol.dispose]());
    placeholders.push(placeholder);
  }
  execFileSync('nsenter', ['--target', String(placeholders[0]!.pid), '--net', PROGRAM, 'up']);
  return placeholders;
}

async function restore(
  trees: readonly DumpTree[],
  placeholders: readonly Victim[],
): Promise<EngineEnd> {
  return await startEngine({
    type: 'restore',
    trees: placeholders.map(({ pid }, i) => {
      const { name, imagesDir } = trees[i]!;
      return { name, imagesDir, placeholderPid: pid };
    }),
    leaveStopped: false,
  }).ended;
}

const verdictsOf = (victim: Victim): string[] =>
  victim
    .output()
    .split('\n')
    .filter((line) => /^(PASS|FAIL|SETUP)/.test(line));

/** @param count of all verdicts in its output by then: a restored program goes on in the file of the saved one */
async function assertPasses(victims: readonly Victim[], count: number): Promise<void> {
  for (const victim of victims) victim.signal('SIGTERM');
  for (const victim of victims) {
    for (const end = Date.now() + 20_000; verdictsOf(victim).length < count; ) {
      assert.ok(Date.now() < end, `no verdict: ${victim.output()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(
      verdictsOf(victim).every((verdict) => verdict === 'PASS'),
      victim.output(),
    );
  }
}

test('both ends in one container: the source goes on, and so does the restored program', async (t) => {
  const contained = await startContained(PROGRAM);
  t.after(() => contained.victim[Symbol.dispose]());
  const trees = treesOf(t, [contained]);
  const { result, failure } = await dump(trees);
  assert.ok(result, JSON.stringify(failure));
  assert.deepEqual(result.findings, []);
  await assertPasses([contained.victim], 1);
  const placeholders = await startPod(t, [contained]);
  const { restored, failure: refused } = await restore(trees, placeholders);
  assert.ok(restored, JSON.stringify(refused));
  await assertPasses(placeholders, 2);
});

/** Two containers of one pod that talk to each other. */
async function startTalk(t: TestContext): Promise<[Contained, Contained]> {
  const server = await startContained(PROGRAM, ['serve'], { readyLine: /listens/ });
  t.after(() => server.victim[Symbol.dispose]());
  const client = await startContained(PROGRAM, ['call'], { networkOf: server.victim.pid });
  t.after(() => client.victim[Symbol.dispose]());
  await server.victim.waitForLine(/ready/);
  return [server, client];
}

test('one end in each of two containers: restored together', async (t) => {
  const talk = await startTalk(t);
  const trees = treesOf(t, talk);
  const { result, failure } = await dump(trees);
  assert.ok(result, JSON.stringify(failure));
  await assertPasses(
    talk.map(({ victim }) => victim),
    1,
  );
  const placeholders = await startPod(t, talk);
  const { restored, failure: refused } = await restore(trees, placeholders);
  assert.ok(restored, JSON.stringify(refused));
  await assertPasses(placeholders, 2);
});

test('one end without the other is refused by its addresses: when it is restored, and when it is saved', async (t) => {
  const talk = await startTalk(t);
  const trees = treesOf(t, talk);
  assert.ok((await dump(trees)).result);
  const [placeholder] = await startPod(t, [talk[0]]);
  const alone = await restore(trees.slice(0, 1), [placeholder!]);
  assert.equal(alone.failure?.code, 'TcpPairBroken');
  assert.match(alone.failure.message, /connection 127\.0\.0\.1:8200 -> 127\.0\.0\.1:\d+/);
  assert.ok(placeholder!.alive(), 'before anything changed');
  for (const dryRun of [true, false]) {
    const { failure, result } = await dump(treesOf(t, [talk[1]]), {
      dryRun,
      afterDump: 'KeepFrozen',
    });
    const [found] = failure?.findings ?? result?.findings ?? [];
    assert.equal(found?.code, 'TcpLeavesPod');
    assert.match(found.advice, /127\.0\.0\.1:\d+ -> 127\.0\.0\.1:8200/);
  }
  await assertPasses(
    talk.map(({ victim }) => victim),
    1,
  );
});

async function rewind({ rootPid, ...tree }: DumpTree): Promise<EngineEnd> {
  const trees = [{ ...tree, rootPid, putBack: [] }];
  return await startEngine({ type: 'rewind', trees, freezeLimitMillis: 0, dryRun: false }).ended;
}

test('in the running pod they are made again between the same addresses', async (t) => {
  const { victim } = await startContained(PROGRAM);
  t.after(() => victim[Symbol.dispose]());
  const trees = treesOf(t, [{ victim, out: '' }]);
  assert.ok((await dump(trees)).result);
  for (let round = 0; round < 2; round++) {
    const { rewound, failure } = await rewind(trees[0]!);
    assert.ok(rewound, JSON.stringify(failure));
    const { restored, failure: refused } = await restore(trees, [victim]);
    assert.ok(restored, JSON.stringify(refused));
  }
  await assertPasses([victim], 1);
});

test('where one lingers that was closed since, a rewind is refused by its addresses, and the program goes on', async (t) => {
  const { victim } = await startContained(PROGRAM);
  t.after(() => victim[Symbol.dispose]());
  const trees = treesOf(t, [{ victim, out: '' }]);
  assert.ok((await dump(trees)).result);
  victim.signal('SIGUSR1');
  await victim.waitForLine(/closed/);
  const { failure, stages } = await rewind(trees[0]!);
  assert.equal(failure?.code, 'ConnectionLingers', JSON.stringify(failure));
  assert.match(failure.message, /127\.0\.0\.1:\d+ -> 127\.0\.0\.1:8100/);
  assert.ok(!stages.some(({ stage }) => stage === 'rewinding'));
  assert.ok(victim.alive());
});
