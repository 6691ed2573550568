// Does ordinary things for ever and notices every change that nobody asked for: in registers, in memory, in what system
// calls answer, in signals, in children.
// usage: steady MODE, what becomes of signals: plain | caught (SIGTRAP, SIGURG) | ignored (all) | blocked (all)
// SIGUSR1 prints "report N wrong W ticks ...", SIGTERM too, and ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
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

#define WORKERS 4
#define PAGES 1024
#define SPINS 60000ul
#define MAX_LINES 20

static volatile unsigned long ticks[WORKERS];
static volatile int wrong;
static int pipe_fds[2];

static void complain(const char *what, long got) {
    if (__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST) >= MAX_LINES) return;
    char line[200];
    const int length = snprintf(line, sizeof line, "WRONG %s: %ld, errno %d\n", what, got, errno);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(3);
}

static void expect(const char *what, long got, long want) {
    if (got != want) complain(what, got);
}

// What a thread has in its registers and in the 128 bytes below its stack pointer while it spins.
struct cpu {
    uint8_t vectors[32][64];
    uint64_t masks[8];
    uint64_t general[14]; // rax rbx rdx rsi rdi rbp r8-r15
    uint64_t flags;
    uint64_t red_zone[16];
    uint32_t mxcsr;
    uint16_t fpu_control;
    uint8_t fpu_top[10];
};
_Static_assert(__builtin_offsetof(struct cpu, masks) == 2048, "masks");
_Static_assert(__builtin_offsetof(struct cpu, general) == 2112, "general");
_Static_assert(__builtin_offsetof(struct cpu, flags) == 2224, "flags");
_Static_assert(__builtin_offsetof(struct cpu, red_zone) == 2232, "red_zone");
_Static_assert(__builtin_offsetof(struct cpu, mxcsr) == 2360, "mxcsr");

void spin(struct cpu *cpu, unsigned long loops, int with_avx512);
// Loads everything from *cpu, counts down without touching flags, stores everything to *cpu.
__asm__(".text\n.globl spin\nspin:\n"
        "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "push %rdx\npush %rdi\n"
        "mov %rsi, %rcx\n"
        "ldmxcsr 2360(%rdi)\nfninit\nfldcw 2364(%rdi)\nfldpi\n"
        "test %edx, %edx\njz 2f\n"
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "vmovdqu64 64*\\i(%rdi), %zmm\\i\n.endr\n"
        ".irp i,1,2,3,4,5,6,7\nkmovw 2048+8*\\i(%rdi), %k\\i\n.endr\n"
        "jmp 3f\n2:\n"
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nmovdqu 64*\\i(%rdi), %xmm\\i\n.endr\n"
        "3:\n"
        "pushq 2224(%rdi)\npopfq\n"
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "mov 2232+8*\\i(%rdi), %rax\nmov %rax, -128+8*\\i(%rsp)\n.endr\n"
        "mov 2112(%rdi), %rax\nmov 2120(%rdi), %rbx\nmov 2128(%rdi), %rdx\nmov 2136(%rdi), %rsi\n"
        "mov 2152(%rdi), %rbp\nmov 2160(%rdi), %r8\nmov 2168(%rdi), %r9\nmov 2176(%rdi), %r10\n"
        "mov 2184(%rdi), %r11\nmov 2192(%rdi), %r12\nmov 2200(%rdi), %r13\nmov 2208(%rdi), %r14\n"
        "mov 2216(%rdi), %r15\nmov 2144(%rdi), %rdi\n"
        "1: loop 1b\n"
        "mov %rdi, %rcx\nmov (%rsp), %rdi\n"
        "mov %rcx, 2144(%rdi)\nmov %rax, 2112(%rdi)\nmov %rbx, 2120(%rdi)\nmov %rdx, 2128(%rdi)\n"
        "mov %rsi, 2136(%rdi)\nmov %rbp, 2152(%rdi)\nmov %r8, 2160(%rdi)\nmov %r9, 2168(%rdi)\n"
        "mov %r10, 2176(%rdi)\nmov %r11, 2184(%rdi)\nmov %r12, 2192(%rdi)\nmov %r13, 2200(%rdi)\n"
        "mov %r14, 2208(%rdi)\nmov %r15, 2216(%rdi)\n"
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "mov -128+8*\\i(%rsp), %rax\nmov %rax, 2232+8*\\i(%rdi)\n.endr\n"
        "pushfq\npopq 2224(%rdi)\ncld\n"
        "mov 8(%rsp), %rdx\ntest %edx, %edx\njz 2f\n"
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "vmovdqu64 %zmm\\i, 64*\\i(%rdi)\n.endr\n"
        ".irp i,1,2,3,4,5,6,7\nkmovw %k\\i, 2048+8*\\i(%rdi)\n.endr\n"
        "vzeroupper\njmp 3f\n2:\n"
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nmovdqu %xmm\\i, 64*\\i(%rdi)\n.endr\n"
        "3:\n"
        "stmxcsr 2360(%rdi)\nfnstcw 2364(%rdi)\nfstpt 2366(%rdi)\nfninit\n"
        "movl $0x1f80, -4(%rsp)\nldmxcsr -4(%rsp)\n"
        "pop %rdi\npop %rdx\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n");

