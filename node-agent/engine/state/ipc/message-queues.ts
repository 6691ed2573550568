// System V message queues with what nobody has received yet; msgget(2).
import type { Finding } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import { ImageError } from '../../image/image-error.ts';
import { type IpcMsgEntry, ipcMsg, ipcMsgEntry } from '../../image/messages/ipc.ts';
import type { ImageReader } from '../../image/reader.ts';
import type { ImageWriter } from '../../image/writer.ts';
import {
  type IpcMessage,
  listObjects,
  makeObject,
  MAX_MESSAGE_BYTES,
  peekMessages,
  sendMessage,
  setOwner,
} from '../../linux/sysv-ipc.ts';
import { describe, IPC_NS_ID, permissionsOf, tellCreator } from './ipc-entry.ts';

/** A text follows its record, padded to so many bytes. */
const TEXT_ALIGN = 8;

export interface MessageQueue {
  readonly entry: IpcMsgEntry;
  readonly messages: readonly IpcMessage[];
}

export function collectQueues(): MessageQueue[] {
  return listObjects('msg').map((object) => {
    const messages = peekMessages(object.permissions.id);
    const sizes = { qbytes: object.queueBytes, qnum: messages.length };
    return { entry: { desc: describe(object), ...sizes }, messages };
  });
}

export function writeQueues(queues: readonly MessageQueue[], images: ImageWriter): void {
  const image = IMAGES.ipcMsg(IPC_NS_ID);
  for (const { entry, messages } of queues) {
    images.appendMessage(image, ipcMsgEntry, entry);
    for (const { type, text } of messages) {
      images.appendMessage(image, ipcMsg, { mtype: type, msize: text.length });
      images.appendRaw(image, text);
      images.appendRaw(image, new Uint8Array(paddingOf(text.length)));
    }
  }
}

const paddingOf = (length: number): number => (TEXT_ALIGN - (length % TEXT_ALIGN)) % TEXT_ALIGN;

/** @throws ImageError */
export function savedQueues(images: ImageReader): MessageQueue[] {
  const image = IMAGES.ipcMsg(IPC_NS_ID);
  using cursor = images.open(image);
  const queues: MessageQueue[] = [];
  while (cursor && !cursor.atEnd) {
    const entry = cursor.message(ipcMsgEntry);
    const messages: IpcMessage[] = [];
    while (messages.length < entry.qnum) {
      const { mtype, msize } = cursor.message(ipcMsg);
      if (msize > MAX_MESSAGE_BYTES || mtype === 0n) {
        throw new ImageError({ file: image.file, reason: `no message is of ${msize} bytes` });
      }
      const text = Buffer.from(cursor.bytes(msize));
      cursor.bytes(paddingOf(msize));
      messages.push({ type: mtype, text });
    }
    queues.push({ entry, messages });
  }
  return queues;
}

export function makeQueues(
  saved: readonly MessageQueue[],
  report: (finding: Finding) => void,
): void {
  for (const { entry, messages } of saved) {
    const { desc, qbytes } = entry;
    const permissions = permissionsOf(desc);
    makeObject('msg', permissions, 0n);
    setOwner('msg', permissions, qbytes);
    for (const message of messages) sendMessage(desc.id, message);
    tellCreator('message queue', desc, report);
  }
}
