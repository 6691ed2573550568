// Runs a program and kills it at an exact place: SIGKILL at its Nth system call stop, so that a test can walk through every
// window between two steps of the engine, and name the one that hurt.
// usage: kill-at STOP MICROS PROGRAM ARGUMENTS
// Entries and exits of calls that act on other processes or on files are counted, in the main thread, from the first
// read of standard input on; MICROS is how long the program is held at the stop before it is killed. STOP 0 only counts.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    long nr;
    const char *name;
} counted[] = {
    {SYS_ptrace, "ptrace"},
    {SYS_process_vm_writev, "process_vm_writev"},
    {SYS_process_vm_readv, "process_vm_readv"},
    {SYS_kill, "kill"},
    {SYS_tgkill, "tgkill"},
    {SYS_write, "write"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_splice, "splice"},
    {SYS_pidfd_open, "pidfd_open"},
    {SYS_pidfd_getfd, "pidfd_getfd"},
    {SYS_fsync, "fsync"},
    {SYS_syncfs, "syncfs"},
    {SYS_renameat, "rename"},
};

static const char *name_of(unsigned long nr) {
    for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++)
        if ((unsigned long)counted[i].nr == nr) return counted[i].name;
    return NULL;
}

static int start(char **command) {
    const int pid = fork();
    if (pid < 0) exit(2);
    if (pid > 0) return pid;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execv(command[0], command);
    _exit(127);
}

static void end(int pid, long stop, const char *edge, const struct user_regs_struct *r) {
    fprintf(stderr, "killed at stop %ld: %s of %s(0x%llx, 0x%llx, 0x%llx, 0x%llx)\n", stop, edge, name_of(r->orig_rax),
            r->rdi, r->rsi, r->rdx, r->r10);
    kill(pid, SIGKILL);
    int status;
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status) && !WIFEXITED(status)) continue;
    exit(0);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    const long last = atol(argv[1]);
    const int pid = start(argv + 3);
    int status, begun = 0, inside = 0;
    long stops = 0;
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    for (long deliver = 0;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)deliver)) break;
        if (waitpid(pid, &status, 0) != pid) break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) break;
        deliver = 0;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
            continue;
        }
        struct user_regs_struct r;
        if (ptrace(PTRACE_GETREGS, pid, NULL, &r)) break;
        inside = !inside;
        begun |= r.orig_rax == SYS_read && r.rdi == STDIN_FILENO;
        if (!begun || !name_of(r.orig_rax) || ++stops != last) continue;
        usleep((useconds_t)atoi(argv[2]));
        end(pid, stops, inside ? "entry" : "exit", &r);
    }
    fprintf(stderr, "ended after %ld stops\n", stops);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
