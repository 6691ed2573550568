// Runs a test or a benchmark again inside namespaces of its own, where no pid is taken and nothing can be left behind.
import { spawnSync } from 'node:child_process';
import process from 'node:process';

const MARK = 'DIAPAUSE_PRIVATE_NAMESPACES';

/**
 * PID 1 in there: bash, because it reaps orphans at once. A saved process must be reaped before its pid can be used
 * again, and the machine's own init may take its time. CRIU keeps what it probed in /run only if that is a tmpfs. Descriptors
 * that somebody left open for this process would end up in the victims.
 */
const INIT = `
for fd in /proc/self/fd/*; do fd=\${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"; done
mount -t tmpfs -o mode=755 tmpfs /run || exit 1
"$@"
exit $?`;

/**
 * Returns when this process already is in private mount and pid namespaces (all of which dies with its PID 1); else runs
 * the same command there, with the same arguments, environment and output, and exits with its status.
 *
 * Call it before anything else. Needs root.
 */
export function enterPrivateNamespaces(): void {
  if (process.env[MARK] !== undefined) return;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const unshare = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork'];
  const { status, error } = spawnSync(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      ...unshare,
      '--kill-child=KILL',
      '--mount-proc',
      'bash',
      '-c',
      INIT,
      'bash',
      ...command,
    ],
    { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } },
  );
  if (error)
    throw new Error('cannot make namespaces: install util-linux, run as root', { cause: error });
  process.exit(status ?? 1);
}
