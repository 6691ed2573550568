// Asynchronous I/O: a ring that was turned over several times and holds events that nobody took, a large one that a thread
// waits on, and an empty one. SIGUSR1 says where the rings stand as "report N ..." lines; SIGTERM makes it take and use
// everything, then the verdict.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RINGS 3
#define LEFT 10
#define TURNS 7

struct ring {
    unsigned id, nr, head, tail, magic;
};

static int reports, wrong, fd;
static aio_context_t rings[RINGS];
static const int sizes[RINGS] = {20, 3000, 1};
static pthread_t waiter;

static void expect(const char *what, long value, long want) {
    if (value == want) return;
    wrong++;
    printf("WRONG %s: %ld, not %ld, errno %d\n", what, value, want, errno);
}

static long submit(aio_context_t ring, uint64_t data) {
    char byte = 'x';
    struct iocb request = {.aio_data = data, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = (unsigned)fd,
                           .aio_buf = (uintptr_t)&byte, .aio_nbytes = 1};
    struct iocb *list[] = {&request};
    return syscall(SYS_io_submit, ring, 1, list);
}

static void take(aio_context_t ring, uint64_t data) {
    struct io_event event = {0};
    struct timespec none = {0, 0};
    expect("io_getevents", syscall(SYS_io_getevents, ring, 1, 1, &event, &none), 1);
    expect("data of an event", (long)event.data, (long)data);
    expect("result of an event", event.res, 1);
}

static void *wait_for_event(void *unused) {
    struct io_event event = {0};
    const long result = syscall(SYS_io_getevents, rings[1], 1, 1, &event, NULL);
    if (result != 1) wrong++, printf("WRONG io_getevents in a thread: %ld errno %d\n", result, errno);
    else expect("event of the thread", (long)event.data, 77);
    return unused;
}

static void report(void) {
    reports++;
    for (int i = 0; i < RINGS; i++) {
        const struct ring *ring = (const struct ring *)rings[i];
        printf("report %d ring %d at %lx nr %u head %u tail %u\n", reports, i, (unsigned long)rings[i], ring->nr,
               ring->head, ring->tail);
    }
    printf("report %d end\n", reports);
    fflush(stdout);
}

static void finish(void) {
    for (int i = 0; i < LEFT; i++) take(rings[0], 1000 + (uint64_t)i);
    // As many as the ring holds and not one less, several times over: the kernel's own accounts are right.
    for (int i = 0; i < 10 * sizes[0]; i++) {
        expect("io_submit", submit(rings[0], (uint64_t)i), 1);
        take(rings[0], (uint64_t)i);
    }
    for (int i = 0; i < sizes[0]; i++) expect("io_submit", submit(rings[0], (uint64_t)i), 1);
    for (int i = 0; i < sizes[0]; i++) take(rings[0], (uint64_t)i);
    expect("io_submit", submit(rings[1], 77), 1);
    pthread_join(waiter, NULL);
    for (int i = 0; i < RINGS; i++) expect("io_destroy", syscall(SYS_io_destroy, rings[i]), 0);
}

int main(void) {
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = open("aio.data", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < RINGS; i++)
        if (syscall(SYS_io_setup, sizes[i], &rings[i])) return 1;
    const int nr = (int)((const struct ring *)rings[0])->nr;
    for (int i = 0; i < TURNS * nr + nr - 4; i++) submit(rings[0], (uint64_t)i), take(rings[0], (uint64_t)i);
    for (int i = 0; i < LEFT; i++) submit(rings[0], 1000 + (uint64_t)i);
    pthread_create(&waiter, NULL, wait_for_event, NULL);
    usleep(50000);
    printf("ready\n");
    fflush(stdout);
    while (!sigwait(&set, &signal) && signal == SIGUSR1) report();
    finish();
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
