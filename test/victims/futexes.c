// Priority-inheriting futexes, futex_waitv(2), FUTEX_WAIT_REQUEUE_PI and clear_child_tid, in a file, in anonymous shared
// memory and in private memory: one thread owns all locks, others and a child wait for them. What gives up by itself does
// so after MILLIS. SIGUSR1 lets the owner unlock, wakes whoever waits and ends it; SIGTERM prints the verdict.
// futexes.data in the working directory is the file; in its first words the kernel clears the ids of threads.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define PLACES 3
// One more than the last thread to end, for which the kernel does nothing.
#define CLEARED 2
#define TIMED (2 * PLACES + 1)
#define LENT_PRIORITY 20

typedef uint32_t word;

// What lies in each place; the ids come first.
struct words {
    word cleared[CLEARED], lock, timed, requeue_from, requeued_from, requeue_to, any, of_child;
    pthread_mutex_t robust;
};
static const char *const names[PLACES] = {"file", "shared", "private"};
static struct words *places[PLACES];
static volatile int wrong, done, gave_up, ready, owned, let_go, child_owns, exiting, last_step;
static int millis = 1500;
static word never;

static void expect(const char *what, const char *where, long got, long want) {
    if (got == want) return;
    __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
    printf("WRONG %s %s: %ld, not %ld\n", what, where, got, want);
    fflush(stdout);
}

static long call(word *at, int operation, word value, const struct timespec *timeout, word *other, word last) {
    const long result = syscall(SYS_futex, at, operation, value, timeout, other, last);
    return result < 0 ? -errno : result;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct timespec later(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += millis / 1000;
    t.tv_nsec += millis % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) t.tv_nsec -= 1000000000L, t.tv_sec++;
    return t;
}

static void timed_out(const char *what, const char *where, long result, double began) {
    expect(what, where, result, -ETIMEDOUT);
    if (now() - began < millis / 1000.0 - 0.005) expect(what, where, 0, millis);
    if (__atomic_add_fetch(&gave_up, 1, __ATOMIC_SEQ_CST) < TIMED) return;
    printf("all gave up\n");
    fflush(stdout);
}

static void finished(void) { __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST); }
static void begun(void) { __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST); }

static word own_id(void) { return (word)syscall(SYS_gettid); }

