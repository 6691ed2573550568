// Two agents on one fake cluster, and the steps of a transfer between them.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OPERATOR_NAMESPACE } from '../../../crds/names.ts';
import type { TaskPreCopy, TransferPoint } from '../../../crds/node-task.ts';
import { until } from '../../../kube/testing/until.ts';
import { NODE_TASKS } from '../task-agent.ts';
import { Bench, CONTAINERS } from './bench.ts';
import { fakeTools, type FakeToolsOptions } from './fake-tools.ts';
import { runAgent } from './run-agent.ts';
import { KEPT_FROZEN, type Scenario } from './scenario.ts';

export const NEW_POD = { namespace: 'team', name: 'app-2', uid: 'pod-2' };
export const PAGES_BYTES = 3 << 20;

export interface Pair extends AsyncDisposable {
  readonly source: Bench;
  readonly target: Bench;
  /** the target's agent ends in good order */
  stopTarget(): Promise<void>;
  startTarget(): Promise<void>;
}

export interface PairOptions {
  readonly source?: FakeToolsOptions;
  readonly scenario?: Scenario;
}

const frozenWithPages: Scenario = [
  ...KEPT_FROZEN.slice(0, 1),
  { do: 'write-images', pagesBytes: PAGES_BYTES },
  ...KEPT_FROZEN.slice(2),
];

export async function startPair(options: PairOptions = {}): Promise<Pair> {
  await using all = new AsyncDisposableStack();
  const source = all.use(await Bench.start());
  const target = all.use(await Bench.start('diapause-init'));
  source.scenario(options.scenario ?? frozenWithPages);
  const { folder, volume, victimPid, journalFolder } = target;
  const node = { name: 'node-b', folder, volume, victimPid };
  const client = () => source.api.client({ fieldManager: 'diapause-agent' });
  const start = async () =>
    await runAgent({ client: client(), journalFolder, tools: fakeTools(node), drainMillis: 500 });
  all.use(
    await runAgent({
      client: client(),
      journalFolder: source.journalFolder,
      tools: fakeTools(source, options.source),
    }),
  );
  let agent = await start();
  all.defer(async () => await agent[Symbol.asyncDispose]());
  const owned = all.move();
  return {
    source,
    target,
    stopTarget: async () => await agent[Symbol.asyncDispose](),
    async startTarget() {
      agent = await start();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function giveReceive({ source }: Pair): string {
  const receive = { type: 'Receive', receive: { pod: NEW_POD } };
  return source.give(receive as never, { nodeName: 'node-b' });
}

export async function listening(
  { source }: Pair,
  receive: string,
): Promise<Required<TransferPoint>> {
  await until('it listens', () => source.status(receive).transfer?.port !== undefined);
  return source.status(receive).transfer as Required<TransferPoint>;
}

export function giveDump(
  { source }: Pair,
  transfer: TransferPoint & { bandwidthBytes?: number },
  preCopy?: TaskPreCopy,
): string {
  const more = preCopy === undefined ? {} : { preCopy };
  const payload = { store: undefined, transfer, afterDump: 'KeepFrozen', ...more };
  return source.giveDump(payload as never);
}

/** What the controller does, once it knows the source's certificate. */
export async function introduce(
  { source }: Pair,
  receive: string,
  fingerprint: string,
): Promise<void> {
  const tasks = source.api.client().resource(NODE_TASKS);
  const patch = { spec: { receive: { senderFingerprint: fingerprint } } };
  await tasks.mergePatch({ namespace: OPERATOR_NAMESPACE, name: receive }, patch);
}

export async function introduceSource(pair: Pair, receive: string, dump: string): Promise<void> {
  const known = () => pair.source.status(dump).transfer?.fingerprint;
  await until('the source has a certificate', () => known() !== undefined);
  await introduce(pair, receive, known() ?? '');
}

export function left({ folder }: Bench): readonly string[] {
  try {
    return readdirSync(join(folder, 'transfer'));
  } catch {
    return [];
  }
}

/** Names of the tasks of both sides. */
export interface Transfer {
  readonly receive: string;
  readonly dump: string;
}

export interface Transferred extends Transfer {
  readonly taskUid: string;
  readonly digest: string;
  readonly bytes: number;
}

export async function beginTransfer(pair: Pair, preCopy?: TaskPreCopy): Promise<Transfer> {
  const receive = giveReceive(pair);
  const dump = giveDump(pair, await listening(pair, receive), preCopy);
  await introduceSource(pair, receive, dump);
  return { receive, dump };
}

export async function transferred(pair: Pair): Promise<Transferred> {
  return await arrived(pair, await beginTransfer(pair));
}

export async function arrived({ source }: Pair, { receive, dump }: Transfer): Promise<Transferred> {
  const sent = await source.untilEnded(dump);
  assert.equal(sent.state, 'Succeeded', JSON.stringify(sent.error));
  const received = await source.untilEnded(receive);
  const { bundleDigest: digest = '', bundleBytes: bytes = 0 } = received.result ?? {};
  assert.deepEqual([sent.result?.bundleDigest, sent.result?.bundleBytes], [digest, bytes]);
  const taskUid = source.task(receive)?.metadata.uid ?? '';
  return { receive, dump, taskUid, digest, bytes };
}

export async function restored({ source }: Pair, { taskUid, digest }: Transferred) {
  const place = { received: { taskUid }, bundleDigest: digest };
  const restore = { pod: NEW_POD, containers: CONTAINERS, ...place };
  const task = source.give({ type: 'Restore', restore } as never, { nodeName: 'node-b' });
  return await source.untilEnded(task);
}
