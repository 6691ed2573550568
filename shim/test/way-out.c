// Native tests: a thread whose engine is gone becomes the application's again, exactly.
#define _GNU_SOURCE
#include "blob.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// CF, PF, AF, ZF, SF, IF, DF, OF and the bit that is always 1.
#define ALL_FLAGS 0xed7u
#define ONLY_STATUS_FLAGS 0xfffu

static struct control patterned(struct op *ops, uint32_t n, uint64_t rsp) {
    struct control control = {.n = n, .pid = getpid(), .tid = gettid(), .sig = SIGURG};
    uint64_t *const first = &control.r15;
    for (uint64_t i = 0; i < 15; i++) {
        first[i] = UINT64_C(0xa5c3000000000000) + i * UINT64_C(0x0101010101);
    }
    control.flags = ALL_FLAGS;
    control.rsp = rsp;
    control.ops = (uintptr_t)ops;
    return control;
}

static void check_registers(const struct control *control, const struct registers *landed) {
    CHECK(memcmp(&control->r15, landed, 15 * sizeof(uint64_t)) == 0);
    CHECK((landed->flags & ONLY_STATUS_FLAGS) == ALL_FLAGS);
    CHECK(landed->rsp == control->rsp);
}

static void *borrow_this_thread(void *argument) {
    const struct blob *const blob = argument;
    const uint64_t stack = (uintptr_t)map_pages(4) + 2 * PAGE;
    struct op ops[] = {{.nr = SYS_getpid}, {.nr = SYS_gettid}};
    struct control control = patterned(ops, COUNT(ops), stack);
    control.mask = UINT64_C(1) << (SIGUSR2 - 1);
    struct registers landed;
    char vector[16] = "sixteen bytes..", after[16];
    __asm__ volatile("movdqu %0, %%xmm13" ::"m"(vector) : "xmm13");
    round_trip(blob, &control, &landed);
    __asm__ volatile("movdqu %%xmm13, %0" : "=m"(after)::"memory");
    check_registers(&control, &landed);
    CHECK(memcmp(vector, after, sizeof(vector)) == 0);
    CHECK(control.done == 2 && ops[0].ret == getpid() && ops[1].ret == gettid());
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    CHECK(memcmp(&mask, &control.mask, sizeof(control.mask)) == 0);
    return NULL;
}

void test_registers(const struct blob *blob) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, borrow_this_thread, (void *)(uintptr_t)blob) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static uintptr_t handler_stack;

static void note_stack(int signal) {
    (void)signal;
    const char here = 0;
    handler_stack = (uintptr_t)&here;
}

// Comes back to `rsp` with SIGUSR1 pending: its handler must run on that stack, below what is in
// use there.
static void come_back_with_signal(const struct blob *blob, int flags, uint64_t rsp) {
    const struct sigaction action = {.sa_handler = note_stack, .sa_flags = flags};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGUSR1) == 0);
    struct control control = patterned(NULL, 0, rsp);
    struct registers landed;
    round_trip(blob, &control, &landed);
    check_registers(&control, &landed);
    CHECK(handler_stack < rsp && handler_stack > rsp - 8 * PAGE);
}

void test_pending_signal(const struct blob *blob) {
    come_back_with_signal(blob, 0, (uintptr_t)map_pages(16) + 15 * PAGE);
}

// The application was stopped inside a handler on its alternate stack. The kernel starts a further
// frame at that stack's top, over the live ones, unless it finds the thread's stack pointer there.
void test_alternate_stack(const struct blob *blob) {
    char *const memory = map_pages(16);
    const stack_t alternate = {.ss_sp = memory, .ss_size = 16 * PAGE};
    CHECK(sigaltstack(&alternate, NULL) == 0);
    come_back_with_signal(blob, SA_ONSTACK, (uintptr_t)memory + 12 * PAGE);
}

// The engine died before it could block the application's signals: the interpreter does, and what
// comes meanwhile is handled on the application's stack when the batch is done.
void test_own_mask(const struct blob *blob) {
    const struct sigaction action = {.sa_handler = note_stack};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    const uint64_t rsp = (uintptr_t)map_pages(16) + 15 * PAGE;
    struct op ops[] = {{.nr = SYS_tgkill, .a = {getpid(), gettid(), SIGUSR1}}, {.nr = SYS_getpid}};
    struct control control = patterned(ops, COUNT(ops), rsp);
    struct registers landed;
    round_trip(blob, &control, &landed);
    check_registers(&control, &landed);
    CHECK(control.done == 2 && ops[1].ret == getpid());
    CHECK(handler_stack < rsp && handler_stack > rsp - 8 * PAGE);
}

// With a tracer the batch ends in a stop that only the tracer sees, whatever it has done until
// then.
void test_traced(const struct blob *blob) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct op op = {.nr = SYS_getpid};
        raise(SIGSTOP);
        CHECK(run_batch(blob, &op, 1, 0) == 1);
        CHECK(op.ret == getpid());
        _exit(3);
    }
    int status = -1;
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SEIZE, child, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL) == 0);
    CHECK(kill(child, SIGCONT) == 0);
    do {
        CHECK(waitpid(child, &status, __WALL) == child && WIFSTOPPED(status));
        if (WSTOPSIG(status) != SIGURG) {
            CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
        }
    } while (WSTOPSIG(status) != SIGURG);
    // Every call has returned by then: a shadow stack would be as the application left it.
    struct user_regs_struct stopped;
    CHECK(ptrace(PTRACE_GETREGS, child, NULL, &stopped) == 0);
    // On the application's stack, below the frame of this function or in it.
    CHECK(stopped.rsp - (uintptr_t)&status < PAGE || (uintptr_t)&status - stopped.rsp < PAGE);
    CHECK(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}
