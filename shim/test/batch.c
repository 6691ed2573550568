// Native tests: how a batch runs, and the engine's own system call stub.
#define _GNU_SOURCE
#include "blob.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNTOUCHED 0x5a5a

void test_references(const struct blob *blob) {
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "abcdefgh", 8) == 8);
    struct op ops[] = {
        {.nr = SYS_getpid},
        {.nr = SYS_mmap,
         .a = {0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
        // The second page again, by its address; then reads to 100 bytes after and 4 before a
        // result.
        {.nr = SYS_mmap,
         .a = {PAGE << 16 | 1, PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0},
         .refs = 1u << 0},
        {.nr = SYS_read, .a = {ends[0], 100 << 16 | 1, 4}, .refs = 1u << 1},
        {.nr = SYS_read, .a = {ends[0], -4 * 65536 + 2, 4}, .refs = 1u << 1},
        {.nr = SYS_dup2, .a = {3, 200 << 16 | 3}, .refs = 1u << 0 | 1u << 1},
    };
    ops[5].a[0] =
        (int64_t)((uint64_t)ends[1] << 16) - 4 * 65536 + 3; // ends[1], counted from a result of 4
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == COUNT(ops));
    CHECK(ops[0].ret == getpid());
    CHECK(ops[2].ret == ops[1].ret + PAGE);
    CHECK(ops[3].ret == 4 && ops[4].ret == 4);
    CHECK(memcmp((const char *)ops[1].ret + 100, "abcd", 4) == 0);
    CHECK(memcmp((const char *)ops[2].ret - 4, "efgh", 4) == 0);
    CHECK(ops[5].ret == 204 && fcntl(204, F_GETFD) == 0);
}

void test_load(const struct blob *blob) {
    int ends[2] = {-1, -1};
    struct op ops[] = {
        {.nr = SYS_pipe2, .a = {(intptr_t)ends, O_CLOEXEC}, .flags = OP_STOP_ON_ERROR},
        {.nr = CALL_LOAD, .a = {(intptr_t)&ends[0]}},
        {.nr = CALL_LOAD, .a = {(intptr_t)&ends[1]}},
        // The will: both are known by what was loaded.
        {.nr = SYS_close, .a = {1}, .refs = 1u << 0},
        {.nr = SYS_close, .a = {2}, .refs = 1u << 0},
    };
    CHECK(run_batch(blob, ops, 3, 2) == COUNT(ops));
    CHECK(ends[0] >= 0 && ops[1].ret == ends[0] && ops[2].ret == ends[1]);
    CHECK(ops[3].ret == 0 && ops[4].ret == 0);
    CHECK(fcntl(ends[0], F_GETFD) == -1 && fcntl(ends[1], F_GETFD) == -1);
    const int32_t negative = -5;
    struct op alone[] = {{.nr = CALL_LOAD, .a = {(intptr_t)&negative}}};
    CHECK(run_batch(blob, alone, 1, 0) == 1 && alone[0].ret == -5);
}

void test_stop_on_error(const struct blob *blob) {
    struct op ops[] = {
        {.nr = SYS_close, .a = {-1}},
        {.nr = SYS_close, .a = {-1}, .flags = OP_STOP_ON_ERROR},
        {.nr = SYS_getpid, .ret = UNTOUCHED},
    };
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == 2);
    CHECK(ops[0].ret == -EBADF && ops[1].ret == -EBADF && ops[2].ret == UNTOUCHED);
    // An address of the upper half of the range is a result, not an error.
    ops[1] = (struct op){.nr = SYS_getppid, .flags = OP_STOP_ON_ERROR};
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == 3);
    CHECK(ops[2].ret == getpid());
    CHECK(run_batch(blob, ops, 0, 0) == 0);
}

void test_fork_guard(const struct blob *blob) {
    struct op ops[] = {
        {.nr = SYS_clone, .a = {SIGCHLD}, .flags = OP_FORK_GUARD},
        {.nr = SYS_getpid},
    };
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == 2);
    CHECK(ops[0].ret > 0 && ops[1].ret == getpid());
    int status = -1;
    CHECK(waitpid((pid_t)ops[0].ret, &status, 0) == ops[0].ret);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void test_will(const struct blob *blob) {
    struct op ops[] = {
        {.nr = SYS_close, .a = {-1}, .flags = OP_STOP_ON_ERROR},
        {.nr = SYS_getpid, .ret = UNTOUCHED},
        {.nr = SYS_gettid},
    };
    // A batch that stopped early still leaves its will.
    CHECK(run_batch(blob, ops, 2, 1) == 3);
    CHECK(ops[1].ret == UNTOUCHED && ops[2].ret == gettid());

    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct op last[] = {{.nr = SYS_getpid}, {.nr = SYS_exit_group, .a = {7}}};
        run_batch(blob, last, 1, 1);
        _exit(1); // would be an application that lives twice
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

void test_raw_syscall(const struct blob *blob) {
    const int64_t anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    CHECK(blob->raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) == getpid());
    CHECK(blob->raw_syscall(SYS_close, -1, 0, 0, 0, 0, 0) == -EBADF);
    const int64_t at = blob->raw_syscall(SYS_mmap, 0, PAGE, PROT_READ, anonymous, -1, 0);
    CHECK(at > 0 && *(const char *)at == 0);
    // All six arguments count: the offset of a file mapping is the sixth.
    const int file = memfd_create("pages", MFD_CLOEXEC);
    CHECK(ftruncate(file, 2 * PAGE) == 0 && pwrite(file, "second", 6, PAGE) == 6);
    const int64_t second = blob->raw_syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    CHECK(second > 0 && memcmp((const char *)second, "second", 6) == 0);
}
