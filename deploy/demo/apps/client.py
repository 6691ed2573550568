"""A client of redis that never rests and believes nothing: `client.py HOST`. It counts up one key by one for each
request and knows what redis must answer, so that a lost or repeated write shows; slow answers are its gaps."""

import socket
import sys
import threading
import time

import loopback
from report import Report

PORT = 6379
PATIENCE_SECONDS = 30
PAUSE_SECONDS = 0.001


class Client:
    def __init__(self, host):
        self.report = Report()
        self.host = host
        self.requests = 0

    def ask(self, server, *words):
        parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
        server.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return server.makefile("rb", buffering=0).readline().decode().strip()

    def count(self):
        """One connection for the whole life: if it breaks, that is an error."""
        with socket.create_connection((self.host, PORT), timeout=PATIENCE_SECONDS) as server:
            self.ask(server, "SET", "count", "0")
            while True:
                began = time.monotonic()
                answer = self.ask(server, "INCR", "count")
                self.report.note_gap(time.monotonic() - began)
                self.requests += 1
                if answer != f":{self.requests}":
                    self.report.complain(f"request {self.requests}: redis answered {answer}")
                    self.requests = int(answer.lstrip(":"))
                time.sleep(PAUSE_SECONDS)

    def describe(self):
        return {"app": "client", "requests": self.requests, **self.report.describe()}

    def run(self):
        threading.Thread(target=self.report.watched(self.count), daemon=True).start()
        loopback.serve(loopback.CLIENT_PORT, self.describe)


if __name__ == "__main__":
    Client(sys.argv[1]).run()