static void lock(word *at) {
    word none = 0;
    if (!__atomic_compare_exchange_n(at, &none, own_id(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        expect("lock", "", call(at, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
}

static void unlock(word *at) {
    word own = own_id();
    if (!__atomic_compare_exchange_n(at, &own, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        expect("unlock", "", call(at, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
}

// Owns every lock until it is told to let go; ends with the robust ones in its hands.
static void *owner(void *unused) {
    (void)unused;
    for (int i = 0; i < PLACES; i++) {
        lock(&places[i]->lock);
        lock(&places[i]->timed);
        lock(&places[i]->requeue_to);
        pthread_mutex_lock(&places[i]->robust);
    }
    owned = (int)own_id();
    while (!let_go) usleep(1000);
    for (int i = 0; i < PLACES; i++) {
        unlock(&places[i]->lock);
        unlock(&places[i]->timed);
        unlock(&places[i]->requeue_to);
    }
    return NULL;
}

static void must_own(const char *what, int place, word *at) {
    expect(what, names[place], *at & FUTEX_TID_MASK, own_id());
    expect(what, "let go before its time", let_go, 1);
    unlock(at);
}

static void *wait_lock(void *argument) {
    const int place = (int)(intptr_t)argument;
    // The owner inherits this.
    const struct sched_param priority = {.sched_priority = LENT_PRIORITY};
    if (place == 2) expect("real time", "", pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority), 0);
    begun();
    expect("lock", names[place], call(&places[place]->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
    must_own("lock", place, &places[place]->lock);
    finished();
    return NULL;
}

static void *wait_timed(void *argument) {
    const int place = (int)(intptr_t)argument;
    const struct timespec at = later(CLOCK_REALTIME);
    const double began = now();
    begun();
    timed_out("timed lock", names[place], call(&places[place]->timed, FUTEX_LOCK_PI, 0, &at, NULL, 0), began);
    finished();
    return NULL;
}

static void *wait_timed_monotonic(void *argument) {
    const int place = (int)(intptr_t)argument;
    const struct timespec at = later(CLOCK_MONOTONIC);
    const double began = now();
    begun();
    timed_out("timed lock 2", names[place], call(&places[place]->timed, FUTEX_LOCK_PI2, 0, &at, NULL, 0), began);
    finished();
    return NULL;
}

static void *wait_robust(void *argument) {
    const int place = (int)(intptr_t)argument;
    begun();
    expect("robust lock", names[place], pthread_mutex_lock(&places[place]->robust), EOWNERDEAD);
    expect("robust lock", "let go before its time", let_go, 1);
    expect("consistent", names[place], pthread_mutex_consistent(&places[place]->robust), 0);
    expect("robust unlock", names[place], pthread_mutex_unlock(&places[place]->robust), 0);
    finished();
    return NULL;
}

// Moved to the lock only after the dump.
static void *wait_requeue(void *argument) {
    const int place = (int)(intptr_t)argument;
    struct words *at = places[place];
    begun();
    const long result = call(&at->requeue_from, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &at->requeue_to, 0);
    expect("requeue", names[place], result, 0);
    must_own("requeue", place, &at->requeue_to);
    finished();
    return NULL;
}

// Moved there before it. Interrupted it cannot go back: the kernel answers EAGAIN, and it must ask for the lock itself.
static void *wait_requeued(void *argument) {
    const int place = (int)(intptr_t)argument;
    struct words *at = places[place];
    begun();
    const long result = call(&at->requeued_from, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &at->requeue_to, 0);
    if (result == -EAGAIN) lock(&at->requeue_to);
    else expect("requeued", names[place], result, 0);
    must_own("requeued", place, &at->requeue_to);
    finished();
    return NULL;
}

static long wait_any(struct futex_waitv *list, int count, const struct timespec *timeout) {
    const long result = syscall(SYS_futex_waitv, list, count, 0, timeout, CLOCK_MONOTONIC);
    return result < 0 ? -errno : result;
}

static void *wait_many(void *unused) {
    (void)unused;
    struct futex_waitv list[PLACES + 1] = {{0, (uintptr_t)&never, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}};
    for (int i = 0; i < PLACES; i++) list[i + 1] = (struct futex_waitv){0, (uintptr_t)&places[i]->any, FUTEX_32, 0};
    begun();
    // The one that is woken: in the file.
    expect("any of many", "", wait_any(list, PLACES + 1, NULL), 1);
    expect("any of many", "before its time", let_go, 1);
    finished();
    return NULL;
}

static void *wait_many_timed(void *unused) {
    (void)unused;
    struct futex_waitv list[2] = {{0, (uintptr_t)&never, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0},
                                  {0, (uintptr_t)&places[2]->any, FUTEX_32, 0}};
    const struct timespec at = later(CLOCK_MONOTONIC);
    const double began = now();
    begun();
    timed_out("any of two", "", wait_any(list, 2, &at), began);
    finished();
    return NULL;
}

// The child owns it and is killed: its waiter gets it, marked.
static void *wait_child(void *argument) {
    const int place = (int)(intptr_t)argument;
    word *at = &places[place]->of_child;
    begun();
    expect("lock of the child", names[place], call(at, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
    expect("lock of the child", "let go before its time", let_go, 1);
    expect("owner died", names[place], *at & FUTEX_OWNER_DIED, FUTEX_OWNER_DIED);
    expect("new owner", names[place], *at & FUTEX_TID_MASK, own_id());
    finished();
    return NULL;
}

static void *be_cleared(void *argument) {
    word *at = &places[0]->cleared[(intptr_t)argument];
    syscall(SYS_set_tid_address, at);
    *at = own_id();
    begun();
    while (exiting <= (intptr_t)argument) usleep(1000);
    syscall(SYS_exit, 0);
    return NULL;
}

static pid_t bear_child(void) {
    struct words *shared = places[1];
    const pid_t child = fork();
    if (child != 0) return child;
    lock(&places[0]->of_child);
    lock(&shared->of_child);
    shared->cleared[0] = 1;
    for (;;) {
        // Waits for the owner, which is in another process.
        const long result = call(&shared->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
        expect("lock of the parent", "", result, 0);
        if (result == 0) unlock(&shared->lock);
        shared->any = 7;
        pause();
    }
}

static void make(int place, int flags, int fd) {
    places[place] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (places[place] == MAP_FAILED) exit(1);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (flags & MAP_SHARED) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&places[place]->robust, &attributes);
}

// proc_pid_stat(5): the effective priority, which a lock may lend.
static int priority_of(int tid) {
    char path[64], text[1024] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    const int fd = open(path, O_RDONLY);
    if (read(fd, text, sizeof text - 1) < 0) return 0;
    close(fd);
    int priority = 0;
    const char *end = strrchr(text, ')');
    sscanf(end ? end : "", ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d", &priority);
    return priority;
}

static void move_waiters(word *from, word *to) {
    // It comes again until the waiter is there.
    long moved = 0;
    for (int i = 0; i < 5000 && moved == 0; i++, usleep(1000))
        moved = call(from, FUTEX_CMP_REQUEUE_PI, 1, (void *)(uintptr_t)8, to, 0);
    expect("moved", "", moved, 1);
}

static void wait_for(volatile int *value, int wanted, const char *what) {
    for (int i = 0; i < 10000 && *value != wanted; i++) usleep(1000);
    expect(what, "", *value, wanted);
}

// As pthread_join(3) does it.
static void await_end(volatile word *at) {
    const word id = *at;
    const struct timespec limit = {5, 0};
    expect("id of a thread", "", id != 0, 1);
    exiting++;
    while (id != 0 && *at == id)
        if (call((word *)at, FUTEX_WAIT, id, &limit, NULL, 0) == -ETIMEDOUT) break;
    expect("cleared id", "", *at, 0);
}

static void wake_everybody(int expected) {
    expect("boosted priority", "", priority_of(owned), -1 - LENT_PRIORITY);
    for (int i = 0; i < PLACES; i++) move_waiters(&places[i]->requeue_from, &places[i]->requeue_to);
    let_go = 1;
    places[0]->any = 1;
    call(&places[0]->any, FUTEX_WAKE, 8, NULL, NULL, 0);
    wait_for((volatile int *)&places[1]->any, 7, "child");
    kill(child_owns, SIGKILL);
    waitpid(child_owns, NULL, 0);
    wait_for(&done, expected, "answers");
    for (int i = 0; i < CLEARED; i++) await_end(&places[0]->cleared[i]);
}

static int start(void) {
    typedef void *(*body)(void *);
    static const body each[] = {wait_lock, wait_timed, wait_timed_monotonic, wait_robust, wait_requeue, wait_requeued};
    static const body once[] = {wait_many, wait_many_timed};
    const int kinds = (int)(sizeof each / sizeof *each), singles = (int)(sizeof once / sizeof *once);
    pthread_t t;
    if (pthread_create(&t, NULL, owner, NULL)) exit(1);
    while (!owned) usleep(1000);
    child_owns = bear_child();
    while (!places[1]->cleared[0]) usleep(1000);
    for (int i = 0; i < kinds * PLACES; i++)
        if (pthread_create(&t, NULL, each[i / PLACES], (void *)(intptr_t)(i % PLACES))) exit(1);
    for (int i = 0; i < singles; i++)
        if (pthread_create(&t, NULL, once[i], NULL)) exit(1);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&t, NULL, wait_child, (void *)(intptr_t)i)) exit(1);
    for (int i = 0; i < CLEARED; i++)
        if (pthread_create(&t, NULL, be_cleared, (void *)(intptr_t)i)) exit(1);
    const int waiters = kinds * PLACES + singles + 2;
    while (ready < waiters + CLEARED) usleep(1000);
    usleep(50000);
    for (int i = 0; i < PLACES; i++) move_waiters(&places[i]->requeued_from, &places[i]->requeue_to);
    return waiters;
}

int main(int argc, char **argv) {
    if (argc > 1) millis = atoi(argv[1]);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const int fd = open("futexes.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, 4096)) return 1;
    make(0, MAP_SHARED, fd);
    make(1, MAP_SHARED | MAP_ANONYMOUS, -1);
    make(2, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    const int waiters = start();
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        if (signal == SIGTERM) break;
        wake_everybody(waiters);
        printf("woken %d\n", ++last_step);
        fflush(stdout);
    }
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
