// Signals that wait, for the process and for one thread, with everything that came along with them.
// SIGTERM makes it take them all: order, code, value and sender must be as they were sent; the verdict ends it.
// usage: pending [trap]: with a SIGTRAP, too, which debuggers use
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALUES 20
#define CHILD_STATUS 7

static int wrong, child, trap;
static volatile int thread_id, take;
static sigset_t all;

static void expect(const char *what, long got, long want) {
    if (got == want) return;
    wrong++;
    printf("WRONG %s: %ld, not %ld\n", what, got, want);
}

static void next(siginfo_t *info, const sigset_t *set, int signal, int code) {
    const struct timespec none = {0, 0};
    memset(info, 0, sizeof *info);
    // Not through the C library, which turns SI_TKILL into SI_USER.
    expect("signal", syscall(SYS_rt_sigtimedwait, set, info, &none, 8), signal);
    expect("code", info->si_code, code);
}

// One real-time signal after the other, each in the order of its own values.
static void take_queue(const sigset_t *set, int signal, int code, long bias) {
    siginfo_t info;
    for (long i = 0; i < VALUES; i++) {
        next(&info, set, signal, code);
        expect("value", (long)(intptr_t)info.si_value.sival_ptr, bias + i);
        expect("sender", info.si_pid, getpid());
        expect("user", info.si_uid, (long)getuid());
    }
}

static void queue_to_thread(int signal, long value) {
    siginfo_t info = {0};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(intptr_t)value;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), thread_id, signal, &info)) exit(1);
}

static void *own_queue(void *unused) {
    (void)unused;
    thread_id = (int)syscall(SYS_gettid);
    while (!take) usleep(1000);
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGRTMIN + 3);
    sigaddset(&mine, SIGWINCH);
    siginfo_t info;
    next(&info, &mine, SIGWINCH, SI_TKILL);
    take_queue(&mine, SIGRTMIN + 3, SI_QUEUE, 3000);
    return NULL;
}

static void fill(void) {
    for (long i = 0; i < VALUES; i++) {
        sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_ptr = (void *)(intptr_t)(2000 + i)});
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_ptr = (void *)(intptr_t)(1000 + i)});
        queue_to_thread(SIGRTMIN + 3, 3000 + i);
    }
    syscall(SYS_tgkill, getpid(), thread_id, SIGWINCH);
    kill(getpid(), SIGUSR2);
    if (trap) kill(getpid(), SIGTRAP);
    sigqueue(getpid(), SIGHUP, (union sigval){.sival_int = 77});
    if ((child = fork()) == 0) _exit(CHILD_STATUS);
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
}

static void take_all(void) {
    siginfo_t info;
    if (trap) {
        // The kernel hands out those that a fault may raise before all others.
        next(&info, &all, SIGTRAP, SI_USER);
        expect("sender", info.si_pid, getpid());
    }
    // Lowest number first: signal(7), real-time signals.
    next(&info, &all, SIGHUP, SI_QUEUE);
    expect("value", info.si_value.sival_int, 77);
    next(&info, &all, SIGUSR2, SI_USER);
    expect("sender", info.si_pid, getpid());
    next(&info, &all, SIGCHLD, CLD_EXITED);
    expect("child", info.si_pid, child);
    expect("child's status", info.si_status, CHILD_STATUS);
    take_queue(&all, SIGRTMIN + 1, SI_QUEUE, 1000);
    take_queue(&all, SIGRTMIN + 2, SI_QUEUE, 2000);
    const struct timespec none = {0, 0};
    expect("one more", sigtimedwait(&all, NULL, &none), -1);
    int status = 0;
    expect("waitpid", waitpid(child, &status, 0), child);
    expect("status", WEXITSTATUS(status), CHILD_STATUS);
}

int main(int argc, char **argv) {
    trap = argc > 1 && !strcmp(argv[1], "trap");
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    pthread_t t;
    if (pthread_create(&t, NULL, own_queue, NULL)) return 1;
    while (!thread_id) usleep(1000);
    fill();
    printf("ready\n");
    fflush(stdout);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    int signal;
    while (sigwait(&term, &signal)) continue;
    take_all();
    take = 1;
    pthread_join(t, NULL);
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
