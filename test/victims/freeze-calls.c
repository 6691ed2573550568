// Runs the engine and counts the system calls that it makes while the application stands still, from its first
// PTRACE_INTERRUPT to its last PTRACE_DETACH: what a freeze costs, whatever the machine.
// usage: freeze-calls PROGRAM ARGUMENTS
// Counted in the main thread, from the first read of standard input on. Left out is what depends on time: waiting, asking to
// stop once more, and the memory of the runtime.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const long left_out[] = {
    SYS_wait4,  SYS_rt_sigtimedwait, SYS_rt_sigprocmask, SYS_sched_yield, SYS_futex, SYS_mmap, SYS_munmap,
    SYS_madvise, SYS_mprotect, SYS_brk, SYS_rt_sigreturn, SYS_restart_syscall, SYS_clock_gettime, SYS_getrusage,
};

static int counts(const struct user_regs_struct *r) {
    for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
        if (left_out[i] == (long)r->orig_rax) return 0;
    return r->orig_rax != SYS_ptrace || r->rdi != PTRACE_INTERRUPT;
}

static int start(char **command) {
    const int pid = fork();
    if (pid < 0) _exit(2);
    if (pid > 0) return pid;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execv(command[0], command);
    _exit(127);
}

static struct {
    int begun, frozen, over;
    long calls, ptraces, until_detach, ptraces_until_detach;
} seen;

static void look(const struct user_regs_struct *r) {
    seen.begun |= r->orig_rax == SYS_read && r->rdi == STDIN_FILENO;
    if (!seen.begun || seen.over) return;
    const int is_ptrace = r->orig_rax == SYS_ptrace;
    seen.frozen |= is_ptrace && r->rdi == PTRACE_INTERRUPT;
    if (!seen.frozen || !counts(r)) return;
    // The parent of a snapshot is seized once more when all is done.
    if (is_ptrace && r->rdi == PTRACE_SEIZE && seen.until_detach) seen.over = 1;
    seen.calls++;
    seen.ptraces += is_ptrace;
    if (!is_ptrace || r->rdi != PTRACE_DETACH) return;
    seen.until_detach = seen.calls;
    seen.ptraces_until_detach = seen.ptraces;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const int pid = start(argv + 1);
    int status, inside = 0;
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    for (long deliver = 0;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)deliver)) break;
        if (waitpid(pid, &status, 0) != pid || WIFEXITED(status) || WIFSIGNALED(status)) break;
        deliver = 0;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
            continue;
        }
        struct user_regs_struct r;
        if (ptrace(PTRACE_GETREGS, pid, NULL, &r)) break;
        inside = !inside;
        if (inside) look(&r);
    }
    fprintf(stderr, "calls %ld ptrace %ld\n", seen.until_detach, seen.ptraces_until_detach);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
