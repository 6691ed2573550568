// The types of task that this agent does: the only register.
import type { NodeTaskSpec } from '../../crds/node-task.ts';
import { receiveHandler } from './receive.ts';
import { deleteBundleHandler } from './delete-bundle.ts';
import { describeHandler } from './describe.ts';
import { dumpHandler } from './dump.ts';
import { restoreHandler } from './restore.ts';
import type { TaskHandler, TaskType } from './task-context.ts';
import { thawHandler } from './thaw.ts';
import { verifyHandler } from './verify.ts';

type Handlers = { readonly [Type in TaskType]: TaskHandler<Type> };

export const HANDLERS: Handlers = {
  Dump: dumpHandler,
  Restore: restoreHandler,
  Receive: receiveHandler,
  Thaw: thawHandler,
  DeleteBundle: deleteBundleHandler,
  Verify: verifyHandler,
  Describe: describeHandler,
};

/** The handler for a specification, undefined for a type that only newer agents know. */
export function handlerOf(spec: NodeTaskSpec): TaskHandler<TaskType> | undefined {
  // A handler of its own type never sees another's specification: this is where they are matched.
  const handlers: Readonly<Record<string, unknown>> = HANDLERS;
  return Object.hasOwn(handlers, spec.type)
    ? (handlers[spec.type] as TaskHandler<TaskType>)
    : undefined;
}
