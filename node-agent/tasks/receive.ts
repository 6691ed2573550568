// Receive: the target's side of a Direct migration. Listens before anything is frozen, and keeps what arrives on the
// node's own disk for the Restore task, for as long as this NodeTask exists.
import type { TaskResult } from '../../crds/node-task.ts';
import { Listener } from '../transfer/listener.ts';
import { assertLocalRoom } from '../transfer/local-space.ts';
import { PeerStream } from '../transfer/peer-stream.ts';
import { receiveBundle } from '../transfer/receiver.ts';
import { TaskFailure } from '../task-failure.ts';
import { byteCounter } from './byte-counter.ts';
import { HandOver, type SpecOf, type TaskContext, type TaskHandler } from './task-context.ts';

export type ReceiveContext = TaskContext<SpecOf<'Receive'>>;

export const receiveHandler: TaskHandler<'Receive'> = {
  type: 'Receive',
  // Nothing is done to the new pod.
  podUid: () => undefined,
  run,
  // The key went with the agent that made it, and the source has been let go since.
  resume: async (context) => {
    await context.tools.localSpace.remove(context.uid);
    throw interrupted();
  },
  abandon: async ({ tools, uid }) => await tools.localSpace.remove(uid),
};

async function run(context: ReceiveContext): Promise<TaskResult> {
  const { localSpace } = context.tools;
  try {
    return await receive(context);
  } catch (error) {
    await localSpace.remove(context.uid);
    if (error instanceof HandOver) {
      throw interrupted();
    }
    throw error;
  }
}

async function receive(context: ReceiveContext): Promise<TaskResult> {
  const { tools, progress, signal, uid } = context;
  const { localSpace, nodeName } = tools;
  await using folder = await localSpace.create(uid);
  await context.journal.note('staging');
  using listener = await Listener.open(tools.podAddress);
  progress.stage('listening');
  progress.transfer(listener.endpoint);
  const sender = context.later(({ receive }) => receive.senderFingerprint);
  const socket = await listener.accept(sender, signal);
  await using stream = new PeerStream({ socket, signal });
  const { digest, bytes } = await receiveBundle({
    directory: folder.directory,
    stream,
    assertRoom: (expectedBytes) => assertLocalRoom(folder, expectedBytes, nodeName),
    ...byteCounter(progress, 'receiving'),
  });
  localSpace.noteWhole(uid, digest);
  return { bundleBytes: bytes, bundleDigest: digest };
}

function interrupted(): TaskFailure {
  const facts = 'the agent of the target node ended while it waited for the bundle';
  return new TaskFailure('AgentRestarted', facts);
}
