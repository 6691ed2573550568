// Runs one native test case of the blob: harness BLOB RAW_SYSCALL_OFFSET SPAWN_OFFSET CASE. Exit
// code 0: it holds.
#define _GNU_SOURCE
#include "blob.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void enter_blob(struct control *control, void *entry);
void enter_and_land(struct control *control, void *entry, struct registers *landed);

// No test waits for ever, whatever the blob does.
#define LIMIT_SECONDS 60
#define STACK_BYTES (4 * PAGE)

static const struct {
    const char *name;
    test_case *run;
} cases[] = {
    {"references", test_references},
    {"load", test_load},
    {"stop-on-error", test_stop_on_error},
    {"fork-guard", test_fork_guard},
    {"will", test_will},
    {"raw-syscall", test_raw_syscall},
    {"pump", test_pump},
    {"pump-drop", test_pump_drop},
    {"pump-unreadable", test_pump_unreadable},
    {"pump-no-reader", test_pump_no_reader},
    {"pump-busy", test_pump_busy},
    {"zero-scan", test_zero_scan},
    {"registers", test_registers},
    {"pending-signal", test_pending_signal},
    {"alternate-stack", test_alternate_stack},
    {"own-mask", test_own_mask},
    {"traced", test_traced},
    {"spawn", test_spawn},
    {"spawn-failure", test_spawn_failure},
};

void check(bool holds, const char *file, int line, const char *text) {
    if (!holds) {
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
        exit(1);
    }
}

char *map_pages(uint64_t pages) {
    char *start =
        mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(start != MAP_FAILED);
    return start;
}

struct blob load_blob(const char *path, const char *raw_syscall_offset, const char *spawn_offset) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    char *code = map_pages(1);
    CHECK(read(file, code, PAGE) > 0);
    close(file);
    CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
    struct blob blob = {.entry = code, .stack_top = map_pages(STACK_BYTES / PAGE) + STACK_BYTES};
    const uintptr_t raw_syscall = (uintptr_t)code + strtoul(raw_syscall_offset, NULL, 10);
    const uintptr_t spawn_at = (uintptr_t)code + strtoul(spawn_offset, NULL, 10);
    memcpy(&blob.raw_syscall, &raw_syscall, sizeof(raw_syscall));
    memcpy(&blob.spawn, &spawn_at, sizeof(spawn_at));
    return blob;
}

// What the engine gives every control block: a stack of the interpreter's own, all signals quiet but the last.
static void prepare(const struct blob *blob, struct control *control) {
    sigset_t quiet;
    sigfillset(&quiet);
    sigdelset(&quiet, (int)control->sig);
    memcpy(&control->quiet, &quiet, sizeof(control->quiet));
    control->stack = (uintptr_t)blob->stack_top;
}

uint32_t run_batch(const struct blob *blob, struct op *ops, uint32_t n, uint32_t will) {
    struct control control = {.n = n, .pid = getpid(), .tid = gettid(), .sig = SIGURG};
    control.ops = (uintptr_t)ops;
    control.will = will;
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGURG);
    CHECK(sigprocmask(SIG_SETMASK, &all, &before) == 0);
    memcpy(&control.mask, &before, sizeof(control.mask));
    prepare(blob, &control);
    enter_blob(&control, blob->entry);
    return control.done;
}

void round_trip(const struct blob *blob, struct control *control, struct registers *landed) {
    prepare(blob, control);
    enter_and_land(control, blob->entry, landed);
}

int main(int argc, char **argv) {
    CHECK(argc == 5);
    alarm(LIMIT_SECONDS);
    const struct blob blob = load_blob(argv[1], argv[2], argv[3]);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (strcmp(cases[i].name, argv[4]) == 0) {
            cases[i].run(&blob);
            return 0;
        }
    }
    fprintf(stderr, "no test case %s\n", argv[4]);
    return 2;
}
