// System calls without a libc: no errno, no cancellation, no thread state of anybody is touched.
#ifndef DIAPAUSE_RAW_CALL_H
#define DIAPAUSE_RAW_CALL_H

#include <stdbool.h>
#include <stdint.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/** One call with all six arguments. Returns the result or -errno. */
ALWAYS_INLINE int64_t raw_call6(int64_t nr, const int64_t a[6]) {
    int64_t result;
    register int64_t r10 __asm__("r10") = a[3];
    register int64_t r8 __asm__("r8") = a[4];
    register int64_t r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/** One call with up to four arguments: what the kernel does not read costs no code. */
ALWAYS_INLINE int64_t raw_call4(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d) {
    int64_t result;
    register int64_t r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

/** The same with up to three. */
ALWAYS_INLINE int64_t raw_call3(int64_t nr, int64_t a, int64_t b, int64_t c) {
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

/** A pointer as the kernel takes it. */
ALWAYS_INLINE int64_t address_of(const void *pointer) {
    return (int64_t)(uintptr_t)pointer;
}

/** Whether a result means failure: -4095 .. -1. */
ALWAYS_INLINE bool failed(int64_t result) {
    return result < 0 && result >= -4095;
}

#endif
