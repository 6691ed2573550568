// Every message that some image holds, found by walking the images.
import { type Message, messageOf } from '../codec.ts';
import { type AnyImage, IMAGES, type ImageFamily } from '../image-files.ts';

/** One image of each kind; families get the number 1. */
export function sampleImages(): AnyImage[] {
  return Object.values<AnyImage | ImageFamily<unknown, unknown>>(IMAGES).map((known) =>
    typeof known === 'function' ? known(1) : known,
  );
}

export function allMessages(): Message<unknown>[] {
  const found = new Set<Message<unknown>>();
  const visit = (message: Message<unknown> | undefined): void => {
    if (!message || found.has(message)) return;
    found.add(message);
    for (const { type } of message.fields) visit(messageOf(type));
  };
  for (const { head, record } of sampleImages()) {
    visit(head);
    visit(record);
  }
  return [...found];
}
