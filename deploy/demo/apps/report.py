"""What a program found out about itself: errors, and the gaps in which it did not run."""

import collections
import threading
import time

SMALLEST_GAP_SECONDS = 0.003


class Report:
    """Written by all threads of a program."""

    def __init__(self):
        self.lock = threading.Lock()
        self.errors = []
        self.gaps = collections.deque(maxlen=128)

    def complain(self, text):
        with self.lock:
            if len(self.errors) < 20:
                self.errors.append(text)

    def note_gap(self, seconds):
        """Keeps the longest gap of each second: a busy machine makes many, and none may push out the one looked for."""
        if seconds >= SMALLEST_GAP_SECONDS:
            gap = {"atMillis": now_millis(), "millis": round(seconds * 1000, 3)}
            with self.lock:
                last = self.gaps[-1] if self.gaps else None
                if last is None or last["atMillis"] // 1000 != gap["atMillis"] // 1000:
                    self.gaps.append(gap)
                elif last["millis"] < gap["millis"]:
                    self.gaps[-1] = gap

    def watched(self, function):
        """A thread's function, whose failure becomes an error of the report; EINTR is one by name."""

        def run():
            try:
                function()
            except InterruptedError as error:
                self.complain(f"{function.__qualname__}: EINTR: {error}")
            except Exception as error:  # whatever it is, it belongs into the report
                self.complain(f"{function.__qualname__}: {type(error).__name__}: {error}")

        return run

    def describe(self):
        with self.lock:
            return {"nowMillis": now_millis(), "errors": list(self.errors), "gaps": list(self.gaps)}


def now_millis():
    return int(time.time() * 1000)
