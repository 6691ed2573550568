// Robust mutexes: one in a shared file, which no image holds, one in anonymous shared memory, one private. A thread owns
// them all when it is saved. SIGUSR1 ends that thread without unlocking: the next owner must get EOWNERDEAD for each.
// SIGTERM prints the verdict. The file's name is robust.data in the working directory; its lock word comes first.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACES 3
static const char *const names[PLACES] = {"file", "shared", "private"};
static pthread_mutex_t *mutexes[PLACES];
static sem_t owned, leave;
static int wrong;
static volatile int waiter_result = -1;

static void expect(const char *what, int got, int want) {
    if (got == want) return;
    wrong++;
    printf("WRONG %s: %d, not %d\n", what, got, want);
}

static void make(int place, int flags, int fd) {
    mutexes[place] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (mutexes[place] == MAP_FAILED) exit(1);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (flags & MAP_SHARED) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutexes[place], &attributes);
}

static void *own(void *unused) {
    (void)unused;
    for (int i = 0; i < PLACES; i++) pthread_mutex_lock(mutexes[i]);
    sem_post(&owned);
    while (sem_wait(&leave)) continue;
    return NULL;
}

// Blocked in the lock from before the dump until the owner dies.
static void *wait_for_file(void *unused) {
    (void)unused;
    waiter_result = pthread_mutex_lock(mutexes[0]);
    pthread_mutex_consistent(mutexes[0]);
    pthread_mutex_unlock(mutexes[0]);
    return NULL;
}

static void take_over(void) {
    expect("waiter before its time", waiter_result, -1);
    sem_post(&leave);
    for (int i = 0; i < 10000 && waiter_result == -1; i++) usleep(1000);
    expect("waiter", waiter_result, EOWNERDEAD);
    for (int i = 1; i < PLACES; i++) {
        expect(names[i], pthread_mutex_lock(mutexes[i]), EOWNERDEAD);
        expect("consistent", pthread_mutex_consistent(mutexes[i]), 0);
        expect("unlock", pthread_mutex_unlock(mutexes[i]), 0);
        expect("lock again", pthread_mutex_lock(mutexes[i]), 0);
        expect("unlock again", pthread_mutex_unlock(mutexes[i]), 0);
    }
    expect("file", pthread_mutex_lock(mutexes[0]), 0);
}

int main(void) {
    const int fd = open("robust.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, 4096)) return 1;
    make(0, MAP_SHARED, fd);
    make(1, MAP_SHARED | MAP_ANONYMOUS, -1);
    make(2, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    sem_init(&owned, 0, 0);
    sem_init(&leave, 0, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_t owner, waiter;
    if (pthread_create(&owner, NULL, own, NULL)) return 1;
    sem_wait(&owned);
    if (pthread_create(&waiter, NULL, wait_for_file, NULL)) return 1;
    usleep(50000);
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        if (signal == SIGTERM) break;
        take_over();
        expect("join", pthread_join(owner, NULL), 0);
        expect("join", pthread_join(waiter, NULL), 0);
        printf("taken over\n");
        fflush(stdout);
    }
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
