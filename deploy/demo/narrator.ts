// How the demo tells its story: plain lines with the time since it began, for terminals and logs alike.
import process from 'node:process';

export class Narrator {
  readonly #began = performance.now();

  /** A chapter of the story. */
  chapter(title: string): void {
    process.stdout.write(`\n== ${title}\n`);
  }

  say(text: string): void {
    const seconds = (performance.now() - this.#began) / 1000;
    for (const line of text.split('\n')) {
      process.stdout.write(`${seconds.toFixed(1).padStart(7)} s  ${line}\n`);
    }
  }

  /** Runs one step and tells how long it took. */
  async step<Result>(title: string, run: () => Promise<Result>): Promise<Result> {
    this.say(`${title} ...`);
    const began = performance.now();
    const result = await run();
    this.say(`  done in ${formatSeconds(performance.now() - began)}`);
    return result;
  }

  /** Text as it is: tables, manifests. */
  show(text: string): void {
    process.stdout.write(`${text.trimEnd()}\n`);
  }
}

export function formatSeconds(millis: number): string {
  return millis < 10_000 ? `${(millis / 1000).toFixed(2)} s` : `${(millis / 1000).toFixed(0)} s`;
}

export function formatMillis(millis: number): string {
  return `${millis < 100 ? millis.toFixed(1) : millis.toFixed(0)} ms`;
}

export function formatBytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes >= 1024 ? `${(mebibytes / 1024).toFixed(1)} GiB` : `${mebibytes.toFixed(1)} MiB`;
}
