// Forbids what a dump wants to do in it, and goes on counting.
// usage: forbids write-execute | dispatch | lock
//   write-execute  no memory may be both writable and executable, prctl(PR_SET_MDWE)
//   dispatch       system calls from outside of the C library are its own affair, prctl(PR_SET_SYSCALL_USER_DISPATCH)
//   lock           new memory is locked, and no more may be, mlockall(2)
// SIGUSR1 prints "report N wrong W ticks ...", SIGTERM too, and ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SET_MDWE 65
#define GET_MDWE 66
#define MDWE_REFUSE_EXEC_GAIN 1
#define SET_SYSCALL_USER_DISPATCH 59
#define DISPATCH_ON 1
#define DISPATCH_BLOCK 1

static volatile unsigned long ticks;
static volatile int wrong, begun;
static volatile char selector;

// The executable part of the C library, which makes all calls of this program.
static int find_library(unsigned long *start, unsigned long *end) {
    char line[1024];
    FILE *file = fopen("/proc/self/maps", "r");
    int found = 0;
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "%lx-%lx r-x", start, end) == 2 && *start <= (unsigned long)usleep && (unsigned long)usleep < *end;
    fclose(file);
    return found;
}

static void own_call(int signal) {
    (void)signal;
    wrong++;
}

static int dispatch(void) {
    unsigned long start, end;
    if (!find_library(&start, &end)) return -1;
    signal(SIGSYS, own_call);
    const int result = prctl(SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, start, end - start, &selector);
    selector = DISPATCH_BLOCK;
    return result;
}

// Without the right to lock more than there is: user 1000 has no capabilities.
static int lock(void) {
    const struct rlimit limit = {4096 * 16, 4096 * 16};
    void *own = mmap(NULL, 4096 * 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000)) return -1;
    return mlock(own, 4096 * 16) || mlockall(MCL_FUTURE) ? -1 : 0;
}

static int forbid(const char *what) {
    if (!strcmp(what, "write-execute")) return prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
    if (!strcmp(what, "lock")) return lock();
    // In the thread.
    return strcmp(what, "dispatch") ? (errno = EINVAL, -1) : 0;
}

static void *count(void *what) {
    if (!strcmp(what, "dispatch") && dispatch()) wrong++;
    begun = 1;
    for (;; ticks++)
        if (usleep(500)) wrong++;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_t t;
    if (pthread_create(&t, NULL, count, argv[1])) return 1;
    while (!begun) usleep(1000);
    const int result = forbid(argv[1]);
    printf("ready %d %s\n", result, result < 0 ? strerror(errno) : "");
    fflush(stdout);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        if (!strcmp(argv[1], "write-execute") && prctl(GET_MDWE, 0, 0, 0, 0) != MDWE_REFUSE_EXEC_GAIN) wrong++;
        printf("report %d wrong %d ticks %lu\n", reports, wrong, ticks);
        fflush(stdout);
        if (signal == SIGTERM) return wrong != 0;
    }
    return 1;
}
