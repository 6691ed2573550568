// Stopped children of many kinds, and what their parent hears of them: the signal that stopped each, once, and signals that
// wait until they go on. SIGUSR1 looks at them and lets all go on; SIGTERM prints the verdict.
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

static const struct {
    const char *name;
    // how it is stopped, whether its parent has heard it, and what was sent to it since
    int by, heard, pending, threads, stops_itself;
    // what ends it when it goes on
    int ends_by;
} kinds[] = {
    {"SIGSTOP", SIGSTOP, 0, 0, 1, 0, 0},
    {"SIGTSTP", SIGTSTP, 0, 0, 1, 0, 0},
    {"SIGTTIN", SIGTTIN, 0, 0, 3, 0, 0},
    {"SIGTTOU, heard", SIGTTOU, 1, 0, 1, 0, 0},
    {"SIGSTOP, heard", SIGSTOP, 1, 0, 3, 0, 0},
    {"handler that stops", SIGSTOP, 0, 0, 1, 1, 0},
    {"with a deadly signal", SIGTSTP, 0, SIGTERM, 1, 0, SIGTERM},
    {"with a deadly signal, heard", SIGSTOP, 1, SIGTERM, 3, 0, SIGTERM},
    {"with a signal for its handler", SIGSTOP, 0, SIGUSR2, 1, 0, 0},
};
#define KINDS (int)(sizeof kinds / sizeof *kinds)
static pid_t children[KINDS];
static int wrong;
static volatile sig_atomic_t told;
static struct {
    volatile int ready, handled;
    volatile unsigned long ticks;
} *shared;

static void expect(const char *what, const char *of, long got, long want) {
    if (got == want) return;
    wrong++;
    printf("WRONG %s, %s: %ld, not %ld\n", of, what, got, want);
    fflush(stdout);
}

static void hear(int signal) {
    (void)signal;
    told++;
}

static int own;
static void handle(int signal) {
    (void)signal;
    shared[own].handled++;
}

static void stop_by_hand(int signal) {
    (void)signal;
    kill(getpid(), SIGSTOP);
}

static void *idle(void *unused) {
    (void)unused;
    while (pause()) continue;
    return NULL;
}

static void be_child(int index) {
    own = index;
    sigset_t none;
    sigemptyset(&none);
    signal(SIGUSR2, handle);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (kinds[index].stops_itself) signal(SIGTSTP, stop_by_hand);
    sigprocmask(SIG_SETMASK, &none, NULL);
    pthread_t t;
    for (int i = 1; i < kinds[index].threads; i++) pthread_create(&t, NULL, idle, NULL);
    for (shared[index].ready = 1;; shared[index].ticks++) usleep(1000);
}

static char state_of(pid_t pid) {
    char path[64], text[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return '?';
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    const char *end = strrchr(text, ')');
    return end ? end[2] : '?';
}

static void await_stop(int index) {
    for (int i = 0; i < 5000 && state_of(children[index]) != 'T'; i++) usleep(1000);
    expect("stopped", kinds[index].name, state_of(children[index]), 'T');
}

static void start(int index) {
    children[index] = fork();
    if (children[index] == 0) {
        // In a group of its own whose parent is of the same session: terminals stop such ones.
        setpgid(0, 0);
        be_child(index);
    }
    while (!shared[index].ready) usleep(1000);
    kill(children[index], kinds[index].stops_itself ? SIGTSTP : kinds[index].by);
    await_stop(index);
    if (kinds[index].heard) {
        int status = 0;
        expect("heard", kinds[index].name, waitpid(children[index], &status, WUNTRACED), children[index]);
    }
    if (kinds[index].pending) kill(children[index], kinds[index].pending);
}

static void look(int index) {
    const char *name = kinds[index].name;
    int status = 0;
    const pid_t pid = children[index];
    expect("still stopped", name, state_of(pid), 'T');
    const pid_t answer = waitpid(pid, &status, WUNTRACED | WNOHANG);
    expect("to be heard", name, answer, kinds[index].heard ? 0 : pid);
    if (answer > 0) expect("stopped by", name, WIFSTOPPED(status) ? WSTOPSIG(status) : -status, kinds[index].by);
    expect("to be heard again", name, waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
    expect("handled", name, shared[index].handled, 0);
    const unsigned long ticks = shared[index].ticks;
    usleep(5000);
    expect("ticks", name, (long)(shared[index].ticks - ticks), 0);
}

static void go_on(int index) {
    const char *name = kinds[index].name;
    const unsigned long ticks = shared[index].ticks;
    int status = 0;
    kill(children[index], SIGCONT);
    if (kinds[index].ends_by) {
        expect("end", name, waitpid(children[index], &status, 0), children[index]);
        expect("ended by", name, WIFSIGNALED(status) ? WTERMSIG(status) : -status, kinds[index].ends_by);
        return;
    }
    for (int i = 0; i < 5000 && shared[index].ticks < ticks + 3; i++) usleep(1000);
    expect("goes on", name, shared[index].ticks > ticks, 1);
    expect("handled", name, shared[index].handled, kinds[index].pending == SIGUSR2);
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 1;
    signal(SIGCHLD, hear);
    for (int i = 0; i < KINDS; i++) start(i);
    const int before = told;
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        if (signal == SIGTERM) break;
        expect("signals of its children", "parent", told, before);
        for (int i = 0; i < KINDS; i++) look(i);
        for (int i = 0; i < KINDS; i++) go_on(i);
        printf("looked\n");
        fflush(stdout);
    }
    for (int i = 0; i < KINDS; i++) kill(children[i], SIGKILL);
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