// As fldpi gives it when it rounds towards zero.
static const uint8_t pi[10] = {0x34, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40};

static void check_registers(unsigned seed) {
    struct cpu want;
    memset(&want, 0, sizeof want);
    uint64_t x = 88172645463325252ul + seed;
    for (size_t i = 0; i + 8 <= sizeof want; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy((char *)&want + i, &x, 8);
    }
    for (int i = 0; i < 8; i++) want.masks[i] &= 0xffff;
    want.flags = 0x200ed7; // identification, interrupts, overflow, direction, sign, zero, adjust, parity, carry
    want.mxcsr = 0x7fbf;   // round to zero, all exceptions masked, some seen
    want.fpu_control = 0x0f7f;
    memcpy(want.fpu_top, pi, sizeof pi);
    struct cpu got = want;
    const int with_avx512 = __builtin_cpu_supports("avx512f") != 0;
    spin(&got, SPINS, with_avx512);
    expect("vector registers", memcmp(want.vectors, got.vectors, sizeof want.vectors), 0);
    expect("mask registers", memcmp(want.masks, got.masks, sizeof want.masks), 0);
    expect("general registers", memcmp(want.general, got.general, sizeof want.general), 0);
    expect("flags", (long)got.flags, (long)want.flags);
    expect("red zone", memcmp(want.red_zone, got.red_zone, sizeof want.red_zone), 0);
    expect("mxcsr", got.mxcsr, want.mxcsr);
    expect("x87 control", got.fpu_control, want.fpu_control);
    expect("x87 stack", memcmp(want.fpu_top, got.fpu_top, sizeof pi), 0);
}

static void block_in_some_call(unsigned which) {
    const struct timespec milli = {0, 1000000};
    static unsigned expected;
    unsigned got = 0;
    int word = 0;
    switch (which % 5) {
    case 0: expect("nanosleep", syscall(SYS_nanosleep, &milli, NULL), 0); break;
    case 1: expect("poll", poll(NULL, 0, 1), 0); break;
    case 2:
        expect("futex", syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &milli, NULL, 0), -1);
        expect("futex error", errno, ETIMEDOUT);
        break;
    case 3:
        expect("pipe read", read(pipe_fds[0], &got, sizeof got), sizeof got);
        expect("pipe content", got, expected++);
        break;
    default:
        expect("getpid", syscall(SYS_getpid), getpid());
        errno = 0;
        expect("waitpid", waitpid(-1, NULL, WNOHANG), -1);
        expect("waitpid error", errno, ECHILD);
    }
}

static void *spin_and_block(void *unused) {
    (void)unused;
    for (unsigned i = 0;; i++) {
        check_registers(i);
        block_in_some_call(i);
        ticks[0]++;
    }
    return NULL;
}

static void *spin_only(void *unused) {
    (void)unused;
    for (unsigned i = 0;; i++) {
        check_registers(~i);
        expect("usleep", usleep(2000), 0);
        ticks[1]++;
    }
    return NULL;
}

static void *feed_pipe(void *unused) {
    (void)unused;
    for (unsigned i = 0;; i++) {
        expect("pipe write", write(pipe_fds[1], &i, sizeof i), sizeof i);
        expect("usleep", usleep(500), 0);
        ticks[2]++;
    }
    return NULL;
}

// Every page is written again and again: copies are made while a snapshot lives, and each must have the right content.
static void *write_pages(void *unused) {
    (void)unused;
    uint64_t *memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t pass = 0;; pass++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            uint64_t *word = memory + page * 512 + pass % 512;
            if (pass >= 512 && *word != (pass - 512) * PAGES + page) complain("page", (long)page);
            *word = pass * PAGES + page;
        }
        expect("usleep", usleep(1000), 0);
        ticks[3]++;
    }
    return NULL;
}

static void unexpected(int signal) { complain("signal", signal); }

static void set_signals(const char *mode) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    if (!strcmp(mode, "blocked")) sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 1; i < 65; i++)
        if (!strcmp(mode, "ignored")) signal(i, SIG_IGN);
    if (strcmp(mode, "ignored")) signal(SIGCHLD, unexpected);
    if (strcmp(mode, "caught")) return;
    signal(SIGTRAP, unexpected);
    signal(SIGURG, unexpected);
}

static void *answer(void *unused) {
    (void)unused;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        printf("report %d wrong %d ticks %lu %lu %lu %lu\n", reports, wrong, ticks[0], ticks[1], ticks[2], ticks[3]);
        fflush(stdout);
        if (signal == SIGTERM) _exit(wrong != 0);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    set_signals(argv[1]);
    if (pipe2(pipe_fds, O_CLOEXEC)) return 1;
    pthread_t t;
    void *(*const bodies[])(void *) = {spin_only, feed_pipe, write_pages, answer};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (pthread_create(&t, NULL, bodies[i], NULL)) return 1;
    printf("ready\n");
    fflush(stdout);
    spin_and_block(NULL);
}
