// Gets 8 MiB more with every SIGUSR1, each time an area of its own. SIGTERM ends it.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES (8ul << 20)

int main(void) {
    sigset_t set_of;
    sigemptyset(&set_of);
    sigaddset(&set_of, SIGUSR1);
    sigaddset(&set_of, SIGTERM);
    sigprocmask(SIG_BLOCK, &set_of, NULL);
    printf("ready\n");
    fflush(stdout);
    for (int got; sigwait(&set_of, &got) == 0 && got == SIGUSR1;) {
        // With a protection that none of its neighbours has.
        char *const more = mmap(NULL, BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) return 1;
        memset(more, 'g', BYTES);
        printf("grown\n");
        fflush(stdout);
    }
    return 0;
}
