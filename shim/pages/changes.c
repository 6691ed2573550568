// Decides only: no system calls here.
#include "changes.h"

bool within(uint64_t start, uint64_t end, struct extent *extent) {
    const uint64_t border = extent->address < start ? start : end;
    if (extent->address < end && border - extent->address < extent->length) {
        extent->length = border - extent->address;
    }
    return start <= extent->address && extent->address < end;
}

// Takes an extent through one change, in the direction of time or against it.
static void pass(const struct uffd_msg *message, bool back, struct extent *extent) {
    if (message->event == UFFD_EVENT_REMOVE || message->event == UFFD_EVENT_UNMAP) {
        extent->there = !within(message->arg.remove.start, message->arg.remove.end, extent);
    } else if (message->event == UFFD_EVENT_REMAP) {
        const uint64_t length = message->arg.remap.len;
        const uint64_t source = back ? message->arg.remap.to : message->arg.remap.from;
        const uint64_t target = back ? message->arg.remap.from : message->arg.remap.to;
        const bool replaced = within(target, target + length, extent);
        if (within(source, source + length, extent)) {
            extent->address += target - source;
        } else {
            extent->there = !replaced;
        }
    }
}

struct extent place_then(const struct change *log, uint64_t changes, uint64_t space,
                         uint64_t address, uint64_t length) {
    struct extent extent = {address, length, true};
    for (uint64_t i = changes; i > 0 && extent.there; i--) {
        if (log[i - 1].space == space) {
            pass(&log[i - 1].message, true, &extent);
        }
    }
    return extent;
}

struct extent place_now(const struct change *log, uint64_t changes, uint64_t space,
                        uint64_t address, uint64_t length) {
    struct extent extent = {address, length, true};
    for (uint64_t i = 0; i < changes && extent.there; i++) {
        if (log[i].space == space) {
            pass(&log[i].message, false, &extent);
        }
    }
    return extent;
}
