// What prctl(2) and arch_prctl(2) set for a thread or a process, in another way in each of three threads. SIGUSR1 prints it
// as "report N NAME VALUE" lines and "report N end"; SIGTERM ends it. Two reports must be equal, line by line.
// usage: switches [confined|child]: as user 1000, without capabilities; as the child of a process that hands signals on
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3
#define USER 1000
#define SET_IO_FLUSHER 57
#define GET_IO_FLUSHER 58
#define ARCH_GET_CPUID 0x1011
#define ARCH_SET_CPUID 0x1012

static int reports;
static volatile int asked, answered, born;
static __thread sigjmp_buf denied;

static void may(int index, const char *what, long result) {
    if (result < 0) printf("not possible here: thread %d %s: %s\n", index, what, strerror(errno));
}

static void say(int index, const char *name, long value) { printf("report %d %d %s %ld\n", reports, index, name, value); }

static void on_fault(int signal) {
    (void)signal;
    siglongjmp(denied, 1);
}

static int tsc_denied(void) {
    if (sigsetjmp(denied, 1)) return 1;
    __builtin_ia32_rdtsc();
    return 0;
}

static int cpuid_denied(void) {
    if (sigsetjmp(denied, 1)) return 1;
    unsigned a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return 0;
}

static void say_thread(int index) {
    char name[32] = "";
    int tsc = -1, death = -1;
    prctl(PR_GET_NAME, name);
    printf("report %d %d name %s\n", reports, index, name);
    prctl(PR_GET_TSC, &tsc);
    prctl(PR_GET_PDEATHSIG, &death);
    say(index, "tsc", tsc);
    say(index, "tsc denied", tsc_denied());
    say(index, "cpuid denied", cpuid_denied());
    say(index, "cpuid", syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
    say(index, "death signal", death);
    say(index, "timing", prctl(PR_GET_TIMING));
    say(index, "timer slack", prctl(PR_GET_TIMERSLACK));
    say(index, "machine checks", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
    say(index, "keep capabilities", prctl(PR_GET_KEEPCAPS));
    say(index, "no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    say(index, "securebits", prctl(PR_GET_SECUREBITS));
    say(index, "store bypass", prctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0));
    say(index, "indirect branch", prctl(PR_GET_SPECULATION_CTRL, 1, 0, 0, 0));
    say(index, "cache flush", prctl(PR_GET_SPECULATION_CTRL, 2, 0, 0, 0));
    say(index, "flusher", prctl(GET_IO_FLUSHER, 0, 0, 0, 0));
    int *tid_address = NULL;
    prctl(PR_GET_TID_ADDRESS, &tid_address);
    say(index, "id address", (long)tid_address);
    say(index, "thread id", syscall(SYS_gettid));
}

static void set_thread(int index) {
    char name[16];
    snprintf(name, sizeof name, "switches %d", index);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 100000 * (index + 1));
    may(index, "death signal", prctl(PR_SET_PDEATHSIG, SIGUSR2 + index));
    may(index, "keep capabilities", prctl(PR_SET_KEEPCAPS, index != 1));
    may(index, "machine checks", prctl(PR_MCE_KILL, 1, index, 0, 0));
    may(index, "flusher", index == 1 ? prctl(SET_IO_FLUSHER, 1, 0, 0, 0) : 0);
    const unsigned long bypass[THREADS] = {PR_SPEC_DISABLE, PR_SPEC_FORCE_DISABLE, PR_SPEC_DISABLE_NOEXEC};
    may(index, "store bypass", prctl(PR_SET_SPECULATION_CTRL, 0, bypass[index], 0, 0));
    may(index, "indirect branch", index == 0 ? 0 : prctl(PR_SET_SPECULATION_CTRL, 1, PR_SPEC_DISABLE, 0, 0));
    may(index, "cache flush", index == 2 ? prctl(PR_SET_SPECULATION_CTRL, 2, PR_SPEC_ENABLE, 0, 0) : 0);
    if (index == 2) may(index, "no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    // Last: the vDSO reads the time stamp counter.
    may(index, "cpuid", index == 1 ? syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) : 0);
    may(index, "tsc", index == 1 ? prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) : 0);
}

static void *thread(void *argument) {
    const int index = (int)(intptr_t)argument;
    set_thread(index);
    __atomic_fetch_add(&born, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        while (asked != index) usleep(1000);
        say_thread(index);
        answered = index;
        while (asked == index) usleep(1000);
    }
    return NULL;
}

static void say_process(void) {
    int subreaper = -1;
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
    say(0, "subreaper", subreaper);
    say(0, "dumpable", prctl(PR_GET_DUMPABLE));
    say(0, "huge pages off", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
}

static void report(void) {
    reports++;
    say_process();
    say_thread(0);
    for (int i = 1; i < THREADS; i++) {
        asked = i;
        while (answered != i) usleep(1000);
        asked = answered = 0;
    }
    printf("report %d end\n", reports);
    fflush(stdout);
}

static void be_parent(pid_t child, const sigset_t *set) {
    for (int signal; !sigwait(set, &signal);) {
        kill(child, signal);
        if (signal == SIGTERM) break;
    }
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGSEGV, on_fault);
    const pid_t child = argc > 1 && !strcmp(argv[1], "child") ? fork() : 0;
    if (child > 0) {
        be_parent(child, &set);
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "confined") &&
        (setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER)))
        return 1;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    set_thread(0);
    pthread_t t;
    for (long i = 1; i < THREADS; i++)
        if (pthread_create(&t, NULL, thread, (void *)i)) return 1;
    while (born < THREADS - 1) usleep(1000);
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        if (signal == SIGTERM) return 0;
        report();
    }
    return 1;
}
