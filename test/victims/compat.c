// A 32-bit program that counts for ever. No libc: a machine need not have a 32-bit one.
// Prints "ready", then "tick" fifty times a second, "wrong" when a sleep did not end by itself.
#define SYS_WRITE 4
#define SYS_NANOSLEEP 162

struct old_timespec {
    int seconds, nanos;
};

static int call(int nr, int a, const void *b, int c) {
    int answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
    return answer;
}

void _start(void) {
    const struct old_timespec pause = {0, 20000000};
    call(SYS_WRITE, 1, "ready\n", 6);
    for (;;) {
        if (call(SYS_NANOSLEEP, (int)&pause, 0, 0)) call(SYS_WRITE, 1, "wrong\n", 6);
        call(SYS_WRITE, 1, "tick\n", 5);
    }
}
