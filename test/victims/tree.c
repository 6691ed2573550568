// A process tree: groups, sessions, threads, zombies, a stopped process. SIGUSR1 makes the root print who everybody is,
// SIGTERM ends the tree: every process checks how its own children ended and the root prints the verdict.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum member { ROOT, GROUP, GRANDCHILD, SESSION, IN_SESSION, JOINED, STOPPED, ZOMBIE, KILLED, MEMBERS };
static const char *const names[] = {"root",   "group",   "grandchild", "session", "in-session",
                                    "joined", "stopped", "zombie",     "killed"};
#define ZOMBIE_STATUS 200
#define EXIT_STATUS 10 // plus the member's number

static struct shared {
    volatile int pid[MEMBERS], parent[MEMBERS], ready;
    volatile unsigned long ticks[MEMBERS], thread_ticks[MEMBERS];
    volatile int wrong;
} *shared;
static volatile sig_atomic_t ending;

static void expect(const char *what, long got, long want) {
    if (got == want) return;
    __atomic_fetch_add(&shared->wrong, 1, __ATOMIC_SEQ_CST);
    printf("WRONG %s: %ld, errno %d\n", what, got, errno);
    fflush(stdout);
}

static void on_term(int signal) {
    (void)signal;
    ending = 1;
}

static void *tick(void *member) {
    for (;;) {
        expect("usleep in a thread", usleep(500), 0);
        shared->thread_ticks[(long)member]++;
    }
    return NULL;
}

static void work(enum member me) {
    shared->pid[me] = getpid();
    shared->parent[me] = getppid();
    __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
    while (!ending) {
        errno = 0;
        if (usleep(500) && !ending) expect("usleep", errno, 0);
        shared->parent[me] = getppid();
        shared->ticks[me]++;
    }
}

static int start(enum member me, void (*body)(enum member)) {
    fflush(stdout);
    const int pid = fork();
    if (pid < 0) exit(1);
    if (pid == 0) {
        body(me);
        _exit(EXIT_STATUS + (int)me);
    }
    shared->pid[me] = pid;
    return pid;
}

static void end(enum member child) {
    int status = 0;
    kill(shared->pid[child], SIGCONT);
    kill(shared->pid[child], SIGTERM);
    while (waitpid(shared->pid[child], &status, 0) < 0) expect("waitpid", errno, 0);
    expect(names[child], status, (EXIT_STATUS + (int)child) << 8);
}

static void parent_of_grandchild(enum member me) {
    setpgid(0, 0);
    start(GRANDCHILD, work);
    pthread_t t;
    for (int i = 0; i < 2; i++) pthread_create(&t, NULL, tick, (void *)(long)me);
    work(me);
    end(GRANDCHILD);
}

static void session(enum member me) {
    setsid();
    start(IN_SESSION, work);
    work(me);
    end(IN_SESSION);
}

static void join_group(enum member me) {
    while (setpgid(0, shared->pid[GROUP])) usleep(1000);
    work(me);
}

static void exit_at_once(enum member me) {
    (void)me;
    _exit(ZOMBIE_STATUS);
}

static void report(void) {
    static int reports;
    reports++;
    for (int m = ROOT; m < MEMBERS; m++) {
        const int pid = shared->pid[m];
        printf("report %d %s pid %d parent %d group %d session %d\n", reports, names[m], pid, shared->parent[m],
               getpgid(pid), getsid(pid));
    }
    printf("report %d ticks", reports);
    for (int m = ROOT; m < STOPPED; m++) printf(" %lu", shared->ticks[m]);
    printf(" %lu stopped %lu wrong %d\n", shared->thread_ticks[GROUP], shared->ticks[STOPPED], shared->wrong);
    fflush(stdout);
}

static void verdict(void) {
    int status = 0;
    static const enum member children[] = {JOINED, STOPPED, SESSION, GROUP};
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) end(children[i]);
    expect("zombie", waitpid(shared->pid[ZOMBIE], &status, 0), shared->pid[ZOMBIE]);
    expect("zombie's status", status, ZOMBIE_STATUS << 8);
    expect("killed", waitpid(shared->pid[KILLED], &status, 0), shared->pid[KILLED]);
    expect("killed one's status", status, SIGKILL);
    errno = 0;
    expect("another child", waitpid(-1, NULL, WNOHANG | __WALL), -1);
    expect("no other child", errno, ECHILD);
    printf("verdict wrong %d\n", shared->wrong);
    fflush(stdout);
}

int main(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    signal(SIGTERM, on_term);
    start(GROUP, parent_of_grandchild);
    start(SESSION, session);
    start(JOINED, join_group);
    start(STOPPED, work);
    siginfo_t dead;
    start(ZOMBIE, exit_at_once);
    waitid(P_PID, (id_t)shared->pid[ZOMBIE], &dead, WEXITED | WNOWAIT);
    start(KILLED, work);
    while (shared->ready < 7) usleep(1000);
    kill(shared->pid[KILLED], SIGKILL);
    waitid(P_PID, (id_t)shared->pid[KILLED], &dead, WEXITED | WNOWAIT);
    kill(shared->pid[STOPPED], SIGSTOP);
    waitid(P_PID, (id_t)shared->pid[STOPPED], &dead, WSTOPPED | WNOWAIT);
    sigprocmask(SIG_BLOCK, &set, &old);
    shared->pid[ROOT] = getpid();
    printf("ready\n");
    fflush(stdout);
    for (const struct timespec pause = {0, 500000};;) {
        const int signal = sigtimedwait(&set, NULL, &pause);
        shared->parent[ROOT] = getppid();
        shared->ticks[ROOT]++;
        if (signal == SIGUSR1) report();
        if (signal == SIGTERM) break;
    }
    verdict();
    return shared->wrong != 0;
}
