// Decodes an image and encodes it again.
import { type AnyImage, IMAGES } from '../image-files.ts';
import type { ImageCursor } from '../cursor.ts';
import { ipcMsg } from '../messages/ipc.ts';
import type { ImageReader } from '../reader.ts';
import type { ImageWriter } from '../writer.ts';

function copyQueue(
  cursor: ImageCursor<unknown, unknown>,
  image: AnyImage,
  writer: ImageWriter,
): void {
  const { record } = IMAGES.ipcMsg(0);
  while (!cursor.atEnd) {
    const queue = cursor.message(record);
    writer.appendMessage(image, record, queue);
    for (let message = 0; message < queue.qnum; message++) {
      const { mtype, msize } = cursor.message(ipcMsg);
      writer.appendMessage(image, ipcMsg, { mtype, msize });
      writer.appendRaw(image, cursor.bytes(Math.ceil(msize / 8) * 8));
    }
  }
}

function copyGhost(file: string, reader: ImageReader, writer: ImageWriter): boolean {
  const ghost = IMAGES.ghostFile.parse(file);
  if (!ghost || reader.head(ghost).chunks === true) return false;
  using cursor = reader.open(ghost)!;
  writer.head(ghost, cursor.head());
  writer.appendRaw(ghost, cursor.rest().read());
  return true;
}

export function reencode(image: AnyImage, reader: ImageReader, writer: ImageWriter): void {
  if (copyGhost(image.file, reader, writer)) return;
  using cursor = reader.open(image)!;
  if (IMAGES.ipcMsg.parse(image.file)) {
    copyQueue(cursor, image, writer);
    return;
  }
  if (image.head) writer.head(image, cursor.head());
  for (const { record, bytes, read } of cursor.payloads()) {
    writer.append(image, record, bytes === 0 ? undefined : read());
  }
}
