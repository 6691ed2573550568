// What the engine and the injected interpreter tell each other: the memory layout both sides read
// and write. The only source of these numbers: layout.c prints them and generate.ts turns them into
// TypeScript.
#ifndef DIAPAUSE_PROTOCOL_H
#define DIAPAUSE_PROTOCOL_H

// Offsets that entry-x86-64.S needs as plain numbers; the assertions below tie them to the
// structures.
#define CONTROL_PID 8
#define CONTROL_TID 16
#define CONTROL_SIG 24
#define CONTROL_MASK 32
#define CONTROL_R15 40
#define CONTROL_R14 48
#define CONTROL_R13 56
#define CONTROL_R12 64
#define CONTROL_RBP 72
#define CONTROL_RBX 80
#define CONTROL_R11 88
#define CONTROL_R10 96
#define CONTROL_R9 104
#define CONTROL_R8 112
#define CONTROL_RAX 120
#define CONTROL_RCX 128
#define CONTROL_RDX 136
#define CONTROL_RSI 144
#define CONTROL_RDI 152
#define CONTROL_RIP 160
#define CONTROL_FLAGS 168
#define CONTROL_RSP 176
#define CONTROL_WAY_OUT 200
#define CONTROL_STACK 208
#define CONTROL_QUIET 216

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

// Flags of one operation. Stop: the batch ends here if the result is -errno. Fork guard: exit_group
// at once if the result is 0, so that an orphaned snapshot child only dies.
#define OP_STOP_ON_ERROR 1u
#define OP_FORK_GUARD 2u
#define OP_RESERVED 4u

// Numbers that are no system calls but work of the interpreter.
#define CALL_PAGE_PUMP (-1000)
#define CALL_ZERO_SCAN (-1001)
#define CALL_LOAD (-1002)

// a[3] of CALL_PAGE_PUMP. Drop: MADV_DONTNEED behind the pump. Only for snapshot children: in the
// application itself it would destroy memory.
#define PUMP_DROP 1u
#define PUMP_SLICE_BYTES (8u << 20)

/**
 * One system call of a batch.
 *
 * If bit j of refs is set, argument j is `ops[a[j] & 0xffff].ret + (a[j] >> 16)` instead of a[j].
 *
 * CALL_PAGE_PUMP: a = {pipe, address of struct range[], count, PUMP_* flags}. vmsplices every byte
 * of the ranges in order. ret = bytes spliced, or -errno of the first call that failed for good;
 * -EPIPE leaves no SIGPIPE behind.
 *
 * CALL_ZERO_SCAN: a = {page-aligned address, pages, address of a bitmap of (pages + 7) / 8 bytes}.
 * Bit i (bit i % 8 of byte i / 8) becomes 1 if page i holds only zeros, else 0; the unused bits of
 * the last byte become 0. ret = number of zero pages. The pages must be readable: a hole would be a
 * SIGSEGV in the application.
 *
 * CALL_LOAD: a = {address of an int32_t}. ret = that number: what a system call has written to
 * memory, a descriptor of pipe2(2) say, becomes a result that later operations can refer to.
 */
struct op {
    int64_t nr;
    int64_t a[6];
    int64_t ret; // result, or -errno
    uint32_t refs;
    uint32_t flags;
};

/**
 * What one borrowed thread runs, and everything it needs to become the application's again without
 * us.
 *
 * Operations 0 .. n-1 are the batch. Operations n .. n+will-1 run only if the engine died
 * meanwhile: what the thread itself must undo then (CPU affinity, MADV_DONTFORK ...), or one
 * exit_group for a thread that must not become an application again (a snapshot child, a half-built
 * restore).
 */
struct control {
    uint32_t n;
    uint32_t done; // operations finished so far
    int64_t pid;   // as numbered in the thread's own pid namespace
    int64_t tid;
    int64_t sig;   // signal that ends the batch: neither caught nor pending, ignored by default
    uint64_t mask; // the application's signal mask
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t rip, flags, rsp;
    uint64_t ops; // address of struct op[]
    uint32_t will;
    uint32_t reserved;
    uint64_t way_out; // the interpreter's own: address of the iretq frame
    uint64_t stack;   // top of the interpreter's stack, a multiple of 16; 4 KiB are enough
    uint64_t quiet;   // signal mask while it runs: everything but sig
    uint64_t spare[4];
};

/** A piece of memory, both multiples of the page size; on purpose the layout of struct iovec. */
struct range {
    uint64_t base;
    uint64_t length; // bytes
};

/** Request of spawn(). */
struct spawn_request {
    int64_t clone_args[11]; // struct clone_args of clone3(2), 88 bytes
    int64_t fd;             // executable
    int64_t argv;           // address of a NULL-terminated array
    int64_t envp;           // the same
    int64_t in, out, err;   // descriptors that become 0, 1, 2; -1 leaves the inherited one
    int64_t sid;            // non-zero: the child begins a new session
    int64_t ctty;           // reserved, 0
};

/**
 * Starts a program. The child has an empty signal mask and the caller's other descriptors minus
 * close-on-exec. clone_args must ask for CLONE_VM | CLONE_VFORK: the child runs on this very stack
 * and reports through it.
 *
 * @return pid of the child, which has executed the program, or -errno of the step that failed; then
 * the child is gone and reaped.
 */
int64_t spawn(const struct spawn_request *request);

#define AT(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), #field)
_Static_assert(sizeof(struct op) == 72, "op");
AT(op, nr, 0);
AT(op, a, 8);
AT(op, ret, 56);
AT(op, refs, 64);
AT(op, flags, 68);
_Static_assert(sizeof(struct control) == 256, "control");
AT(control, n, 0);
AT(control, done, 4);
AT(control, pid, CONTROL_PID);
AT(control, tid, CONTROL_TID);
AT(control, sig, CONTROL_SIG);
AT(control, mask, CONTROL_MASK);
AT(control, r15, CONTROL_R15);
AT(control, r14, CONTROL_R14);
AT(control, r13, CONTROL_R13);
AT(control, r12, CONTROL_R12);
AT(control, rbp, CONTROL_RBP);
AT(control, rbx, CONTROL_RBX);
AT(control, r11, CONTROL_R11);
AT(control, r10, CONTROL_R10);
AT(control, r9, CONTROL_R9);
AT(control, r8, CONTROL_R8);
AT(control, rax, CONTROL_RAX);
AT(control, rcx, CONTROL_RCX);
AT(control, rdx, CONTROL_RDX);
AT(control, rsi, CONTROL_RSI);
AT(control, rdi, CONTROL_RDI);
AT(control, rip, CONTROL_RIP);
AT(control, flags, CONTROL_FLAGS);
AT(control, rsp, CONTROL_RSP);
AT(control, ops, 184);
AT(control, will, 192);
AT(control, reserved, 196);
AT(control, way_out, CONTROL_WAY_OUT);
AT(control, stack, CONTROL_STACK);
AT(control, quiet, CONTROL_QUIET);
AT(control, spare, 224);
_Static_assert(sizeof(struct range) == 16, "range");
AT(range, base, 0);
AT(range, length, 8);
_Static_assert(sizeof(struct spawn_request) == 152, "spawn_request");
AT(spawn_request, clone_args, 0);
AT(spawn_request, fd, 88);
AT(spawn_request, argv, 96);
AT(spawn_request, envp, 104);
AT(spawn_request, in, 112);
AT(spawn_request, out, 120);
AT(spawn_request, err, 128);
AT(spawn_request, sid, 136);
AT(spawn_request, ctty, 144);
#undef AT

#endif
#endif
