# Counts in two threads; what it prints depends on everything it holds. An interpreter with locks, a child and a pipe.
import os, sys, threading, time, hashlib, itertools

data = {i: str(i) * 3 for i in range(20000)}
digest = hashlib.sha256(repr(sorted(data.items())).encode()).hexdigest()[:8]
lock, turn, count = threading.Lock(), threading.Condition(), 0
reader, writer = os.pipe()
if os.fork() == 0:
    for n in iter(lambda: os.read(reader, 1), b""):
        pass
    os._exit(0)

def worker():
    global count
    while True:
        time.sleep(0.05)
        with turn:
            count += 1
            turn.notify()

threading.Thread(target=worker, daemon=True).start()
for printed in itertools.count(1):
    with turn:
        # The other thread may have counted twice before this one had its turn.
        turn.wait_for(lambda: count >= printed)
        os.write(writer, b"x")
        print("count", printed, digest, flush=True)
