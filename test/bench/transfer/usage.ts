// What a process has used since some moment: time, processors, memory.
import process from 'node:process';

const GIB = 2 ** 30;
const KIB_PER_MIB = 1024;

export class Usage {
  readonly #since = performance.now();
  readonly #cpu = process.cpuUsage();
  readonly #loop = performance.eventLoopUtilization();

  /** One line about the work on so many bytes. */
  tell(who: string, bytes: number): string {
    const millis = performance.now() - this.#since;
    const { user, system } = process.cpuUsage(this.#cpu);
    const { utilization } = performance.eventLoopUtilization(this.#loop);
    const cpuMillis = (user + system) / 1000;
    return [
      `${who}: ${millis.toFixed(0)} ms`,
      `${((bytes / GIB / millis) * 1000).toFixed(2)} GiB/s`,
      `processors ${(cpuMillis * (GIB / bytes)).toFixed(0)} ms per GiB (${(system / 1000).toFixed(0)} in the kernel)`,
      `event loop busy ${(utilization * 100).toFixed(0)} %`,
      `peak ${(process.resourceUsage().maxRSS / KIB_PER_MIB).toFixed(0)} MiB`,
    ].join(', ');
  }
}
