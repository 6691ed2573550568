// A parent that cannot be stopped for a while, whenever it is told: the kernel lets nobody stop who waits for a child of
// vfork(2) to end or to be another program.
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (int count = 1;; count++) {
        int signal;
        if (sigwait(&set, &signal)) return 1;
        pid_t child = vfork();
        if (child == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
            _exit(0);
        }
        printf("back %d\n", count);
    }
}
