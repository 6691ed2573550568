// A dump whose bundle goes straight to the target's agent. The way is open before anything is frozen; what is written on
// this node's disk in between goes as soon as the target has it, or will not get it.
import type { TaskResult } from '../../crds/node-task.ts';
import { MANIFEST_FILE } from '../bundle/layout.ts';
import { type ManifestFile, MAX_MANIFEST_BYTES } from '../bundle/manifest.ts';
import { Staging } from '../bundle/staging.ts';
import { makeIdentity } from '../transfer/certificate.ts';
import { connectToPeer } from '../transfer/connect.ts';
import { assertLocalRoom } from '../transfer/local-space.ts';
import { PagesFollower } from '../transfer/pages-follower.ts';
import { Sender } from '../transfer/sender.ts';
import { TaskFailure } from '../task-failure.ts';
import { byteCounter } from './byte-counter.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { finishBundle } from './dump-bundle.ts';
import { saveProcesses } from './dump-processes.ts';
import { PreCopyRounds } from './pre-copy-rounds.ts';
import { thawAll } from './dump-undo.ts';
import { runPreHooks } from './hooks/dump-hooks.ts';

export type Transfer = NonNullable<DumpContext['spec']['dump']['transfer']>;

/** @throws TaskFailure; whoever undoes the dump lets the source go on and removes what is here */
export async function dumpToPeer(
  context: DumpContext,
  containers: HeldContainers,
  transfer: Transfer,
): Promise<TaskResult> {
  const { tools, uid, journal } = context;
  await journal.note('staging');
  await using folder = await tools.localSpace.create(uid);
  const expectedBytes = containers.anonymousBytes;
  await assertLocalRoom(folder, expectedBytes, tools.nodeName);
  await using sender = await openWay(context, transfer);
  await sender.offer(expectedBytes);
  const origin = { node: tools.nodeName, taskUid: uid, bundleName: 'bundle' };
  await using staging = await Staging.create(folder.directory, origin);
  await runPreHooks(context);
  const enginePid = (): number | undefined => journal.facts.engine?.pid;
  const { directory } = staging;
  await using follower = new PagesFollower({ directory, sender, enginePid });
  const { signal } = follower;
  const rounds = roundsOf(context, follower);
  const saved = await saveProcesses(context, containers, staging, { signal, rounds });
  try {
    const { onStart, onBytes } = byteCounter(context.progress, 'sending');
    // Pages go on while the small files are made.
    const followed = follower.finish(onBytes);
    followed.catch(() => undefined);
    const digests = async (bytesTotal: number): Promise<ManifestFile[]> => {
      onStart(bytesTotal);
      await followed;
      return await sender.sendTree(directory, onBytes);
    };
    await finishBundle(context, { containers, staging, saved, signal, digests });
    await sender.finish(await directory.readFile(MANIFEST_FILE, MAX_MANIFEST_BYTES));
  } catch (error) {
    // Before the connection is given up in good order, which takes its time.
    thawAll(journal.facts.freezerFiles ?? []);
    throw error;
  }
  // Nobody who stands still waits for that; should it fail, the next agent does it.
  void tools.localSpace.remove(uid).catch(() => undefined);
  const { result } = journal.facts;
  if (result === undefined) {
    throw new TaskFailure('AgentRestarted', 'the journal does not know the sealed bundle');
  }
  return result;
}

function roundsOf(
  { spec, progress }: DumpContext,
  follower: PagesFollower,
): PreCopyRounds | undefined {
  const { preCopy } = spec.dump;
  return (
    preCopy &&
    new PreCopyRounds({
      limits: preCopy,
      send: async () => await follower.catchUp(),
      onRounds: (rounds) => progress.rounds(rounds),
    })
  );
}

/** Says who we are, by the API server, and knocks. */
async function openWay(
  { progress, signal }: DumpContext,
  { bandwidthBytes, ...endpoint }: Transfer,
): Promise<Sender> {
  progress.stage('connecting');
  const identity = makeIdentity();
  progress.transfer({ fingerprint: identity.fingerprint });
  const socket = await connectToPeer(endpoint, identity, signal);
  return new Sender({ socket, signal, bytesPerSecond: bandwidthBytes });
}
