// Rounds of copying between two agents: what was copied is on the other node before anything is frozen.
import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../kube/testing/until.ts';
import { arrived, beginTransfer, left, type Pair, restored, startPair } from './testing/pair.ts';
import { KEPT_FROZEN, ROUND_BYTES, type Scenario } from './testing/scenario.ts';

const MIB = 1 << 20;

/** Waits for `file` after the rounds, before it freezes. */
const inRounds = (dirtyBytes: readonly number[], file: string): Scenario => [
  { do: 'copy-rounds', dirtyBytes },
  { do: 'wait-for', file },
  ...KEPT_FROZEN,
];

const hasRounds = (pair: Pair, dump: string, count: number): Promise<void> =>
  until(`${count} rounds are told`, () => pair.source.status(dump).rounds?.length === count);

/** Sizes of the pages files that a node has received, oldest last. */
function receivedPages({ target }: Pair): number[] {
  const [folder = ''] = left(target);
  const root = join(target.folder, 'transfer', folder);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('pages-1.img'))
    .sort((a, b) => a.length - b.length)
    .map((path) => statSync(join(root, path)).size);
}

test('each round is on the other node before the next one, and all of them before the freeze', async () => {
  await using pair = await startPair();
  const { source } = pair;
  const goOn = join(source.folder, 'go-on');
  source.scenario(inRounds([3 * MIB, 2 * MIB, 1000], goOn));
  const transfer = await beginTransfer(pair, {});
  const { dump } = transfer;
  await hasRounds(pair, dump, 3);
  assert.deepEqual(receivedPages(pair), [ROUND_BYTES, ROUND_BYTES, ROUND_BYTES]);
  assert.ok(!source.frozen);
  const told = source.status(dump).rounds ?? [];
  assert.deepEqual(
    told.map(({ number, bytes, dirtyBytes }) => [number, bytes, dirtyBytes]),
    [
      [1, ROUND_BYTES, 3 * MIB],
      [2, ROUND_BYTES, 2 * MIB],
      [3, ROUND_BYTES, 1000],
    ],
  );
  writeFileSync(goOn, '');
  const sent = await arrived(pair, transfer);
  assert.ok(source.frozen);
  assert.ok(sent.bytes > 3 * ROUND_BYTES);
  const { state, error } = await restored(pair, sent);
  assert.equal(state, 'Succeeded', JSON.stringify(error));
});

test('rounds of a dump that was over before anybody told of them stand in its outcome', async () => {
  await using pair = await startPair();
  const { source } = pair;
  source.scenario([{ do: 'copy-rounds', dirtyBytes: [3 * MIB, 0] }, ...KEPT_FROZEN]);
  const transfer = await beginTransfer(pair, {});
  await arrived(pair, transfer);
  const { rounds = [] } = source.status(transfer.dump);
  assert.deepEqual(
    rounds.map(({ dirtyBytes }) => dirtyBytes),
    [3 * MIB, 0],
  );
});

test('a target that goes between two rounds leaves the source running, and nothing behind', async () => {
  await using pair = await startPair();
  const { source } = pair;
  source.scenario(inRounds([1000], '/nowhere'));
  const { dump } = await beginTransfer(pair, {});
  await hasRounds(pair, dump, 1);
  await pair.stopTarget();
  const { state, error } = await source.untilEnded(dump);
  assert.equal(state, 'Failed');
  assert.match(error?.code ?? '', /^(TransferFailed|AgentRestarted)$/);
  assert.ok(!source.frozen);
  assert.equal(source.victimState, 'S');
  assert.deepEqual(left(source), []);
});
