// Robust mutexes: a thread and a process own one each. Told to, they die without unlocking, and the thread that
// waited for the mutex all the time must be told EOWNERDEAD: then, and not before (pthread_mutexattr_setrobust(3)).
#include "futex.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

heir heirs[HEIRS] = {{"thread", NULL, HELD}, {"process", NULL, HELD}};
pid_t owner_process;
static uint32_t may_die;
static int owned[2]; // a pipe: one byte for every mutex that is taken

static void fail(const char *call) {
    perror(call);
    exit(1);
}

static void *new_robust_mutex(void) {
    pthread_mutexattr_t attributes;
    pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mutex == MAP_FAILED) {
        fail("mmap");
    }
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutex, &attributes);
    return mutex;
}

static void take(void *mutex) {
    if (pthread_mutex_lock(mutex) != 0 || write(owned[1], "", 1) != 1) {
        fail("robust mutex");
    }
}

static void *own_and_die(void *mutex) {
    take(mutex);
    while (__atomic_load_n(&may_die, __ATOMIC_SEQ_CST) == 0) {
        judged("futex of an owner", futex(&may_die, FUTEX_WAIT, 0, NULL));
    }
    return NULL;
}

static void *inherit(void *one) {
    heir *const self = one;
    const int answer = judged("robust mutex", pthread_mutex_lock(self->mutex));
    if (answer != EOWNERDEAD) {
        complain("robust mutex of a dead %s: %d instead of EOWNERDEAD", self->owner, answer);
    } else if (__atomic_load_n(&may_die, __ATOMIC_SEQ_CST) == 0) {
        complain("robust mutex: EOWNERDEAD before its %s has died", self->owner);
    }
    self->state = answer == EOWNERDEAD ? OWNER_DEAD : WRONG;
    pthread_mutex_consistent(self->mutex);
    pthread_mutex_unlock(self->mutex);
    return NULL;
}

void start_owners(void) {
    char byte;
    for (int i = 0; i < HEIRS; i++) {
        heirs[i].mutex = new_robust_mutex();
    }
    if (pipe(owned) != 0 || (owner_process = fork()) < 0) {
        fail("fork");
    }
    if (owner_process == 0) {
        take(heirs[1].mutex);
        for (;;) {
            pause();
        }
    }
    start(own_and_die, heirs[0].mutex);
    for (int i = 0; i < HEIRS; i++) {
        if (read(owned[0], &byte, 1) != 1) {
            fail("read");
        }
    }
    for (int i = 0; i < HEIRS; i++) {
        start(inherit, &heirs[i]);
    }
}

void let_owners_die(void) {
    int status;
    __atomic_store_n(&may_die, 1, __ATOMIC_SEQ_CST);
    futex(&may_die, FUTEX_WAKE, 1, NULL);
    if (owner_process > 1) {
        kill(owner_process, SIGKILL);
        if (waitpid(owner_process, &status, 0) != owner_process || WTERMSIG(status) != SIGKILL) {
            complain("waitpid of the owner: not a killed child");
        }
        owner_process = 0;
    }
    wake_forever();
    for (int waited = 0; waited < PATIENCE_MILLIS; waited += 10) {
        if (heirs[0].state != HELD && heirs[1].state != HELD && strcmp(forever, "woken") == 0) {
            return;
        }
        sleep_millis(10);
    }
    complain("not every waiter went on after the owners died");
}
