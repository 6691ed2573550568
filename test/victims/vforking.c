// A parent that cannot be stopped for a while, whenever it is told: the kernel lets nobody stop who waits for a child of
// vfork(2) to end or to be another program.
// usage: vforking [told]: the child ends after half a second, or when it is told by a SIGUSR2.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const int told = argc > 1 && strcmp(argv[1], "told") == 0;
    sigset_t set, end;
    sigemptyset(&end);
    sigaddset(&end, SIGUSR2);
    sigprocmask(SIG_BLOCK, &end, NULL);
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
            if (told) sigwaitinfo(&end, NULL);
            else nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
            _exit(0);
        }
        printf("back %d\n", count);
    }
}
