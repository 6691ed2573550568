// For the native tests: jumps into the blob and knows how to come back from its orphan path.
#include "../protocol.h"

    .intel_syntax noprefix
    .text

// void enter_blob(struct control *, void *entry): comes back like a function that returned,
// with the registers it saves into the control block.
    .globl enter_blob
    .type enter_blob, @function
enter_blob:
    mov     [rdi + CONTROL_RBX], rbx
    mov     [rdi + CONTROL_RBP], rbp
    mov     [rdi + CONTROL_R12], r12
    mov     [rdi + CONTROL_R13], r13
    mov     [rdi + CONTROL_R14], r14
    mov     [rdi + CONTROL_R15], r15
    pushfq
    pop     [rdi + CONTROL_FLAGS]
    mov     rax, [rsp]
    mov     [rdi + CONTROL_RIP], rax
    lea     rax, [rsp + 8]
    mov     [rdi + CONTROL_RSP], rax
    jmp     rsi
    .size enter_blob, . - enter_blob

// void enter_and_land(struct control *, void *entry, struct registers *landed)
    .globl enter_and_land
    .type enter_and_land, @function
enter_and_land:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     caller_stack[rip], rsp
    mov     caller_landed[rip], rdx
    lea     rax, land[rip]
    mov     [rdi + CONTROL_RIP], rax
    mov     rsp, [rdi + CONTROL_RSP]
    std                                 // the interpreter must not rely on the direction flag
    jmp     rsi
land:
    mov     landed_rsp[rip], rsp
    mov     landed_rax[rip], rax
    pushfq
    pop     landed_flags[rip]
    cld
    mov     rax, caller_landed[rip]
    mov     [rax], r15
    mov     [rax + 8], r14
    mov     [rax + 16], r13
    mov     [rax + 24], r12
    mov     [rax + 32], rbp
    mov     [rax + 40], rbx
    mov     [rax + 48], r11
    mov     [rax + 56], r10
    mov     [rax + 64], r9
    mov     [rax + 72], r8
    mov     [rax + 88], rcx
    mov     [rax + 96], rdx
    mov     [rax + 104], rsi
    mov     [rax + 112], rdi
    mov     rcx, landed_rax[rip]
    mov     [rax + 80], rcx
    mov     rcx, landed_flags[rip]
    mov     [rax + 120], rcx
    mov     rcx, landed_rsp[rip]
    mov     [rax + 128], rcx
    mov     rsp, caller_stack[rip]
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
    .size enter_and_land, . - enter_and_land

    .local caller_stack, caller_landed, landed_rsp, landed_rax, landed_flags
    .comm caller_stack, 8
    .comm caller_landed, 8
    .comm landed_rsp, 8
    .comm landed_rax, 8
    .comm landed_flags, 8
    .section .note.GNU-stack, "", @progbits
