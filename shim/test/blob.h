// For the native tests: the built blob in executable memory, and ways to run it without a tracer.
#ifndef DIAPAUSE_TEST_BLOB_H
#define DIAPAUSE_TEST_BLOB_H

#include "../protocol.h"

#include <stdbool.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE 4096u

/** Ends the program with a message if a condition does not hold. */
#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
void check(bool holds, const char *file, int line, const char *text);

/** What load_blob found. `stack_top` belongs to the calling program's only interpreter at a time.
 */
struct blob {
    char *entry;
    char *stack_top;
    int64_t (*raw_syscall)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
    int64_t (*spawn)(const struct spawn_request *);
};

struct blob load_blob(const char *path, const char *raw_syscall_offset, const char *spawn_offset);

/** The pages of one anonymous mapping, zeroed. */
char *map_pages(uint64_t pages);

/** Every general register, flags and stack pointer, in the order of the control block. */
struct registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t flags, rsp;
};

/**
 * Runs a batch in the calling thread. Nobody traces it, so it comes back by the orphan path.
 *
 * All signals are blocked meanwhile, as the engine does it; `will` operations follow the batch.
 * @return operations done
 */
uint32_t run_batch(const struct blob *blob, struct op *ops, uint32_t n, uint32_t will);

/**
 * The same with registers, mask and stack pointer of the caller's choice to come back to.
 *
 * @param control all fields but rip
 * @param landed receives the registers as they were at the instruction the thread came back to
 */
void round_trip(const struct blob *blob, struct control *control, struct registers *landed);

/** One test case; ends the program if it fails. */
typedef void test_case(const struct blob *blob);
test_case test_references, test_load, test_stop_on_error, test_fork_guard, test_will, test_raw_syscall;
test_case test_pump, test_pump_drop, test_pump_unreadable, test_pump_no_reader, test_pump_busy;
test_case test_zero_scan;
test_case test_registers, test_pending_signal, test_alternate_stack, test_own_mask, test_traced;
test_case test_spawn, test_spawn_failure;

#endif
