// Processes that wait, of which the last two share a descriptor table, as clone(CLONE_FILES) makes them.
// usage: shared-tables PROCESSES
// Prints the pids of its children, then waits for a signal.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int start(long flags) {
    const int pid = (int)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid < 0) _exit(1);
    return pid;
}

static void wait_with_parent(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
}

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 2;
    printf("pids");
    for (int i = 1; i < count - 1; i++) {
        const int pid = start(0);
        if (pid == 0) wait_with_parent();
        printf(" %d", pid);
    }
    // A child that itself has one which shares its table.
    int ends[2];
    if (pipe(ends)) return 1;
    const int parent = start(0);
    if (parent == 0) {
        const int sharer = start(CLONE_FILES);
        if (sharer != 0 && write(ends[1], &sharer, sizeof(sharer)) != sizeof(sharer)) _exit(1);
        wait_with_parent();
    }
    int sharer;
    if (read(ends[0], &sharer, sizeof(sharer)) != sizeof(sharer)) return 1;
    printf(" %d %d\n", parent, sharer);
    fflush(stdout);
    pause();
    return 0;
}
