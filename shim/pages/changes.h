// Where a page lies, or lay, when its process has moved and dropped memory meanwhile.
#ifndef DIAPAUSE_CHANGES_H
#define DIAPAUSE_CHANGES_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>

/** What the kernel told of one address space, in its order. */
struct change {
    uint64_t space;
    struct uffd_msg message;
};

/** Bytes that follow one another before and after all changes alike. */
struct extent {
    uint64_t address;
    uint64_t length;
    bool there;
};

/** Is an address in a range? Cuts the length where the answer changes. */
bool within(uint64_t start, uint64_t end, struct extent *extent);

/** Where the bytes at an address of now lay when the space was restored. */
struct extent place_then(const struct change *log, uint64_t changes, uint64_t space,
                         uint64_t address, uint64_t length);

/** Where the bytes of a restored address lie now. */
struct extent place_now(const struct change *log, uint64_t changes, uint64_t space,
                        uint64_t address, uint64_t length);

#endif
