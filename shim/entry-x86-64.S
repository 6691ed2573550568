// First bytes of the blob: enters the interpreter, and leads an orphaned thread back into the application.
//
// In:  rdi = struct control *, rsp = the application's own, where nothing is written.
// Out: while a tracer is there, never: it takes the thread over at the batch's last signal.
//      Without one, the application goes on with every general register, its flags and its signal mask.
//
// Vector registers are never touched (-mgeneral-regs-only), so there is nothing to save of them.
//
// Why the batch ends with a signal and not with int3: the kernel forces a SIGTRAP upon the thread, which silently
// resets an application's SIG_IGN of it and unblocks it. A signal that is ignored by default stops a traced thread
// just as well, and changes nothing for one that nobody traces.
//
// User shadow stacks: at that stop every call in here has returned, so the shadow stack pointer, which the tracer
// does not put back, is the application's own. That is why the stop is made here and not in a C function. The way
// out without a tracer cannot work there: iretq to the same privilege level pops a CS:RIP frame of the shadow
// stack (Intel SDM, IRET). The engine refuses threads with `x86_Thread_features: shstk` in /proc/<tid>/status.
#include "protocol.h"
#include <asm/unistd.h>

#define HOW_SIG_SETMASK 2
#define SIGSET_BYTES 8
#define FLAG_IDENTIFICATION 0x200000
// interrupts, and the bit that is always 1
#define CLEAN_FLAGS 0x202

// The engine may die between any two of its calls, so every mixture of registers and signal mask that it can leave behind
// must be harmless. It writes registers before the mask on the way in and the mask before registers on the way out; hence
//  1. the entry may run with the application's mask: it blocks all signals by itself before it leaves the
//     application's stack, and a handler that comes first finds that stack as if it had been called from there;
//  2. the stop is made on the application's stack: a handler that comes behind it finds the same.
    .intel_syntax noprefix

// Everything is in the control block: no register needs saving. rbx = struct control * before and after.
.macro block_signals
    mov     eax, __NR_rt_sigprocmask
    mov     edi, HOW_SIG_SETMASK
    lea     rsi, [rbx + CONTROL_QUIET]
    xor     edx, edx
    mov     r10d, SIGSET_BYTES
    syscall
.endm

    .section .text.entry, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    cld                                 // the application may have been stopped with DF set
    mov     rbx, rdi
    block_signals
    mov     rsp, [rbx + CONTROL_STACK]
    mov     rdi, rbx
    call    run_batch
    // No tracer can set this flag: the thread does, for the program that it becomes (PTRACE_SETREGS leaves it alone).
    mov     eax, [rbx + CONTROL_FLAGS]
    and     eax, FLAG_IDENTIFICATION
    or      eax, CLEAN_FLAGS
    push    rax
    popfq
    mov     rsp, [rbx + CONTROL_RSP]
    mov     eax, __NR_tgkill
    mov     rdi, [rbx + CONTROL_PID]
    mov     rsi, [rbx + CONTROL_TID]
    mov     rdx, [rbx + CONTROL_SIG]
    syscall                             // comes back only if nobody traces
    block_signals
    mov     rsp, [rbx + CONTROL_STACK]
    mov     rdi, rbx
    call    run_will

    // iretq loads rip, flags and rsp in one instruction and needs no scratch register.
    mov     eax, ss
    push    rax
    push    [rbx + CONTROL_RSP]
    push    [rbx + CONTROL_FLAGS]
    mov     eax, cs
    push    rax
    push    [rbx + CONTROL_RIP]
    mov     [rbx + CONTROL_WAY_OUT], rsp

    // The mask is restored as late as possible and on the application's stack, because its pending signals are
    // delivered in this very call: on our stack the kernel would not see that the thread may be on its alternate
    // signal stack already and would write the new frame over the live ones.
    lea     rsi, [rbx + CONTROL_MASK]   // survives the call and so is the pointer to the control block from here
#define SAVED(register) [rsi + CONTROL_##register - CONTROL_MASK]
    mov     r15, SAVED(R15)
    mov     r14, SAVED(R14)
    mov     r13, SAVED(R13)
    mov     r12, SAVED(R12)
    mov     rbp, SAVED(RBP)
    mov     rbx, SAVED(RBX)
    mov     r9, SAVED(R9)
    mov     r8, SAVED(R8)
    mov     rsp, SAVED(RSP)
    mov     eax, __NR_rt_sigprocmask
    mov     edi, HOW_SIG_SETMASK
    xor     edx, edx
    mov     r10d, SIGSET_BYTES
    syscall
    mov     r11, SAVED(R11)
    mov     r10, SAVED(R10)
    mov     rax, SAVED(RAX)
    mov     rcx, SAVED(RCX)
    mov     rdx, SAVED(RDX)
    mov     rdi, SAVED(RDI)
    mov     rsp, SAVED(WAY_OUT)
    mov     rsi, SAVED(RSI)
    iretq
    .size _start, . - _start

// For the engine's own process: int64_t raw_syscall(int64_t nr, int64_t a, b, c, d, e, f), -errno on failure.
    .section .text.raw_syscall, "ax", @progbits
    .globl raw_syscall
    .type raw_syscall, @function
raw_syscall:
    mov     rax, rdi
    mov     rdi, rsi
    mov     rsi, rdx
    mov     rdx, rcx
    mov     r10, r8
    mov     r8, r9
    mov     r9, [rsp + 8]
    syscall
    ret
    .size raw_syscall, . - raw_syscall

    .section .note.GNU-stack, "", @progbits
