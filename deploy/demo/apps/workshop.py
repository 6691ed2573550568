"""A program that would notice a checkpoint: threads behind locks and conditions, a child behind pipes, sleeps,
an unlinked temporary file, and tokens wherever a process keeps things. Each part knows what must come next and
reports what does not. `check.py` asks it over loopback; it answers with one line of JSON."""

import collections
import hashlib
import os
import secrets
import sys
import tempfile
import threading
import time

import loopback
from report import Report

WORKERS = 4
QUEUE_LIMIT = 16
SLEEP_SECONDS = 12.0  # a restore that takes less falls within a sleep that began before the checkpoint
TICK_SECONDS = 0.0005
FILE_BYTES = 1 << 20
ROOT_FILE = "/work/token"


class Belt:
    """A bounded queue made of one condition: one producer, several workers, every number exactly once."""

    def __init__(self, report):
        self.report = report
        self.condition = threading.Condition()
        self.waiting = collections.deque()
        self.made = 0
        self.taken = 0

    def produce(self):
        while True:
            with self.condition:
                while len(self.waiting) >= QUEUE_LIMIT:
                    self.condition.wait()
                self.made += 1
                self.waiting.append(self.made)
                self.condition.notify_all()
            if self.made % 50 == 0:
                time.sleep(0.05)

    def work(self):
        while True:
            with self.condition:
                while not self.waiting:
                    self.condition.wait()
                number = self.waiting.popleft()
                self.taken += 1
                if number != self.taken:
                    self.report.complain(f"belt: took {number} instead of {self.taken}")
                self.condition.notify_all()


def pod_address():
    """The kubelet writes it into the last line; the host name stays that of the saved pod."""
    with open("/etc/hosts") as hosts:
        return hosts.read().split("\n")[-2].split()[0]


class Sleeper:
    """time.sleep must never end early; `moved` counts sleeps that ended in another pod."""

    def __init__(self, report):
        self.report = report
        self.done = 0
        self.moved = 0

    def sleep(self):
        while True:
            address, began = pod_address(), time.monotonic()
            time.sleep(SLEEP_SECONDS)
            slept = time.monotonic() - began
            if slept < SLEEP_SECONDS:
                self.report.complain(f"time.sleep({SLEEP_SECONDS}) ended after {slept:.3f} s")
            self.done += 1
            self.moved += address != pod_address()


class Child:
    """A forked process that answers each number with its square; pipes carry lines in both directions."""

    def __init__(self, report):
        self.report = report
        self.answers = 0
        self.token = secrets.token_hex(16)
        to_child, self.questions = os.pipe()
        self.replies, from_child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.questions)
            os.close(self.replies)
            self.answer(to_child, from_child)
        os.close(to_child)
        os.close(from_child)

    def answer(self, questions, replies):
        """Runs in the child; its own token is in its memory alone."""
        token = secrets.token_hex(16)
        with os.fdopen(questions) as lines:
            for line in lines:
                os.write(replies, f"{int(line) ** 2} {token}\n".encode())
        os._exit(0)

    def converse(self):
        first = None
        with os.fdopen(self.replies) as replies:
            while True:
                number = self.answers + 1
                os.write(self.questions, f"{number}\n".encode())
                square, token = replies.readline().split()
                first = first or token
                self.token = token
                if int(square) != number**2 or token != first:
                    self.report.complain(f"child: {square} {token} for {number}, expected {number ** 2} {first}")
                self.answers = number
                time.sleep(0.02)


class Keepsakes:
    """Random bytes in memory, in a file that has no name any more, and in the root file system."""

    def __init__(self):
        self.memory = secrets.token_hex(16)
        self.ballast = secrets.token_bytes(FILE_BYTES)
        self.sum = hashlib.sha256(self.ballast).hexdigest()
        self.unlinked = tempfile.TemporaryFile(dir="/tmp", buffering=0)
        # Not kept in memory: only the file has it.
        self.unlinked.write(secrets.token_hex(16).encode() + self.ballast)
        with open(ROOT_FILE, "w") as file:
            file.write(secrets.token_hex(16))
        # What the environment said when the program began: a cold start elsewhere would say something else.
        self.greeting = os.environ.get("GREETING", "")

    def tokens(self, report):
        self.unlinked.seek(0)
        content = self.unlinked.read()
        token, ballast = content[:32].decode(), content[32:]
        for name, data in (("memory", self.ballast), ("unlinked file", ballast)):
            if hashlib.sha256(data).hexdigest() != self.sum:
                report.complain(f"{name}: its {FILE_BYTES} random bytes have changed")
        if os.fstat(self.unlinked.fileno()).st_nlink != 0:
            report.complain("the unlinked file has a name again")
        with open(ROOT_FILE) as file:
            return {"memory": self.memory, "unlinkedFile": token, "rootFile": file.read(), "greeting": self.greeting}


class Workshop:
    def __init__(self):
        self.report = Report()
        self.keepsakes = Keepsakes()
        self.child = Child(self.report)  # forks, so it comes before the threads
        self.belt = Belt(self.report)
        self.sleeper = Sleeper(self.report)

    def watch_gaps(self):
        """Half a millisecond at a time: what it misses, the application missed."""
        last = time.monotonic()
        while True:
            time.sleep(TICK_SECONDS)
            now = time.monotonic()
            self.report.note_gap(now - last)
            last = now

    def describe(self):
        threads = [threading.active_count(), 1]
        tokens = {**self.keepsakes.tokens(self.report), "child": self.child.token}
        return {
            "app": "python",
            "address": pod_address(),
            "processes": 2,
            "threads": sum(threads),
            "tokens": tokens,
            "counters": {"belt": self.belt.taken, "child": self.child.answers},
            "rounds": {"sleep": {"done": self.sleeper.done, "moved": self.sleeper.moved}},
            **self.report.describe(),
        }

    def serve(self):
        loopback.serve(loopback.WORKSHOP_PORT, self.describe)

    def run(self):
        routines = [self.belt.produce, *[self.belt.work] * WORKERS, self.sleeper.sleep]
        for routine in [*routines, self.child.converse, self.watch_gaps, self.serve]:
            threading.Thread(target=self.report.watched(routine), daemon=True).start()
        second = 0
        while True:
            print(f"second {second}: {self.belt.taken} pieces, {self.child.answers} answers, {self.report.errors}")
            sys.stdout.flush()
            second += 1
            time.sleep(1)


if __name__ == "__main__":
    Workshop().run()
